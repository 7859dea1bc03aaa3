"""Numbers and pictures behind a card: states, distributions, composition, poses."""

from dataclasses import replace

import numpy as np
import pytest

from cryobench._progress import Silent
from cryobench.data import CollectiveVariable, Dataset, GroundTruth, IndexedVolumes, StateComponents
from cryobench.report.card.composition import lay_out_assembly, occupancy_map
from cryobench.report.card.dataset_tables import direction_map
from cryobench.report.card.state_list import list_states
from cryobench.report.card.states import PICTURE_SIZE, picture_states, view_states
from cryobench.report.card.variables import MOST_BARS, variable_histograms, variable_pair
from cryobench.rotations import rotations_from_quaternions
from fabricated import N_STATES, fabricate_dataset


@pytest.fixture(scope="module")
def dataset():
    return fabricate_dataset()


def _views(dataset: Dataset):
    with Silent().task("states") as task:
        return view_states(dataset, task)


def _with_truth(dataset: Dataset, **changes) -> Dataset:
    return replace(dataset, truth=replace(dataset.truth, **changes))


def test_states_are_spread_and_described(dataset, monkeypatch):
    views = _views(dataset)
    assert [view.state for view in views] == list(range(N_STATES))
    assert sum(view.particles for view in views) == len(dataset.particles)
    assert views[5].variables["dihedral / °"] == pytest.approx(90)
    monkeypatch.setattr("cryobench.report.card.states.MOST_STATES", 8)
    assert [view.state for view in _views(dataset)] == [0, 3, 5, 8, 11, 14, 16, 19]


def test_pictures_are_not_empty_and_tell_states_apart(dataset):
    pictures = picture_states(_views(dataset))
    for picture in pictures:
        assert picture.shape == (PICTURE_SIZE, PICTURE_SIZE)
        assert 0.1 < np.isfinite(picture).mean() < 0.8
    outlines = {np.isfinite(picture).tobytes() for picture in pictures}
    assert len(outlines) == N_STATES


def test_a_lighter_state_looks_smaller(dataset):
    small = dataset.truth.volumes.read(0).copy()
    small[:, :, small.shape[-1] // 2 :] = 0
    volumes = np.stack([dataset.truth.volumes.read(0), small])
    halved = _with_truth(
        dataset, states=np.arange(len(dataset.particles)) % 2, volumes=IndexedVolumes(volumes, np.arange(2))
    )
    whole, half = (np.isfinite(picture).sum() for picture in picture_states(_views(halved)))
    assert half < 0.8 * whole


class _Unread:
    """Volumes of a hundred thousand states of which only a few may be read."""

    box_size = 32

    def __init__(self) -> None:
        self.reads = 0

    def __len__(self) -> int:
        return 100_000

    def read(self, index: int) -> np.ndarray:
        self.reads += 1
        return np.ones((32, 32, 32), np.float32)


def test_few_of_many_states_are_read(dataset):
    volumes = _Unread()
    many = _with_truth(dataset, states=np.linspace(0, 99_999, len(dataset.particles)).astype(int), volumes=volumes)
    assert len(_views(many)) == volumes.reads == 48
    table = list_states(many)
    assert len(table) == 100_000
    assert table["particles"].sum() == len(dataset.particles)
    assert volumes.reads == 48


def test_mean_of_a_state_is_taken_on_the_circle(dataset):
    n = len(dataset.particles)
    values = np.where(np.arange(n) % 2, np.deg2rad(350.0), np.deg2rad(14.0))
    values[:2] = np.nan
    variables = {
        "turn": CollectiveVariable(values, "rad", 2 * np.pi),
        "length": CollectiveVariable(np.arange(n) * 1.0, "Å"),
    }
    turned = _with_truth(dataset, states=np.zeros(n, int), variables=variables)
    assert list_states(turned)["turn / °"][0] == pytest.approx(2.0)
    assert list_states(turned)["length / Å"][0] == pytest.approx((n - 1) / 2)
    assert list_states(turned)["turn / °"][1:].isna().all()


def test_without_volumes_states_are_listed_but_not_shown(dataset):
    labels_only = _with_truth(dataset, volumes=None, rotations=None, shifts=None, variables={}, embedding=None)
    assert _views(labels_only) == []
    assert list_states(labels_only)["particles"].sum() == len(dataset.particles)


def test_histogram_counts_every_known_particle_once(dataset, rng):
    n = len(dataset.particles)
    distance = rng.normal(50, 5, n)
    distance[:7] = np.nan
    turn = rng.uniform(-np.pi, np.pi, n)
    variables = {
        "distance": CollectiveVariable(distance, "Å"),
        "turn": CollectiveVariable(turn, "rad", 2 * np.pi),
        "junk": CollectiveVariable(rng.integers(0, 4, n).astype(float), ""),
        "same": CollectiveVariable(np.ones(n), ""),
        "few": CollectiveVariable(np.arange(n) % 3.0, ""),
    }
    changed = _with_truth(dataset, variables=variables)
    distances, turns, few = variable_histograms(changed)
    assert distances.axis.title == "distance / Å"
    assert distances.counts.sum() == n - 7
    assert turns.counts.sum() == n
    assert len(turns.counts) == MOST_BARS
    assert turns.centres[[0, -1]] == pytest.approx([-175, 175])
    assert turns.turn == pytest.approx((-180, 180))
    np.testing.assert_array_equal(turns.bars[0], turns.centres)
    assert few.centres.tolist() == [0, 1, 2]
    assert few.counts.tolist() == [34, 33, 33]
    pair = variable_pair(changed)
    assert len(pair) == n - 7
    assert pair.attrs["titles"] == ["distance / Å", "turn / °"]
    assert pair["second"].to_numpy() == pytest.approx(np.rad2deg(turn[7:]))


def test_a_bar_at_the_end_of_a_turn_is_at_both_ends(dataset):
    turn = CollectiveVariable(np.deg2rad(np.arange(100) % 20 * 18.0), "rad", 2 * np.pi)
    (histogram,) = variable_histograms(_with_truth(dataset, variables={"turn": turn}))
    assert histogram.turn == pytest.approx((0, 360))
    centres, counts = histogram.bars
    assert centres == pytest.approx([*np.arange(20) * 18, 360])
    assert counts.tolist() == [5] * 21


def test_uniform_directions_fill_all_cells_alike_and_preferred_ones_do_not(rng):
    uniform = rng.standard_normal((20_000, 4))
    preferred = uniform * [1, 0.3, 0.3, 1]
    spread = []
    for quaternions in (uniform, preferred):
        table = direction_map(rotations_from_quaternions(quaternions))
        expected = table.attrs["expected"]
        cells = table.groupby(["count"]).size()
        counts, weights = cells.index.to_numpy(float), cells.to_numpy(float)
        # The variance of a Poisson count is its mean.
        spread.append(np.average((counts - expected) ** 2, weights=weights) / expected)
    assert spread[0] == pytest.approx(1, abs=0.15)
    assert spread[1] > 5


def _grown(n: int) -> GroundTruth:
    occupancies = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0.5, 0], [1, 1, 1, 1]], dtype=float)
    components = StateComponents(("a", "b", "c", "d"), occupancies, np.array([[0, 1], [0, 2], [1, 3], [2, 3]]))
    return GroundTruth(
        np.arange(n) % 4, components=components, state_names=("seed", "left", "right", "whole"), variables={}
    )


def test_occupancies_are_by_component_and_state():
    table = occupancy_map(_grown(12))
    assert list(table.columns) == ["seed", "left", "right", "whole"]
    assert table.loc["c", "right"] == 0.5
    assert table.loc["a"].tolist() == [1, 1, 1, 1]
    assert table.loc["d"].tolist() == [0, 0, 0, 1]


def test_assembly_grows_to_the_right_and_siblings_are_apart():
    assembly = lay_out_assembly(_grown(12))
    nodes = assembly.nodes.set_index("name")
    assert nodes["x"].tolist() == [1, 2, 1.5, 4]
    assert nodes["particles"].tolist() == [3, 3, 3, 3]
    assert abs(nodes.loc["left", "y"] - nodes.loc["right", "y"]) == 1
    assert nodes.loc["seed", "y"] == nodes.loc["whole", "y"] == 0
    assert assembly.edges.tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]
    alike = replace(truth := _grown(12), components=replace(truth.components, occupancies=np.ones((4, 4))))
    assert len(lay_out_assembly(alike).nodes.drop_duplicates(["x", "y"])) == 4


def test_a_graph_with_a_circle_is_drawn_too():
    truth = _grown(12)
    circle = replace(truth, components=replace(truth.components, edges=np.array([[0, 1], [1, 0]])))
    assert np.isfinite(lay_out_assembly(circle).nodes["y"]).all()
    assert lay_out_assembly(replace(truth, components=replace(truth.components, edges=np.empty((0, 2))))) is None
