"""FSC of deviations and where the truth varies: closed forms, laws with the controls, and what is refused."""

import dataclasses

import numpy as np
import pytest

from cryobench.data import Dataset, IndexedVolumes, Reconstruction
from cryobench.methods import get_method
from cryobench.metrics import FscCurve, fsc, fsc_auc
from cryobench.metrics.volumes import query_pairs
from cryobench.metrics.volumes.deviations import Moments, correlate_deviations, find_moments
from cryobench.metrics.volumes.heterogeneity import HeterogeneityFsc, heterogeneity_fsc
from cryobench.metrics.volumes.query_pairs import QueryPairs
from cryobench.metrics.volumes.variance_mask import (
    correlate_best_map,
    correlate_where_varying,
    make_variance_mask,
)
from toy import toy_dataset

SIZES = [14, 15]


def quarter_turned(volume: np.ndarray) -> np.ndarray:
    """Every pair of frequencies ±k turned in phase by ±90 degrees: orthogonal to the volume in every shell."""
    size = len(volume)
    index = np.round(np.fft.fftfreq(size, 1 / size)).astype(int)
    z, y, x = np.meshgrid(index, index, index, indexing="ij")
    side = np.where(z != 0, np.sign(z), np.where(y != 0, np.sign(y), np.sign(x)))
    # Planes of the Nyquist frequency are their own opposite; they lie beyond the last shell.
    side[(2 * abs(z) == size) | (2 * abs(y) == size) | (2 * abs(x) == size)] = 0
    return np.fft.ifftn(np.fft.fftn(volume) * 1j * side).real


def moments_of(volumes: np.ndarray, true_volumes: np.ndarray, states: np.ndarray) -> Moments:
    """Moments of volumes with the true volumes of their states."""
    rows = np.arange(len(states))
    sources = IndexedVolumes(volumes, rows), IndexedVolumes(true_volumes, np.arange(len(true_volumes)))
    return find_moments(QueryPairs(rows, rows, states, *sources))


def deviation_curves(moments: Moments, mask: np.ndarray | None = None) -> dict[int, FscCurve]:
    """FSC of the deviation of every volume whose true volume deviates, by its row."""
    of_rows = correlate_deviations(moments, {"": mask})
    return {int(moments.pairs.particles[row]): curves[""] for row, curves in of_rows}


@pytest.mark.parametrize("size", SIZES)
def test_deviations_turned_in_phase_score_the_cosine(rng: np.random.Generator, size: int) -> None:
    """Exact in every shell, whatever the rigid part, its error, the scale and the constant."""
    angle = 0.7
    deviations = rng.standard_normal((5, size, size, size))
    deviations -= deviations.mean(axis=0)
    rigid, wrong_rigid = 30 * rng.standard_normal((2, size, size, size))
    turned = np.stack([np.cos(angle) * one + np.sin(angle) * quarter_turned(one) for one in deviations])
    volumes = (0.02 * (wrong_rigid + turned) + 1.5).astype(np.float32)
    curves = deviation_curves(moments_of(volumes, (rigid + deviations).astype(np.float32), np.arange(5)))
    assert sorted(curves) == list(range(5))
    for curve in curves.values():
        np.testing.assert_allclose(curve.values, np.cos(angle), atol=2e-4)
        assert fsc_auc(curve, normalised=True) == pytest.approx(np.cos(angle), abs=1e-4)


def test_deviations_are_those_from_the_mean_over_queries_not_over_states(rng: np.random.Generator) -> None:
    true_volumes = rng.standard_normal((3, 12, 12, 12)).astype(np.float32)
    states = np.array([0, 2, 2, 2, 0, 1])
    volumes = rng.standard_normal((6, 12, 12, 12)).astype(np.float32)
    mask = rng.random((12, 12, 12)).astype(np.float32)
    curves = deviation_curves(moments_of(volumes, true_volumes, states), mask)
    assert sorted(curves) == list(range(6))
    of_queries = true_volumes[states]
    for row, curve in curves.items():
        expected = fsc(volumes[row] - volumes.mean(axis=0), of_queries[row] - of_queries.mean(axis=0), mask)
        np.testing.assert_allclose(curve.values[2:], expected.values[2:], atol=1e-5)
        np.testing.assert_array_equal(curve.values[:2], curve.values[2])


@pytest.mark.parametrize("size", SIZES)
def test_no_single_map_beats_the_best_one_and_it_is_attained(rng: np.random.Generator, size: int) -> None:
    true_volumes = (rng.standard_normal((4, size, size, size)) + rng.standard_normal((size,) * 3)).astype(np.float32)
    states = np.array([0, 1, 1, 2, 3])
    moments = moments_of(true_volumes[states], true_volumes, states)
    mask = make_variance_mask(moments.true_variance, 2.0, enclosed_variance=0.6).values.numpy()
    best = correlate_best_map(moments, mask)
    one_state = np.repeat(true_volumes[:1], len(states), axis=0)
    level = (true_volumes[states].mean(axis=0) * mask).sum() / mask.sum()
    masked = [(true_volumes[state] - level) * mask for state in states]
    spectra = np.fft.fftn(np.stack(masked).astype(np.float64), axes=(1, 2, 3))
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*[np.fft.fftfreq(size, 1 / size)] * 3)))
    for shell in range(2, size // 2):
        inside = (np.round(radius**2) >= (shell - 1) ** 2) & (np.round(radius**2) < shell**2)
        unit = [one[inside] / np.linalg.norm(one[inside]) for one in spectra]
        assert best.values[shell] == pytest.approx(np.linalg.norm(np.sum(unit, axis=0)) / len(states), abs=1e-5)
    curves = [curve for _, curve in correlate_where_varying(moments_of(one_state, true_volumes, states), mask)]
    assert len(curves) == len(states)
    assert (np.mean([curve.values for curve in curves], axis=0) <= best.values + 1e-6).all()


def test_variance_mask_holds_what_varies_and_is_soft() -> None:
    size = 24
    grid = np.indices((size,) * 3) - size // 2
    variance = np.exp(-((grid - np.array([4, 0, -3]).reshape(3, 1, 1, 1)) ** 2).sum(axis=0) / 8).astype(np.float32)
    mask = make_variance_mask(variance, 5.0)
    values = mask.values.numpy()
    held = variance[values == 1].sum() / variance.sum()
    assert 0.9 <= held < 0.99
    assert ((values > 0) & (values < 1)).any()
    assert values[12 + 4, 12, 12 - 3] == 1
    assert values[12 - 5, 12, 12 + 4] == 0
    assert mask.recipe["enclosed_mass"] == 0.9
    assert mask.recipe["dilation"] == 5.0
    wider = make_variance_mask(variance, 5.0, enclosed_variance=0.99)
    assert wider.values.sum() > mask.values.sum()
    assert wider.sha256 != mask.sha256


@pytest.fixture(scope="module")
def toy() -> Dataset:
    return toy_dataset()


@pytest.fixture(scope="module")
def controls(toy: Dataset) -> dict[str, Reconstruction]:
    assert toy.truth is not None
    names = ("truth", "truth-backprojection", "consensus", "shuffled-truth", "random-latent")
    return {
        name: get_method(name)().with_truth(toy.truth).reconstruct(toy.particles, queries=toy.queries)  # type: ignore[attr-defined]
        for name in names
    }


def test_truth_is_one_one_map_is_the_floor_and_labels_count(toy, controls) -> None:
    scores = {name: heterogeneity_fsc(result, toy) for name, result in controls.items()}
    for name in ("deviation-fsc-auc-normalised", "deviation-fsc-auc-normalised-masked"):
        value = {method: measured[name].value for method, measured in scores.items()}
        assert value["truth"] == pytest.approx(1, abs=1e-9)
        assert value["consensus"] == value["random-latent"] == 0
        assert (scores["consensus"][name].low, scores["consensus"][name].high) == (0, 0)
        assert value["shuffled-truth"] < 0.3 < 0.5 < value["truth-backprojection"] < 1
    gain = {method: measured["variance-fsc-gain"].value for method, measured in scores.items()}
    assert gain["truth"] == pytest.approx(1, abs=1e-9)
    assert gain["consensus"] <= 0
    assert gain["shuffled-truth"] < 0.2 < gain["truth-backprojection"] < 1
    for measured in scores.values():
        whole, normalised = measured["variance-fsc-auc"].value, measured["variance-fsc-auc-normalised"].value
        assert whole == pytest.approx(normalised * 11 / 24)


def changed(result: Reconstruction, change) -> Reconstruction:
    assert result.volumes is not None
    volumes = [change(result.volumes.read(item).astype(np.float64)) for item in range(len(result.queries))]
    stack = np.stack(volumes).astype(np.float32)
    return dataclasses.replace(result, volumes=IndexedVolumes(stack, np.arange(len(stack))))


@pytest.mark.parametrize("name", ["truth", "truth-backprojection", "consensus"])
def test_a_scale_and_a_constant_change_nothing(toy, controls, name) -> None:
    result = controls[name]
    size = np.abs(result.volumes.read(0)).max()
    before = heterogeneity_fsc(result, toy)
    after = heterogeneity_fsc(changed(result, lambda volume: -0.7 * size + 4.0 * volume), toy)
    for key in before.scores:
        assert after[key].value == pytest.approx(before[key].value, abs=1e-5), key


def test_rounding_is_no_deviation(toy, controls) -> None:
    generator = np.random.default_rng(0)
    noisy = changed(
        controls["consensus"], lambda volume: volume * (1 + 1e-7 * generator.standard_normal(volume.shape))
    )
    assert heterogeneity_fsc(noisy, toy)["deviation-fsc-auc"].value == 0
    small = changed(controls["truth"], lambda volume: 1000 + volume)
    assert heterogeneity_fsc(small, toy)["deviation-fsc-auc-normalised"].value > 0.9


class CountingVolumes:
    """A volume source that remembers what was read."""

    def __init__(self, volumes: np.ndarray) -> None:
        self.volumes, self.reads = volumes, []

    @property
    def box_size(self) -> int:
        return self.volumes.shape[-1]

    def __len__(self) -> int:
        return len(self.volumes)

    def read(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return self.volumes[index]


def test_repeats_are_compared_once_and_nothing_depends_on_it(monkeypatch, toy, controls) -> None:
    result = controls["truth-backprojection"]
    queries = CountingVolumes(np.stack([result.volumes.read(item) for item in range(len(toy.queries))]))
    truth = CountingVolumes(np.stack([toy.truth.volumes.read(state) for state in range(3)]))
    counted = dataclasses.replace(toy, truth=dataclasses.replace(toy.truth, volumes=truth))
    watched = dataclasses.replace(result, volumes=queries)
    kept = heterogeneity_fsc(watched, counted)
    assert kept.context["n_distinct_volumes"] == 3
    assert len(queries.reads) == len(toy.queries) + 3 + 3
    assert sorted(truth.reads) == [0, 1, 2]
    monkeypatch.setattr(query_pairs, "_KEPT_BYTES", 0)
    streamed = heterogeneity_fsc(watched, counted)
    assert len(truth.reads) > 6
    for key in kept.scores:
        assert streamed[key].value == kept[key].value


def test_masks_are_recorded(toy, controls) -> None:
    scores = heterogeneity_fsc(controls["truth-backprojection"], toy)
    context = scores.context
    assert len(context["variance_mask_sha256"]) == len(context["mask_sha256"]) == 64
    assert context["variance_mask"]["enclosed_mass"] == 0.9
    assert 0 < context["variance_mask_share_of_box"] < 0.5
    assert context["n_states"] == 3
    low, high = context["interval_over_states"]["deviation-fsc-auc"]
    assert low < scores["deviation-fsc-auc"].value < high
    table = scores.curves["deviation-fsc"]
    assert set(table["mask"]) == {"none", "mask"}
    assert set(scores.curves["variance-fsc"]["mask"]) == {"variance"}
    assert len(table) == 2 * len(toy.queries) * 12
    unmasked = dataclasses.replace(toy, particles=dataclasses.replace(toy.particles, mask=None))
    assert "deviation-fsc-auc-masked" not in heterogeneity_fsc(controls["truth"], unmasked).scores


def test_queries_without_a_state_or_a_deviation_are_left_out_and_counted(toy, controls) -> None:
    states = toy.truth.states.copy()
    states[toy.queries[0]] = -1
    unknown = dataclasses.replace(toy, truth=dataclasses.replace(toy.truth, states=states))
    scores = heterogeneity_fsc(controls["truth"], unknown)
    assert scores["deviation-fsc-auc"].n == len(toy.queries) - 1
    assert scores.context["n_unknown_state"] == 1
    np.testing.assert_allclose(scores["deviation-fsc-auc-normalised"].items["value"], 1)
    # Three states in a row, the middle one their mean.
    generator = np.random.default_rng(0)
    middle, step = generator.standard_normal((2, 8, 8, 8)).astype(np.float32)
    row = np.stack([middle - step, middle, middle + step])
    assert sorted(deviation_curves(moments_of(row, row, np.arange(3)))) == [0, 2]


def test_without_heterogeneity_it_is_not_measured_and_says_why(toy, controls) -> None:
    metric = HeterogeneityFsc()
    one_state = dataclasses.replace(toy, truth=dataclasses.replace(toy.truth, states=np.zeros(360, int)))
    assert "the same (1 state)" in (metric.explain_missing(controls["truth"], one_state) or "")
    alike = IndexedVolumes(np.stack([toy.truth.volumes.read(0)] * 3), np.arange(3))
    same = dataclasses.replace(toy, truth=dataclasses.replace(toy.truth, volumes=alike))
    assert "the same (3 states)" in (metric.explain_missing(controls["truth"], same) or "")
    with pytest.raises(ValueError, match="no heterogeneity to score"):
        heterogeneity_fsc(controls["truth"], same)
    unlabelled = dataclasses.replace(toy, truth=dataclasses.replace(toy.truth, states=np.full(360, -1)))
    assert "unlabelled" in (metric.explain_missing(controls["truth"], unlabelled) or "")


def test_what_does_not_fit_is_refused(toy, controls) -> None:
    broken = changed(controls["truth"], lambda volume: volume + np.nan)
    with pytest.raises(ValueError, match="holds NaN"):
        heterogeneity_fsc(broken, toy)
    with pytest.raises(ValueError, match="at least 6 voxels"):
        moments_of(np.zeros((2, 4, 4, 4), np.float32), np.zeros((2, 4, 4, 4), np.float32), np.arange(2))
