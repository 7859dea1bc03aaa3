"""Distributions along collective variables: transport on line and circle, bins, uninformative answers."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from cryobench.data import CollectiveVariable
from cryobench.metrics.variables.distributions import Distributions
from cryobench.metrics.variables.neighbourhoods import Neighbourhoods
from cryobench.metrics.variables.profiles import Comparison, choose_bins, compare_distributions, free_energy
from cryobench.metrics.variables.transport import earth_movers_distance
from labelled import classified, embedded, labelled_dataset

TURN = 2 * np.pi
NAMES = ("distribution-error", "distribution-kl", "free-energy-error")


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryobench.metrics.variables.profiles._RESAMPLES", 100)


def test_transport_on_a_line_is_scipys(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=40), rng.exponential(size=31)
    weights = rng.random(31)
    assert earth_movers_distance(first, second) == pytest.approx(wasserstein_distance(first, second))
    expected = wasserstein_distance(first, second, None, weights)
    assert earth_movers_distance(first, second, second_weights=weights) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 21])
def test_transport_on_a_circle_is_the_best_assignment(n: int, rng: np.random.Generator) -> None:
    first, second = rng.uniform(-7, 20, n), rng.uniform(0, 3, n)
    apart = np.abs(first[:, None] - second) % 5.0
    apart = np.minimum(apart, 5.0 - apart)
    expected = apart[linear_sum_assignment(apart)].mean()
    assert earth_movers_distance(first, second, period=5.0) == pytest.approx(expected)


def test_transport_in_closed_form() -> None:
    around = np.arange(360) * TURN / 360
    assert earth_movers_distance(around, np.zeros(1), period=TURN) == pytest.approx(TURN / 4)
    assert earth_movers_distance(np.array([0.1]), np.array([TURN - 0.1]), period=TURN) == pytest.approx(0.2)
    assert earth_movers_distance(np.array([0.1]), np.array([TURN - 0.1])) == pytest.approx(TURN - 0.2)
    assert earth_movers_distance(around, around + 0.25 * TURN, period=TURN) == pytest.approx(0, abs=1e-12)


def test_transport_refuses_what_is_no_distribution() -> None:
    with pytest.raises(ValueError, match="1 not finite"):
        earth_movers_distance(np.array([0.0, np.nan]), np.zeros(2))
    with pytest.raises(ValueError, match="got 0"):
        earth_movers_distance(np.zeros(0), np.zeros(2))
    with pytest.raises(ValueError, match="not all zero"):
        earth_movers_distance(np.zeros(2), np.zeros(2), first_weights=np.zeros(2))
    with pytest.raises(ValueError, match="2 values but 3 weights"):
        earth_movers_distance(np.zeros(2), np.zeros(2), first_weights=np.ones(3))
    with pytest.raises(ValueError, match="period must be positive"):
        earth_movers_distance(np.zeros(2), np.zeros(2), period=0.0)


@pytest.mark.parametrize("period", [None, 1.0])
@pytest.mark.parametrize("n_states", [3, 20, 40, 100])
def test_states_never_fall_on_an_edge(period: float | None, n_states: int, rng: np.random.Generator) -> None:
    values = np.repeat(np.arange(n_states) / n_states, 12)
    bins = choose_bins(values, period=period)
    shaken = values + rng.uniform(-1e-9, 1e-9, len(values))
    assert np.array_equal(bins.assign(values), bins.assign(shaken))
    assert bins.count(values).sum() == len(values)
    # Bins are about equal: 100 states fall five to each of 20.
    if n_states == 100:
        assert set(bins.count(values)) <= {48, 60, 72}
    assert np.allclose(bins.low[1:], bins.high[:-1])
    if period is not None:
        assert bins.high[-1] - bins.low[0] == pytest.approx(period)


def test_free_energy_in_closed_form() -> None:
    counts = np.array([9, 0, 3])
    assert free_energy(counts) == pytest.approx(-np.log(np.array([9.5, 0.5, 3.5]) / 13.5))


def test_classes_average_what_they_hold(rng: np.random.Generator) -> None:
    values = rng.uniform(size=40)
    classes = np.repeat([0, 7, 9], [20, 18, 2])
    found, certainty = Neighbourhoods(classes).average(values)
    assert (certainty == 1).all()
    assert found[:20] == pytest.approx(np.full(20, values[:20].mean()))
    assert found[38:] == pytest.approx(np.full(2, values.mean()))  # too few to have a mean of their own
    angles = np.r_[np.full(20, 0.1), np.full(20, TURN - 0.3)]
    found, certainty = Neighbourhoods(np.zeros(40, int)).average(angles, period=TURN)
    assert found == pytest.approx(np.full(40, TURN - 0.1))
    assert certainty == pytest.approx(np.full(40, np.cos(0.2)))


def test_neighbours_average_without_the_particle_itself() -> None:
    latents = np.arange(49, dtype=float)[:, None] ** 1.01
    places = Neighbourhoods(None, latents)
    assert places.source == "neighbours"
    values = np.zeros(49)
    values[24] = 1.0
    found, _ = places.average(values)
    assert found[24] == 0
    assert found[23] == pytest.approx(1 / 7)
    assert Neighbourhoods(None, np.repeat(latents[:4], 12, axis=0)).source == "classes"


def circle_data(rng: np.random.Generator, n_states: int = 20, n: int = 1000):
    states = rng.permutation(np.arange(n) % n_states)
    angle = TURN * states / n_states
    truth = {
        "embedding": np.stack([np.cos(angle), np.sin(angle)], axis=1),
        "variables": {
            "angle": CollectiveVariable(angle, "rad", TURN),
            "height": CollectiveVariable(states.astype(float), "Å"),
            "same": CollectiveVariable(np.ones(n), ""),
        },
    }
    return states, labelled_dataset(states, **truth)


def test_truth_is_right_and_shuffled_labels_know_nothing(rng: np.random.Generator) -> None:
    states, data = circle_data(rng)
    true = Distributions().measure(classified(states), data)
    by_embedding = Distributions().measure(embedded(data.truth.embedding), data)
    for scores in (true, by_embedding):
        for name in NAMES:
            assert scores[name].value == pytest.approx(0, abs=1e-9)
        assert scores.context["constant_variables"] == ["same"]
    shuffled = Distributions().measure(classified(rng.permutation(states)), data)
    # Means over 50 random particles keep 1/√50 of the spread.
    height = shuffled["distribution-error"].items.set_index("variable").loc["height", "value"]
    assert height == pytest.approx(1 - 1 / np.sqrt(50), abs=0.05)
    one = Distributions().measure(embedded(np.zeros((1000, 2))), data)
    assert one["distribution-error"].value == pytest.approx(1.0)
    angle = one["distribution-error"].items.set_index("variable").loc["angle"]
    assert angle["emd"] == pytest.approx(TURN / 4)
    for name in NAMES:
        assert shuffled[name].value > true[name].value
        assert shuffled[name].low <= shuffled[name].value <= shuffled[name].high


def test_coarser_classes_score_between(rng: np.random.Generator) -> None:
    states, data = circle_data(rng)
    found = [
        Distributions().measure(classified(states // merged), data)["distribution-error"].value
        for merged in (1, 2, 20)
    ]
    assert found == sorted(found)
    # Merging two equal steps moves each value by half a step.
    pairs = Distributions().measure(classified(states // 2), data)["distribution-error"].items
    assert pairs.set_index("variable")["emd"]["height"] == pytest.approx(0.5)
    # On the circle, half a step as well, and 1 - cos(half a step) of the mass comes from the mean of all, 0.
    assert TURN / 40 < pairs.set_index("variable")["emd"]["angle"] < TURN / 40 + (1 - np.cos(TURN / 40)) * TURN / 4


def test_random_latents_know_little(rng: np.random.Generator) -> None:
    _, data = circle_data(rng)
    scores = Distributions().measure(embedded(rng.normal(size=(1000, 4))), data)
    assert (scores["distribution-error"].items["value"] > 0.75).all()
    assert scores.context["values_from"] == "neighbours"


def test_halved_values_score_half_and_the_interval_holds_it(rng: np.random.Generator) -> None:
    true = rng.normal(size=400)
    # On a line, values shrunk to half towards the mean are carried half as far as all mass at the mean.
    shrunk = true.mean() + (true - true.mean()) / 2
    compared = compare_distributions(true, shrunk)
    assert compared["distribution-error"] == pytest.approx(0.5)
    assert compared["emd-of-mean"] == pytest.approx(np.abs(true - true.mean()).mean())
    samples = Comparison(true, shrunk, np.ones(400), None).resample(seed=0)
    assert samples[:, 0].mean() == pytest.approx(0.5, abs=0.02)
    assert samples[:, 0].std() == pytest.approx(0.5 * np.abs(true).std() / np.abs(true).mean() / 20, rel=0.4)


def test_resamples_on_a_circle_are_of_the_distance_on_a_circle(rng: np.random.Generator) -> None:
    true = rng.normal(scale=0.3, size=500)  # around the origin, where the circle is cut
    comparison = Comparison(true, true + 1.0, np.ones(500), TURN)
    value = comparison.measure()["distribution-error"]
    assert value == pytest.approx(1.0 / np.abs(true - true.mean()).mean(), rel=0.01)
    assert comparison.resample(seed=0)[:, 0].mean() == pytest.approx(value, rel=0.02)


def test_junk_and_gaps_are_left_out_and_particles_without_a_latent_are_at_the_mean(rng: np.random.Generator) -> None:
    states, _ = circle_data(rng, n_states=10, n=400)
    height = states.astype(float)
    height[:10] = np.nan
    junk = states.copy()
    junk[10:30] = -1
    latents = states[:, None].astype(float)
    latents[30:35] = np.inf
    data = labelled_dataset(junk, variables={"height": CollectiveVariable(height, "Å")})
    scores = Distributions().measure(embedded(latents), data)
    assert scores.context["n_particles"] == 370
    assert (scores.context["n_unknown"], scores.context["n_left_out"]) == (30, 5)
    assert scores.context["coverage"] == 365 / 370
    # Mass that goes to the mean from either side takes the shortest way.
    known = height[np.isfinite(height) & (junk >= 0)]
    to_mean = np.abs(height[30:35] - known.mean()).sum() / np.abs(known - known.mean()).sum()
    assert scores["distribution-error"].value == pytest.approx(to_mean)
    whole = Distributions().measure(embedded(states[:, None].astype(float)), data)
    assert whole["distribution-error"].value == pytest.approx(0, abs=1e-6)


def test_variables_that_do_not_vary_or_are_unknown_keep_no_particle_out() -> None:
    states = np.arange(100) // 10
    known = {"height": CollectiveVariable(states * 1.0, "Å")}
    partly = np.where(np.arange(100) < 50, 7.0, np.nan)
    others = {"mass": CollectiveVariable(partly, "kDa"), "angle": CollectiveVariable(np.full(100, np.nan), "rad")}
    alone, beside = (
        Distributions().measure(classified(states), labelled_dataset(states, variables=variables))
        for variables in (known, known | others)
    )
    assert beside.context["n_particles"] == 100
    assert beside.context["constant_variables"] == ["angle", "mass"]
    assert beside["distribution-error"].value == alone["distribution-error"].value


def test_few_particles_with_a_latent_among_very_many_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryobench.metrics.variables.distributions.MOST_PARTICLES", 100)
    states = np.arange(1000) // 100
    latents = np.full((1000, 1), np.nan)
    latents[1::20] = states[1::20, None]  # none of every tenth particle
    data = labelled_dataset(states, variables={"height": CollectiveVariable(states * 1.0, "Å")})
    assert Distributions().explain_missing(embedded(latents), data) is None
    scores = Distributions().measure(embedded(latents), data)
    assert scores.context["n_particles"] == 140
    assert np.isfinite(scores["distribution-error"].value)


def test_why_it_is_not_measured(rng: np.random.Generator) -> None:
    metric = Distributions()
    states = np.repeat([0, 1], 30)
    constant = labelled_dataset(states, variables={"same": CollectiveVariable(np.ones(60), "")})
    assert "that varies" in (metric.explain_missing(classified(states), constant) or "")
    few = labelled_dataset(states[20:40], variables={"x": CollectiveVariable(states[20:40] * 1.0, "")})
    assert "there are 20" in (metric.explain_missing(classified(states[20:40]), few) or "")
    with pytest.raises(ValueError, match="all the same"):
        compare_distributions(np.ones(50), np.ones(50))
    with pytest.raises(ValueError, match="got 39 and 50"):
        compare_distributions(np.ones(50), np.ones(39))
