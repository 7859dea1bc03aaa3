"""Volume series of finished runs: along components, of clusters, of windows, along paths; and what is refused."""

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA

from cryobench._errors import FormatError, UnknownName
from cryobench.cli.commands.runs.series import parse_anchors, parse_percentiles
from cryobench.cli.main import run_cli
from cryobench.compute import Compute
from cryobench.data import (
    Components,
    DatasetIdentity,
    LatentDensity,
    LatentPath,
    Reconstruction,
    RunRecord,
    VolumeSeries,
)
from cryobench.fourier import fourier_crop
from cryobench.io.folders.series_store import list_series, load_series
from cryobench.io.formats.mrc import read_volume, write_volume
from cryobench.io.store import load_reconstruction, save_reconstruction
from cryobench.latents.groups import triangular_weights
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.statistics import backproject
from cryobench.runs import volume_folder
from cryobench.runs.decode import write_volumes
from cryobench.runs.series.kinds import BackProjected
from cryobench.runs.series.settings import SeriesSettings
from cryobench.runs.series.write import write_series
from stored import store_dataset, store_run
from toy import PIXEL_SIZE, toy_dataset

N = 90


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory):
    return store_dataset(toy_dataset(size=16, n=N, n_queries=4), tmp_path_factory.mktemp("toy") / "data")


@pytest.fixture
def run(dataset, tmp_path: Path) -> Path:
    """A run of a linear model whose first latent tells the three states apart; particle 5 was left out."""
    generator = np.random.default_rng(3)
    truth = dataset.truth
    volumes = np.stack([truth.volumes.read(state) for state in range(3)])
    mean = volumes.mean(axis=0)
    components = np.stack([volumes[0] - mean, volumes[1] - mean])
    latents = np.stack([truth.states - 1.0, np.zeros(N)], axis=1) + 0.1 * generator.standard_normal((N, 2))
    latents[5] = np.nan
    result = Reconstruction(
        dataset.queries,
        latents=latents,
        model={"mean": mean, "components": components},
        decodes_by="linear",
        findings=(Components(mean, components, np.ones(2)),),
        record=RunRecord(
            "3dva",
            settings={"n_components": 2},
            dataset=DatasetIdentity("toy", str(dataset.path), dataset.card["sha256"]),
        ),
    )
    save_reconstruction(result, tmp_path / "run", pixel_size=PIXEL_SIZE)
    return tmp_path / "run"


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "series.csv")


def latents_of(folder: Path) -> np.ndarray:
    return table(folder).filter(like="latent_").to_numpy()


def correlation(first, second) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_simple_goes_along_one_component(run: Path, tmp_path: Path) -> None:
    settings = SeriesSettings(axis=2, frames=5, percentiles=(10, 90))
    written = write_series(run, "simple", tmp_path / "out", settings)
    assert [path.name for path in written] == [f"frame-00{index}.mrc" for index in range(5)]
    latents = latents_of(tmp_path / "out")
    own = load_reconstruction(run).latents
    np.testing.assert_allclose(latents[[0, -1], 1], np.nanpercentile(own[:, 1], [10, 90]), rtol=1e-6)
    np.testing.assert_allclose(np.diff(latents[:, 1]), np.ptp(latents[:, 1]) / 4)
    assert not latents[:, 0].any()
    model = load_reconstruction(run).model
    for path, latent in zip(written, latents, strict=True):
        volume, pixel_size = read_volume(path)
        np.testing.assert_allclose(volume, model["mean"] + latent[1] * model["components"][1], atol=1e-5)
        assert pixel_size == pytest.approx(PIXEL_SIZE)
    assert json.loads((tmp_path / "out" / "series.json").read_text())["settings"] == {
        "axis": 2,
        "frames": 5,
        "percentiles": [10, 90],
    }


@pytest.mark.parametrize("clustering", ["k-means", "gmm"])
def test_clusters_are_back_projected_and_counted(run: Path, dataset, tmp_path: Path, clustering: str) -> None:
    settings = SeriesSettings(clusters=3, clustering=clustering)
    written = write_series(run, "cluster", tmp_path / "out", settings)
    states = dataset.truth.states.copy()
    states[5] = -1  # left out of the run, hence of the clusters
    found = table(tmp_path / "out")
    assert found["n_particles"].tolist() == [int((states == state).sum()) for state in range(3)]
    weights = (states[:, None] == np.arange(3)).astype(np.float32)
    expected = backproject(Passes(dataset.particles, Compute()), weights)
    for path, volume, first, place in zip(written, expected, found["latent_1"], (-1, 0, 1), strict=True):
        np.testing.assert_allclose(read_volume(path)[0], volume, atol=1e-5 * np.abs(volume).max())
        assert first == pytest.approx(place, abs=0.1)


def test_intermediates_are_weighted_windows_over_ranks(run: Path, dataset, tmp_path: Path) -> None:
    written = write_series(run, "intermediates", tmp_path / "out", SeriesSettings(frames=3))
    found = table(tmp_path / "out")
    assert found["weight"].sum() == pytest.approx(N - 1)
    assert found["weight"][1] == pytest.approx(2 * found["weight"][0], rel=0.05)
    assert (np.diff(found["latent_1"]) > 0.4).all()
    np.testing.assert_array_equal(found["position"], found["latent_1"])
    volumes = [read_volume(path)[0] for path in written]
    truth = dataset.truth.volumes
    # The window at either end holds mostly the particles of that end's state.
    assert correlation(volumes[0], truth.read(0)) > correlation(volumes[0], truth.read(2)) + 0.02
    assert correlation(volumes[2], truth.read(2)) > correlation(volumes[2], truth.read(0)) + 0.02


@pytest.mark.parametrize(("n", "frames"), [(50, 4), (7, 7), (101, 2)])
def test_triangles_sum_to_one_and_overlap(n, frames, rng) -> None:
    values = rng.standard_cauchy(n)
    weights = triangular_weights(values, frames)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert weights[np.argmin(values), 0] == 1
    assert weights[np.argmax(values), -1] == 1
    assert ((weights > 0).sum(axis=1) <= 2).all()
    # Heavy tails do not empty a window: all but the two at the ends weigh the same.
    np.testing.assert_allclose(weights.sum(axis=0)[1:-1], (n - 1) / (frames - 1), atol=1)


def test_windows_beyond_memory_take_more_passes_and_give_the_same(dataset, rng, monkeypatch) -> None:
    passes = []

    def count(images, weights):
        passes.append(weights.shape[1])
        return backproject(images, weights)

    monkeypatch.setattr("cryobench.runs.series.kinds.backproject", count)
    source, chosen = BackProjected(rng.uniform(0, 1, (3, N)).astype(np.float32)), np.arange(3)
    together = list(source.make(chosen, dataset, 16, RunContext()))
    apart = list(source.make(chosen, dataset, 16, RunContext(compute=Compute(memory=1))))
    np.testing.assert_array_equal(np.stack(apart), np.stack(together))
    assert passes == [3, 1, 1, 1]


def test_a_path_is_straight_without_a_density(run: Path, tmp_path):
    written = write_series(run, "path", tmp_path / "out", SeriesSettings(frames=4, anchors=(0, 7)))
    found = load_reconstruction(run)
    latents = latents_of(tmp_path / "out")
    np.testing.assert_allclose(latents, np.linspace(found.latents[0], found.latents[7], 4), atol=1e-6)
    expected = found.model["mean"] + np.tensordot(latents[1], found.model["components"], axes=1)
    np.testing.assert_allclose(read_volume(written[1])[0], expected, atol=1e-5)


def test_a_path_kept_by_the_run_or_through_its_density(run: Path, tmp_path: Path) -> None:
    result = load_reconstruction(run)
    axes = np.stack([np.linspace(-2, 2, 33)] * 2)
    x, y = np.meshgrid(*axes, indexing="ij")
    ring = np.exp(-((np.sqrt(x**2 + y**2) - 1) ** 2) / 0.02)
    latents = np.stack([np.cos(np.arange(N)), np.sin(np.arange(N))], axis=1)
    latents[:2] = [[1, 0], [-1, 0]]
    kept = np.linspace([0, 0], [1, 1], 6)
    findings = (LatentDensity(ring, axes), LatentPath(kept))
    changed = replace(result, latents=latents, findings=findings)
    save_reconstruction(changed, tmp_path / "ring", pixel_size=PIXEL_SIZE)
    assert len(write_series(tmp_path / "ring", "path", tmp_path / "more", SeriesSettings(frames=11))) == 11
    np.testing.assert_allclose(latents_of(tmp_path / "more"), np.linspace([0, 0], [1, 1], 11), atol=1e-6)
    write_series(tmp_path / "ring", "path", tmp_path / "own", SeriesSettings(frames=6))
    np.testing.assert_allclose(latents_of(tmp_path / "own"), kept)
    assert table(tmp_path / "own")["position"].tolist() == pytest.approx(np.linspace(0, np.sqrt(2), 6))
    write_series(tmp_path / "ring", "path", tmp_path / "around", SeriesSettings(frames=9, anchors=(0, 1)))
    around = latents_of(tmp_path / "around")
    assert np.linalg.norm(around, axis=1).min() > 0.7  # along the ring, not across its empty middle


REFUSED = {
    "an unknown kind": ("sample", {}, "no kind of series named 'sample'.* Did you mean 'simple'"),
    "a component that is not there": ("simple", {"axis": 3}, "components 1 to 2"),
    "a principal axis that is not there": ("pca", {"axis": 3}, "principal axes 1 to 2"),
    "a latent axis that is not there": ("intermediates", {"axis": 3}, "latent axes 1 to 2"),
    "a window per particle and more": ("intermediates", {"frames": 90}, "only 89 latents"),
    "more clusters than latents": ("cluster", {"clusters": 90}, "only 89 different latents"),
    "more centres than latents": ("k-means", {"clusters": 90}, "only 89 different latents"),
    "keeps no path": ("path", {}, "--anchors 12,340"),
    "a path through three": ("path", {"anchors": (0, 1, 2)}, "between two particles, got 3"),
    "a particle that is not there": ("path", {"anchors": (0, 90)}, "particles 0 to 89"),
    "a particle left out": ("path", {"anchors": (5, 0)}, "particle 5 was left out"),
    "an anchor left out": ("graph", {"anchors": (0, 5)}, "particle 5 was left out"),
    "an anchor that is not there": ("graph", {"anchors": (0, 90)}, "particles 0 to 89"),
    "more anchors than frames": (
        "graph",
        {"anchors": (0, 1, 2), "frames": 2, "neighbours": 80, "mean_neighbours": 80},
        "for 2 frames",
    ),
    "anchors that no path joins": (
        "graph",
        {"anchors": (0, 1), "neighbours": 1, "mean_neighbours": 0.5},
        "particles 0 and 1 are not connected.*--mean-neighbours",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_leave_nothing_behind(case: str, run: Path, tmp_path: Path) -> None:
    kind, settings, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        write_series(run, kind, tmp_path / "out", SeriesSettings(**settings))
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"percentiles": (97.0, 3.0)}, "percentiles must rise"),
        ({"frames": 1}, "at least two frames"),
        ({"clusters": 0}, "at least one cluster"),
        ({"anchors": (3,)}, "at least two anchors"),
        ({"axis": 0}, "counted from 1"),
    ],
)
def test_settings_out_of_range(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        SeriesSettings(**settings)
    with pytest.raises(UnknownName, match="k-means"):
        SeriesSettings(clustering="k-mean")
    with pytest.raises(UnknownName, match="k-means"):
        SeriesSettings(anchors="kmeans")


def test_runs_without_what_a_kind_needs(run: Path, dataset, tmp_path: Path) -> None:
    store_run(dataset, tmp_path / "classes")
    with pytest.raises(ValueError, match="has none"):
        write_series(tmp_path / "classes", "simple", tmp_path / "out")
    bare = replace(load_reconstruction(run), latents=None, posteriors=np.eye(3)[dataset.truth.states])
    save_reconstruction(bare, tmp_path / "bare", pixel_size=PIXEL_SIZE)
    with pytest.raises(ValueError, match="no latents"):
        write_series(tmp_path / "bare", "cluster", tmp_path / "out")
    with pytest.raises(FormatError):
        write_series(tmp_path / "nowhere", "cluster", tmp_path / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="already exists"):
        write_series(run, "simple", tmp_path / "out")


def test_an_axis_is_decoded_through_the_mean(run: Path, tmp_path: Path) -> None:
    written = write_series(run, "pca", None, SeriesSettings(frames=5, percentiles=(10, 90)))
    assert written[0] == run / "series" / "pca-1" / "frame-000.mrc"
    found = load_series(run / "series" / "pca-1")
    own = np.delete(load_reconstruction(run).latents, 5, axis=0)
    fitted = PCA(1).fit(own)
    along = fitted.transform(own)[:, 0] * np.sign(fitted.components_[0][np.abs(fitted.components_[0]).argmax()])
    np.testing.assert_allclose(found.positions[[0, -1]], np.percentile(along, [10, 90]), rtol=1e-6)
    offsets = found.latents - fitted.mean_
    np.testing.assert_allclose(offsets @ np.array([[0, 1], [-1, 0]]) @ fitted.components_[0], 0, atol=1e-7)
    assert "principal axis 1" in found.title
    check_decoded(run, found)
    assert list(list_series(run)) == ["pca-1"]


def test_centres_are_particles_with_the_sizes_of_their_clusters(run: Path, dataset, tmp_path: Path) -> None:
    write_series(run, "k-means", tmp_path / "out", SeriesSettings(clusters=3))
    found = load_series(tmp_path / "out")
    states = dataset.truth.states
    assert states[found.particles].tolist() == [0, 1, 2]  # along the line that they stand on
    sizes = [int((np.delete(states, 5) == state).sum()) for state in range(3)]
    np.testing.assert_array_equal(found.counts, sizes)
    assert found.positions is None
    np.testing.assert_array_equal(found.latents, np.float64(load_reconstruction(run).latents)[found.particles])
    check_decoded(run, found)


def test_a_graph_goes_around_a_ring_by_particles(run: Path, tmp_path: Path) -> None:
    angles = 2 * np.pi * np.arange(N) / N
    changed = replace(load_reconstruction(run), latents=np.stack([np.cos(angles), np.sin(angles)], axis=1))
    save_reconstruction(changed, tmp_path / "ring", pixel_size=PIXEL_SIZE)
    settings = SeriesSettings(anchors=(10, 50), frames=9, neighbours=2, mean_neighbours=2)
    write_series(tmp_path / "ring", "graph", tmp_path / "out", settings)
    found = load_series(tmp_path / "out")
    np.testing.assert_array_equal(found.particles, np.arange(10, 51, 5))
    np.testing.assert_allclose(np.linalg.norm(found.latents, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.diff(found.positions), 5 * 2 * np.sin(np.pi / N))
    about = json.loads((tmp_path / "out" / "series.json").read_text())
    assert (about["anchors"], about["path"]) == ([10, 50], list(range(10, 51)))
    # Between the centres of clusters, and between the ends of the first axis.
    for name, anchors in (("centres", "k-means"), ("axis", None)):
        some = replace(settings, anchors=anchors, clusters=4, neighbours=4, mean_neighbours=4)
        write_series(tmp_path / "ring", "graph", tmp_path / name, some)
        about = json.loads((tmp_path / name / "series.json").read_text())
        assert len(about["anchors"]) == (4 if anchors else 2)
        assert set(about["anchors"]) <= set(load_series(tmp_path / name).particles.tolist())


def check_decoded(run: Path, found: VolumeSeries) -> None:
    model = load_reconstruction(run).model
    for index, latent in enumerate(found.latents):
        expected = model["mean"] + np.tensordot(latent, model["components"], axes=1)
        np.testing.assert_allclose(found.volumes.read(index), expected, atol=1e-5)


def test_classes_are_decoded_at_particles_and_nowhere_else(dataset, tmp_path: Path) -> None:
    store_run(dataset, tmp_path / "run", decodes_by="classes")
    write_series(tmp_path / "run", "k-means", tmp_path / "out", SeriesSettings(clusters=3))
    found = load_series(tmp_path / "out")
    volumes = load_reconstruction(tmp_path / "run").model["volumes"]
    for index, state in enumerate(dataset.truth.states[found.particles]):
        np.testing.assert_array_equal(found.volumes.read(index), volumes[state])
    with pytest.raises(ValueError, match="of its classes only, not at any latent: choose k-means"):
        write_series(tmp_path / "run", "pca", tmp_path / "none")


@pytest.mark.parametrize("box", [9, 12])
@pytest.mark.parametrize("kind", ["pca", "cluster"])
def test_previews_are_fourier_cropped(run: Path, tmp_path: Path, kind: str, box: int) -> None:
    settings = SeriesSettings(frames=2, clusters=2)
    whole = write_series(run, kind, tmp_path / "whole", settings)
    small = write_series(run, kind, tmp_path / "small", settings, box_size=box)
    for one, other in zip(whole, small, strict=True):
        expected = fourier_crop(torch.from_numpy(np.array(read_volume(one)[0])), box, dimensions=3).numpy()
        volume, pixel_size = read_volume(other)
        np.testing.assert_allclose(volume, expected, atol=1e-5 * np.abs(expected).max())
        assert pixel_size == pytest.approx(PIXEL_SIZE * 16 / box)
    for wrong in (17, 3):
        with pytest.raises(ValueError, match=rf"{wrong} px were requested \(--box\).*4 to 16 px"):
            write_series(run, kind, tmp_path / "none", settings, box_size=wrong)
        with pytest.raises(ValueError, match="4 to 16 px"):
            write_volumes(run, tmp_path / "none", particles=[0], box_size=wrong)
    assert not (tmp_path / "none").exists()
    (volume,) = write_volumes(run, tmp_path / "volumes", particles=[0], box_size=box)
    assert read_volume(volume)[0].shape == (box,) * 3


def test_an_interrupted_series_goes_on(run: Path, tmp_path: Path, monkeypatch) -> None:
    written = []

    def stop(path: Path, *arguments):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        write_volume(path, *arguments)

    settings = SeriesSettings(frames=4)
    monkeypatch.setattr(volume_folder, "write_volume", stop)
    with pytest.raises(KeyboardInterrupt):
        write_series(run, "simple", tmp_path / "out", settings)
    assert not (tmp_path / "out" / "series.json").exists()
    with pytest.raises(FormatError, match="of another call, which differs in rows, settings, volumes"):
        write_series(run, "simple", tmp_path / "out", SeriesSettings(frames=5))

    def note(path: Path, *arguments):
        written.append(path.name)
        write_volume(path, *arguments)

    monkeypatch.setattr(volume_folder, "write_volume", note)
    write_series(run, "simple", tmp_path / "out", settings)
    assert written == [f"frame-00{index}.mrc" for index in range(4)]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *written,
        "series.csv",
        "series.json",
        "call.json",
    }
    whole = write_series(run, "simple", tmp_path / "whole", settings)
    for path in whole:
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    written.clear()
    assert write_series(run, "simple", tmp_path / "out", settings) == [tmp_path / "out" / path.name for path in whole]
    assert not written  # already finished
    with pytest.raises(FileExistsError, match="already exists"):
        write_series(run, "simple", tmp_path / "out", SeriesSettings(frames=5))


def test_a_series_that_fails_at_once_leaves_no_folder(run: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(volume_folder, "write_volume", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_series(run, "simple", tmp_path / "out", SeriesSettings(frames=3))
    assert not list(tmp_path.glob("*out*"))


def test_damaged_series_are_refused(run: Path, tmp_path: Path) -> None:
    write_series(run, "pca", tmp_path / "out", SeriesSettings(frames=3))
    text = (tmp_path / "out" / "series.csv").read_text()
    (tmp_path / "out" / "series.csv").write_text(text.replace("latent_1", "first"))
    with pytest.raises(FormatError, match=r"not a volume series.*latent_1"):
        load_series(tmp_path / "out")
    (tmp_path / "out" / "series.csv").write_text(text.replace(".mrc,", ".mrc,zero", 1))
    with pytest.raises(FormatError, match=r"'zero\d+', expected a number"):
        load_series(tmp_path / "out")


@pytest.mark.parametrize("kind", ["cluster", "k-means"])
def test_command_line(run: Path, tmp_path: Path, kind: str, monkeypatch, capsys) -> None:
    words = ["cryobench", "series", str(run), kind, "-o", str(tmp_path / "out"), "--clusters", "3", "--box", "8"]
    monkeypatch.setattr(sys, "argv", words)
    with contextlib.suppress(SystemExit):
        run_cli()
    printed = capsys.readouterr()
    assert "3 volumes " in printed.out, printed.err
    assert "particles) ->" in printed.out.replace("\n", "")


def test_anchors_as_the_command_line_takes_them() -> None:
    assert parse_anchors("12,340, 7") == (12, 340, 7)
    assert parse_anchors("k-means") == "k-means"
    assert parse_anchors(None) is None
    for text in ("1,-2", "", "1;2", "1.5,2"):
        with pytest.raises(ValueError, match="as 12,340"):
            parse_anchors(text)


def test_percentiles_as_the_command_line_takes_them() -> None:
    assert parse_percentiles("2.5:90") == (2.5, 90)
    for text in ("3-97", "3:", "a:b"):
        with pytest.raises(ValueError, match="LOW:HIGH"):
            parse_percentiles(text)
