"""Volume series of finished runs: along components, of clusters, of windows, along paths; and what is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryobench._errors import FormatError, UnknownName
from cryobench.cli.series import parse_percentiles
from cryobench.compute import Compute
from cryobench.data import Components, DatasetIdentity, LatentDensity, LatentPath, Reconstruction, RunRecord
from cryobench.experiment import series
from cryobench.experiment.series import SeriesSettings, write_series
from cryobench.io.mrc import read_volume
from cryobench.io.store import load_reconstruction, save_reconstruction
from cryobench.latents.groups import triangular_weights
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.statistics import backproject
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


def entries(folder: Path) -> list[dict]:
    return json.loads((folder / "series.json").read_text())["frames"]


def correlation(first, second) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_simple_goes_along_one_component(run: Path, tmp_path: Path) -> None:
    settings = SeriesSettings(component=1, frames=5, percentiles=(10, 90))
    written = write_series(run, "simple", tmp_path / "out", settings)
    assert [path.name for path in written] == [f"frame-00{index}.mrc" for index in range(5)]
    latents = np.array([entry["latent"] for entry in entries(tmp_path / "out")])
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
        "component": 1,
        "frames": 5,
        "percentiles": [10, 90],
    }


@pytest.mark.parametrize("clustering", ["k-means", "gmm"])
def test_clusters_are_back_projected_and_counted(run: Path, dataset, tmp_path: Path, clustering: str) -> None:
    settings = SeriesSettings(clusters=3, clustering=clustering)
    written = write_series(run, "cluster", tmp_path / "out", settings)
    states = dataset.truth.states.copy()
    states[5] = -1  # left out of the run, hence of the clusters
    frames = entries(tmp_path / "out")
    assert [entry["particles"] for entry in frames] == [int((states == state).sum()) for state in range(3)]
    weights = (states[:, None] == np.arange(3)).astype(np.float32)
    expected = backproject(Passes(dataset.particles, Compute()), weights)
    for path, volume, entry, place in zip(written, expected, frames, (-1, 0, 1), strict=True):
        np.testing.assert_allclose(read_volume(path)[0], volume, atol=1e-5 * np.abs(volume).max())
        assert entry["latent"][0] == pytest.approx(place, abs=0.1)


def test_intermediates_are_weighted_windows_over_ranks(run: Path, dataset, tmp_path: Path) -> None:
    written = write_series(run, "intermediates", tmp_path / "out", SeriesSettings(frames=3))
    frames = entries(tmp_path / "out")
    assert sum(entry["weight"] for entry in frames) == pytest.approx(N - 1)
    assert frames[1]["weight"] == pytest.approx(2 * frames[0]["weight"], rel=0.05)
    latents = np.array([entry["latent"][0] for entry in frames])
    assert (np.diff(latents) > 0.4).all()
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


def test_windows_beyond_memory_take_more_passes_and_give_the_same(dataset, rng) -> None:
    weights = rng.uniform(0, 1, (N, 3)).astype(np.float32)
    together = list(series._backproject(dataset, weights, RunContext()))
    apart = list(series._backproject(dataset, weights, RunContext(compute=Compute(memory=1))))
    np.testing.assert_array_equal(np.stack(apart), np.stack(together))


def test_a_path_is_straight_without_a_density(run: Path, tmp_path):
    written = write_series(run, "path", tmp_path / "out", SeriesSettings(frames=4, first=0, last=7))
    found = load_reconstruction(run)
    latents = np.array([entry["latent"] for entry in entries(tmp_path / "out")])
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
    write_series(tmp_path / "ring", "path", tmp_path / "own")
    np.testing.assert_allclose([entry["latent"] for entry in entries(tmp_path / "own")], kept)
    write_series(tmp_path / "ring", "path", tmp_path / "around", SeriesSettings(frames=9, first=0, last=1))
    around = np.array([entry["latent"] for entry in entries(tmp_path / "around")])
    assert np.linalg.norm(around, axis=1).min() > 0.7  # along the ring, not across its empty middle


REFUSED = {
    "an unknown kind": ("sample", {}, "no kind of series named 'sample'.* Did you mean 'simple'"),
    "a component that is not there": ("simple", {"component": 2}, "components 0 to 1"),
    "a window per particle and more": ("intermediates", {"frames": 90}, "only 89 latents"),
    "more clusters than latents": ("cluster", {"clusters": 90}, "only 89 latents"),
    "no path of its own": ("path", {}, "--from and --to"),
    "a particle that is not there": ("path", {"first": 0, "last": 90}, "particles 0 to 89"),
    "a particle left out": ("path", {"first": 5, "last": 0}, "particle 5 was left out"),
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
        ({"percentiles": (97.0, 3.0)}, "percentiles rise"),
        ({"frames": 1}, "at least two frames"),
        ({"clusters": 0}, "at least one cluster"),
        ({"first": 3}, "both --from and --to"),
    ],
)
def test_settings_out_of_range(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        SeriesSettings(**settings)
    with pytest.raises(UnknownName, match="k-means"):
        SeriesSettings(clustering="k-mean")


def test_runs_without_what_a_kind_needs(run: Path, dataset, tmp_path: Path) -> None:
    store_run(dataset, tmp_path / "classes")
    with pytest.raises(ValueError, match="found none"):
        write_series(tmp_path / "classes", "simple", tmp_path / "out")
    bare = replace(load_reconstruction(run), latents=None, posteriors=np.eye(3)[dataset.truth.states])
    save_reconstruction(bare, tmp_path / "bare", pixel_size=PIXEL_SIZE)
    with pytest.raises(ValueError, match="no latents"):
        write_series(tmp_path / "bare", "cluster", tmp_path / "out")
    with pytest.raises(FormatError):
        write_series(tmp_path / "nowhere", "cluster", tmp_path / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        write_series(run, "simple", tmp_path / "out")


def test_an_interrupted_series_leaves_no_folder(run: Path, tmp_path: Path, monkeypatch) -> None:
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(series, "write_volume", stop)
    with pytest.raises(KeyboardInterrupt):
        write_series(run, "simple", tmp_path / "out", SeriesSettings(frames=3))
    assert not list(tmp_path.glob("*out*"))


def test_command_line(run: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cryobench", "series", str(run), "cluster", "-o", str(tmp_path / "out")]
    done = subprocess.run([*command, "--clusters", "3"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 volumes, of " in done.stdout


def test_percentiles_as_the_command_line_takes_them() -> None:
    assert parse_percentiles("2.5:90") == (2.5, 90)
    for text in ("3-97", "3:", "a:b"):
        with pytest.raises(ValueError, match="LOW:HIGH"):
            parse_percentiles(text)
