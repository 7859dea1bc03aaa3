"""Options of commands act: each is given once, and what it should change is seen to change."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cryobench.cli.main import app
from cryobench.io.store import load_dataset, load_reconstruction, load_scores
from stored import store_dataset, store_run
from toy import toy_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("options")
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=5), folder / "data")
    store_run(dataset, folder / "mine")
    return folder


def type_words(*words: object) -> str:
    found = CliRunner().invoke(app, list(map(str, words)))
    assert found.exit_code == 0, found.output
    return found.output


def test_run_seed_and_preset(folder, tmp_path):
    for seed in (1, 2):
        type_words("run", "random-latent", folder / "data", "-o", tmp_path / str(seed), "--seed", seed)
    one, two = (load_reconstruction(tmp_path / str(seed)) for seed in (1, 2))
    assert (one.record.seed, two.record.seed) == (1, 2)
    assert one.latents is not None
    assert np.abs(one.latents - two.latents).max() > 0.1
    type_words("run", "random-latent", folder / "data", "-o", tmp_path / "preset", "--preset", "laptop")
    assert load_reconstruction(tmp_path / "preset").record.preset == "laptop"


def test_run_mask_memory_and_set(folder, tmp_path):
    words = ("run", "random-latent", folder / "data", "-o", tmp_path / "run")
    type_words(*words, "--mask", "none", "--memory", "1GB", "--set", "box=12")
    record = load_reconstruction(tmp_path / "run").record
    assert record.priors.mask == "none"
    assert record.machine.memory_bytes == 10**9
    assert record.settings["box"] == 12


def test_score_seed_metric_and_mask(folder):
    lows = []
    for seed in (0, 7):
        type_words("score", folder / "mine", "--metric", "decodability", "--seed", seed)
        found = load_scores(folder / "mine")
        lows.append(found["decodability-linear"].low)
        assert "ari" not in found.scores
        assert found.context["seed"] == seed
    assert lows[0] != lows[1]
    type_words("score", folder / "mine", "--metric", "per-image-fsc", "--mask", "none")
    assert not any(name.endswith("-masked") for name in load_scores(folder / "mine").scores)
    assert "Label accuracy" in type_words("score", folder / "mine", "--metric", "labels", "--all")


@pytest.mark.parametrize(("contrast", "sign"), [("dark", 1), ("bright", -1)])
def test_adopt_contrast_name_and_queries(folder, tmp_path, contrast, sign):
    words = ("adopt", folder / "data" / "particles.star", "-o", tmp_path / "own", "--datadir", folder / "data")
    type_words(*words, "--contrast", contrast, "--name", "given", "--n-queries", 7)
    found = load_dataset(tmp_path / "own")
    assert found.particles.sign == sign
    assert found.name == "given"
    assert len(found.queries) == 7


def test_simulate_particles_snr_and_seed(tmp_path):
    small = ["box_size=16", "pixel_size=24", "resolution=24", "n_states=2", "images_per_state=6", "n_queries=2"]
    sets = [word for pair in small for word in ("--set", pair)]
    words = ("simulate", "igg-1d", "--preset", "tiny", *sets)
    type_words(*words, "-o", tmp_path / "part", "--particles", "3:8", "--snr", "0.5", "--seed", "4")
    found = load_dataset(tmp_path / "part")
    plan = json.loads((tmp_path / "part" / "dataset.json").read_text(encoding="utf-8"))["plan"]
    assert len(found.particles) == 5
    assert plan["particles"] == [3, 8]
    assert (plan["seed"], plan["settings"]["snr"]) == (4, 0.5)
