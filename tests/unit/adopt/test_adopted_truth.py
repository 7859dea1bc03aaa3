"""Any amount of truth may come with adopted particles: what is known is scored as in the original."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from adoptable import STATES, N, true_states
from cryobench import adopt, simulate
from cryobench._errors import FormatError
from cryobench.cli.main import run_cli
from cryobench.data import Dataset, GroundTruth
from cryobench.metrics import get_metric, score
from cryobench.runs.adopt import choose_queries
from cryobench.runs.run import run


@pytest.mark.parametrize("table", ["particles.star", "particles.cs"])
def test_an_adopted_data_set_gives_the_results_of_the_original(
    home: Path, original: Dataset, tmp_path: Path, table: str
) -> None:
    toy = home / "toy"
    dataset = adopt(
        toy / table,
        tmp_path / "mine",
        labels=toy / "truth" / "particles.parquet",
        volumes=toy / "truth" / "volumes",
        mask=toy / "mask.mrc",
        queries=toy / "query.csv",
    )
    np.testing.assert_array_equal(true_states(dataset), true_states(original))
    np.testing.assert_array_equal(dataset.queries, original.queries)
    for method in ("truth", "truth-backprojection") if table.endswith("star") else ("truth-backprojection",):
        values = []
        for data, name in ((original, "a"), (dataset, "b")):
            result = run(method, data, tmp_path / f"{method}-{name}", device="cpu")
            measured = score(result, data, ["per-image-fsc"])
            values.append({key: each.value for key, each in measured.scores.items()})
        if table.endswith("star"):
            assert values[0] == values[1]
        assert values[0] == pytest.approx(values[1], rel=1e-4)  # poses in float32


@pytest.mark.slow
def test_an_adopted_simulation_is_classified_as_the_original(tmp_path: Path) -> None:
    first = simulate("igg-1d", tmp_path / "simulated", preset="tiny", seed=4)
    simulated = tmp_path / "simulated"
    second = adopt(
        simulated / "particles.star",
        tmp_path / "mine",
        labels=simulated / "truth" / "particles.parquet",
        volumes=simulated / "truth" / "volumes",
        mask=simulated / "mask.mrc",
        queries=simulated / "query.csv",
    )
    costs = {kind.name for kind in get_metric("cost").scores}
    for method in ("3d-class", "truth-backprojection"):
        results = [run(method, data, tmp_path / f"{method}-{data.name}", device="cpu") for data in (first, second)]
        one, other = (
            {key: each.value for key, each in score(result, first).scores.items() if key not in costs}
            for result in results
        )
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert value == other[key] or np.isnan([value, other[key]]).all(), key


def test_partial_truth(home: Path, original: Dataset, partial: Path, tmp_path: Path) -> None:
    dataset = adopt(
        home / "toy" / "particles.star", tmp_path / "mine", labels=partial, volumes=home / "toy" / "truth" / "volumes"
    )
    truth = dataset.truth
    assert truth is not None
    assert truth.rotations is None
    assert (dataset.card["n_labelled"], dataset.card["n_states"]) == (30, STATES)
    np.testing.assert_array_equal(dataset.queries, np.arange(0, N, 3))  # the labelled ones, for there are 30
    values = {}
    for method in ("truth", "truth-backprojection", "shuffled-truth", "random-latent"):
        result = run(method, dataset, tmp_path / method, device="cpu")
        values[method] = score(result, dataset)["fsc-auc"].value
        assert result.posteriors is None
    assert values["truth"] > values["truth-backprojection"] > values["shuffled-truth"]
    # Queries without a label are left out of the score, and the controls say that they have none.
    queries = np.array([0, 1, 2, 3])
    asked = dataclasses.replace(dataset, queries=queries)
    consensus = run("consensus", asked, tmp_path / "consensus", device="cpu")
    measured = score(consensus, asked)
    assert (measured["fsc-auc"].n, measured.context["per-image-fsc"]["n_unknown_state"]) == (2, 2)
    with pytest.raises(ValueError, match=r"query particle 1 has no known state \(2 of 4 have none\)"):
        run("truth-backprojection", asked, tmp_path / "no", device="cpu")


def test_labels_without_volumes(home: Path, partial: Path, tmp_path: Path) -> None:
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=partial)
    assert dataset.truth is not None
    assert dataset.truth.volumes is None
    assert dataset.truth.n_states == STATES
    assert not (tmp_path / "mine" / "truth" / "volumes").exists()
    result = run("truth-backprojection", dataset, tmp_path / "run", device="cpu")
    scores = score(result, dataset)
    assert "fsc-auc" not in scores.scores
    assert scores.context["not_measured"]["per-image-fsc"].startswith("needs true volumes, which the data set")
    with pytest.raises(ValueError, match="needs the true volumes, and this data set has only labels"):
        run("truth", dataset, tmp_path / "no", device="cpu")


def test_no_truth_at_all(home: Path, tmp_path: Path) -> None:
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine")
    consensus = run("consensus", dataset, tmp_path / "run", device="cpu")
    scores = score(consensus, dataset)
    assert scores.context["not_measured"]["per-image-fsc"] == "needs truth, which the data set does not have"
    with pytest.raises(ValueError, match="needs the truth, which the data set does not have"):
        run("shuffled-truth", dataset, tmp_path / "no", device="cpu")


def test_consensus_is_the_same_with_and_without_truth(original: Dataset, tmp_path: Path) -> None:
    blind = dataclasses.replace(original, truth=None)
    volumes = [
        run("consensus", data, tmp_path / name, device="cpu").volumes
        for data, name in ((original, "a"), (blind, "b"))
    ]
    np.testing.assert_array_equal(*[source.read(0) for source in volumes if source is not None])


def test_queries_of_unknown_state_alone_are_not_measured(original: Dataset, tmp_path: Path) -> None:
    states = true_states(original)
    states[original.queries] = -1
    assert original.truth is not None
    data = dataclasses.replace(original, truth=GroundTruth(states, original.truth.volumes))
    result = run("consensus", data, tmp_path / "run", device="cpu")
    reason = score(result, data).context["not_measured"]["per-image-fsc"]
    assert reason == "needs a query particle of known state, and all 9 are unlabelled"


def test_command_line(home: Path, partial: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["cryobench", *map(str, words)])
        capsys.readouterr()
        try:
            run_cli()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        printed = capsys.readouterr()
        return status, " ".join((printed.out + printed.err).split())

    toy = home / "toy"
    status, printed = call(
        "adopt", toy / "particles.star", "-o", tmp_path / "mine", "--labels", partial, "--mask", toy / "mask.mrc",
        "--name", "partly labelled", "--n-queries", 5,
    )  # fmt: skip
    assert status == 0, printed
    assert "protein bright in the stored images, poses given, 30 particles labelled, mask" in printed
    assert "partly labelled: 90 images of 16 px at 4 Å/px, 3 states, 5 query particles" in printed
    assert call("run", "consensus", tmp_path / "mine", "-o", tmp_path / "run", "--device", "cpu")[0] == 0
    status, printed = call("score", tmp_path / "run")
    assert status == 0, printed
    assert "not measured (consensus): per-image-fsc needs true volumes, which the data set does not have" in printed
    status, printed = call("adopt", toy / "particles.star", "-o", tmp_path / "no", "--shift-unit", "pixels")
    assert (status, printed) == (2, "error: --shift-unit is fraction or pixel, got 'pixels'.")


@pytest.mark.parametrize("count", [1, 3, 7, 20, 300])
def test_queries_cover_the_states_evenly(count: int, rng: np.random.Generator) -> None:
    states = rng.permutation(np.repeat([-1, 0, 1, 2, 5], [40, 100, 3, 1, 56]))
    queries = choose_queries(states, len(states), count)
    assert len(queries) == min(count, 160)
    assert (np.diff(queries) > 0).all()
    assert (states[queries] >= 0).all()
    if count >= 4:
        assert set(states[queries]) == {0, 1, 2, 5}
        shares = np.bincount(states[queries])[[0, 5]] / len(queries)
        np.testing.assert_allclose(shares, [100 / 160, 56 / 160], atol=2 / count)
    np.testing.assert_array_equal(queries, choose_queries(states, len(states), count))


def test_queries_without_labels_are_evenly_spaced() -> None:
    np.testing.assert_array_equal(choose_queries(None, 100, 4), [12, 37, 62, 87])
    np.testing.assert_array_equal(choose_queries(np.full(100, -1), 100, 4), [12, 37, 62, 87])
    np.testing.assert_array_equal(choose_queries(np.arange(10), 10, 5), [1, 3, 5, 7, 9])


def test_queries_can_be_given(home: Path, tmp_path: Path) -> None:
    star = home / "toy" / "particles.star"
    assert list(adopt(star, tmp_path / "a", queries=np.array([7, 3])).queries) == [7, 3]
    (tmp_path / "q.csv").write_text("8\n2\n")
    assert list(adopt(star, tmp_path / "b", queries=tmp_path / "q.csv").queries) == [8, 2]
    (tmp_path / "q.csv").write_text("particle\n90\n")
    with pytest.raises(FormatError, match=r"names the query particle '90' in line 2, expected indices .* 0 to 89"):
        adopt(star, tmp_path / "c", queries=tmp_path / "q.csv")


def test_of_more_states_than_queries_the_middle_particles_of_evenly_spaced_ones_are_taken():
    np.testing.assert_array_equal(choose_queries(np.repeat(np.arange(4), 10), 40, 2), [15, 35])
