"""Information imbalance beside DADApy (golden file made in its environment) and a double argsort written out."""

import json
from pathlib import Path

import numpy as np
import pytest

from cryobench.metrics import information_imbalance

GOLDEN = Path(__file__).parent / "golden" / "dadapy"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN.with_suffix(".npz")) as stored:
        return dict(stored)


@pytest.mark.parametrize("case", ["related", "independent", "wide", "duplicated"])
def test_agrees_with_dadapy(golden, case):
    a, b, k = (golden[f"{case}/{part}"] for part in ("a", "b", "k"))
    found = information_imbalance(a, b, k, ties="remove")
    assert found.neighbours.tolist() == k.tolist()
    assert found.subset_size == golden[f"{case}/n"] == len(a) - found.n_duplicates
    np.testing.assert_allclose(found.forward, golden[f"{case}/forward"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.backward, golden[f"{case}/backward"], rtol=0, atol=1e-10)


def test_golden_cases_hold_what_they_are_for(golden):
    assert len(golden["duplicated/a"]) - golden["duplicated/n"] > 50
    assert golden["wide/b"].shape[1] > 15  # where scikit-learn leaves its tree for a matrix product
    assert np.abs(golden["related/forward"] - golden["related/backward"]).max() > 0.01
    provenance = json.loads(GOLDEN.with_suffix(".json").read_text(encoding="utf-8"))
    assert provenance["dadapy"] == "0.3.4"
    assert provenance["numpy"].startswith("1.26")


def test_agrees_with_dadapy_in_every_subset(golden):
    a, b, k, rows = (golden[f"subsets/{part}"] for part in ("a", "b", "k", "rows"))
    for at, subset in enumerate(rows):
        found = information_imbalance(a[subset], b[subset], k)
        np.testing.assert_allclose(found.forward, golden["subsets/forward"][at], rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.backward, golden["subsets/backward"][at], rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [60, 61])
def test_agrees_with_the_definition_written_out(rng, n):
    a, b = rng.standard_normal((n, 2)), rng.standard_normal((n, 3))
    ranks = [
        np.argsort(np.argsort(np.linalg.norm(space[:, None] - space, axis=-1), axis=1), axis=1) for space in (a, b)
    ]
    found = information_imbalance(a, b, [1, 4, n - 1])
    for at, k in enumerate((1, 4, n - 1)):
        near = (ranks[0] >= 1) & (ranks[0] <= k)
        assert found.forward[at] == pytest.approx(2 / n * ranks[1][near].mean(), rel=1e-12)
        near = (ranks[1] >= 1) & (ranks[1] <= k)
        assert found.backward[at] == pytest.approx(2 / n * ranks[0][near].mean(), rel=1e-12)


def test_averaged_ties_are_what_vanishing_noise_tends_to(rng):
    states = np.repeat(np.arange(6), 25)
    turn = 2 * np.pi * states / 6
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    latent = np.round(2 * (circle + 0.4 * rng.standard_normal(circle.shape)))  # ties too
    k = [1, 7, 40]
    exact = information_imbalance(circle, latent, k, ties="average")
    forward, backward = [], []
    for _ in range(80):
        smeared = information_imbalance(
            circle + 1e-7 * rng.standard_normal(circle.shape), latent + 1e-7 * rng.standard_normal(latent.shape), k
        )
        forward.append(smeared.forward)
        backward.append(smeared.backward)
    for drawn, value in ((forward, exact.forward), (backward, exact.backward)):
        error = np.std(drawn, axis=0) / np.sqrt(len(drawn))
        assert (np.abs(np.mean(drawn, axis=0) - value) < 5 * error + 1e-12).all()
