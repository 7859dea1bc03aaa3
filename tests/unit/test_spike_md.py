"""Spike-MD: every frame is what its own draws say, laws are the stated ones, trajectories are read as they are."""

import pickle

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench.atoms import write_structure
from cryobench.atoms.motion.hinged_domain import measure_openings
from cryobench.atoms.motion.superposition import fit_rigid_motions, move_rigidly
from cryobench.io.formats.xtc import write_frames
from cryobench.recipes import FrameEnsemble
from cryobench.recipes.spike_md import RECIPE, SpikeMdSettings, make_ensemble
from cryobench.recipes.states.network_frames import NetworkFrames
from cryobench.recipes.states.trajectory_frames import TrajectoryFrames
from molecules import read_spike


@pytest.fixture(scope="module")
def head():
    """The receptor-binding domains and what they stand on: small enough to be quick."""
    spike = read_spike()
    return spike.select((spike.residue_numbers >= 319) & (spike.residue_numbers <= 684))


@pytest.fixture(scope="module")
def ensemble(head):
    return make_ensemble(SpikeMdSettings(n_frames=4000, n_modes=6), head)


def _still(head, **changes):
    """An ensemble without openings."""
    return make_ensemble(SpikeMdSettings(**{"open_fraction": 0, "closed_deviation_deg": 0, **changes}), head)


def test_a_frame_depends_on_its_number_alone(ensemble):
    assert isinstance(ensemble, FrameEnsemble)
    together = ensemble.positions(3, 9)
    assert together.shape == (6, len(ensemble.topology), 3)
    np.testing.assert_array_equal(ensemble.positions(5, 7), together[2:4])
    sent = pickle.loads(pickle.dumps(ensemble))
    np.testing.assert_array_equal(sent.positions(8, 9)[0], together[5])
    np.testing.assert_array_equal(ensemble.model(4).positions, together[1])
    assert ensemble.positions(2, 2).shape == (0, len(ensemble.topology), 3)
    assert (ensemble.counts == 1).all()
    assert len(ensemble.counts) == 4000


def test_seed_decides(head, ensemble):
    settings = SpikeMdSettings(n_frames=10, n_modes=6)
    np.testing.assert_array_equal(make_ensemble(settings, head).positions(0, 2), ensemble.positions(0, 2))
    other = make_ensemble(settings.model_copy(update={"ensemble_seed": 1}), head)
    assert np.abs(other.positions(0, 1) - ensemble.positions(0, 1)).max() > 0.5


def test_openings_follow_the_stated_mixture(ensemble):
    """A quarter open at 50 ± 8 degrees, the others closed, 0 ± 3; each protomer for itself."""
    angles = np.rad2deg(np.stack([ensemble.variables[f"opening {chain}"].values for chain in "ABC"], axis=1))
    is_open = angles > 25
    assert is_open.mean() == pytest.approx(0.25, abs=0.02)
    assert angles[is_open].mean() == pytest.approx(50, abs=0.7)
    assert angles[is_open].std() == pytest.approx(8, rel=0.06)
    assert angles[~is_open].mean() == pytest.approx(0, abs=0.15)
    assert angles[~is_open].std() == pytest.approx(3, rel=0.03)
    assert np.abs(np.corrcoef(is_open.T) - np.eye(3)).max() < 0.06
    # All eight combinations, as often as independence says.
    combination = is_open @ [1, 2, 4]
    expected = [0.25**k * 0.75 ** (3 - k) for k in (0, 1, 1, 2, 1, 2, 2, 3)]
    np.testing.assert_allclose(np.bincount(combination, minlength=8) / 4000, expected, atol=0.025)


def test_modes_follow_equipartition(ensemble):
    amplitudes = np.stack([ensemble.variables[f"mode {mode}"].values for mode in range(1, 7)], axis=1)
    expected = ensemble.deviations / np.sqrt(len(ensemble.carriers.anchors))
    np.testing.assert_allclose(amplitudes.std(axis=0), expected, rtol=0.05)
    assert np.abs(np.corrcoef(amplitudes.T) - np.eye(6)).max() < 0.07
    assert np.sqrt((amplitudes**2).sum(axis=1).mean()) == pytest.approx(2.0, rel=0.03)
    openings = np.stack([ensemble.variables[f"opening {chain}"].values for chain in "ABC"], axis=1)
    assert np.abs(np.corrcoef(openings.T, amplitudes.T)[:3, 3:]).max() < 0.06


def test_atoms_move_as_the_variables_say(head):
    """Small amplitudes: the CA atoms' displacements, projected on each mode."""
    ensemble = _still(head, n_frames=5, n_modes=4, rmsf=0.05)
    anchors = ensemble.carriers.anchors
    moves = ensemble.positions(0, 5)[:, anchors] - ensemble.topology.positions[anchors]
    projected = np.einsum("mpx,kpx->mk", moves, ensemble.modes.vectors) / np.sqrt(len(anchors))
    for mode in range(4):
        np.testing.assert_allclose(projected[:, mode], ensemble.variables[f"mode {mode + 1}"].values, atol=3e-4)


def test_displacements_have_the_stated_size(head):
    ensemble = _still(head, n_frames=400, n_modes=6, rmsf=1.5)
    anchors = ensemble.carriers.anchors
    moves = ensemble.positions(0, 400)[:, anchors] - ensemble.topology.positions[anchors]
    assert np.sqrt((moves**2).sum(axis=2).mean()) == pytest.approx(1.5, rel=0.05)


def test_domains_open_as_the_variables_say(ensemble):
    drawn = np.stack([ensemble.variables[f"opening {chain}"].values for chain in "ABC"], axis=1)[:200]
    found = measure_openings(ensemble.positions(0, 200), ensemble.topology, ensemble.domains)
    # Slow modes bend the hinges a little too.
    slope, offset = np.polyfit(drawn.ravel(), found.ravel(), 1)
    assert slope == pytest.approx(1, abs=0.04)
    assert offset == pytest.approx(0, abs=0.02)
    assert np.rad2deg((found - drawn).std()) < 8


def test_molecules_stay_whole(ensemble):
    """Residues are rigid; neighbours in a chain keep their distance, in open domains too."""
    base = ensemble.topology
    frames = ensemble.positions(0, 60)
    same = (base.residue_numbers[1:] == base.residue_numbers[:-1]) & (base.chains[1:] == base.chains[:-1])
    rigid = np.flatnonzero(same)
    before = np.linalg.norm(base.positions[rigid + 1] - base.positions[rigid], axis=1)
    after = np.linalg.norm(frames[:, rigid + 1] - frames[:, rigid], axis=2)
    np.testing.assert_allclose(after, np.broadcast_to(before, after.shape), atol=1e-9)
    alpha = np.flatnonzero(base.atom_names == "CA")
    numbers, chains = base.residue_numbers[alpha], base.chains[alpha]
    bonded = np.flatnonzero((np.diff(numbers) == 1) & (chains[1:] == chains[:-1]))
    starts, ends = alpha[bonded], alpha[bonded + 1]
    deposited = np.linalg.norm(base.positions[ends] - base.positions[starts], axis=1)
    change = np.abs(np.linalg.norm(frames[:, ends] - frames[:, starts], axis=2) - deposited)
    assert np.percentile(change, 99) < 0.4
    assert change.max() < 1.3


def test_embedding_distance_is_about_rmsd(ensemble):
    anchors = ensemble.carriers.anchors
    points = ensemble.positions(0, 40)[:, anchors]
    first, second = np.triu_indices(40, 1)
    rmsd = np.sqrt(((points[first] - points[second]) ** 2).sum(axis=2).mean(axis=1))
    distance = np.linalg.norm(ensemble.embedding[first] - ensemble.embedding[second], axis=1)
    assert np.corrcoef(rmsd, distance)[0, 1] > 0.97
    assert np.median(distance / rmsd) == pytest.approx(1, abs=0.1)


@pytest.fixture
def run(ensemble, rng, tmp_path):
    """A trajectory of the ensemble's first 30 frames, tumbling, with its topology."""
    positions = ensemble.positions(0, 30)
    tumbled = np.stack([Rotation.random(rng=rng).apply(frame) + rng.normal(size=3) * 50 for frame in positions])
    write_structure(ensemble.topology, tmp_path / "top.cif")
    write_frames(tmp_path / "run.xtc", tumbled)
    return [tmp_path / "top.cif", tmp_path / "run.xtc"]


def test_a_trajectory_in_random_order(run, ensemble):
    found = RECIPE.ensemble(SpikeMdSettings(n_frames=25), run)
    assert isinstance(found, TrajectoryFrames)
    frame = found.variables["frame"].values.astype(int)
    assert len(frame) == len(set(frame)) == 25
    assert abs(np.corrcoef(frame, np.arange(25))[0, 1]) < 0.6  # shuffled
    alpha = found.points
    motion = fit_rigid_motions(ensemble.positions(0, 30)[:, alpha], found.topology.positions[alpha])
    expected = move_rigidly(ensemble.positions(0, 30), *motion)[frame]
    np.testing.assert_allclose(found.positions(0, 25), expected, atol=0.02)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).positions(7, 9), found.positions(0, 25)[7:9])
    drawn = measure_openings(ensemble.positions(0, 30), ensemble.topology, ensemble.domains)
    for column, chain in enumerate("ABC"):
        np.testing.assert_allclose(found.variables[f"opening {chain}"].values, drawn[frame, column], atol=2e-3)
    assert len(RECIPE.ensemble(SpikeMdSettings(), run).counts) == 30  # all there are
    other = RECIPE.ensemble(SpikeMdSettings(n_frames=25, ensemble_seed=3), run)
    assert not np.array_equal(other.order, found.order)


def test_principal_components_of_a_trajectory(run):
    """Witness: the eigenvectors of the covariance, from scikit-learn."""
    from sklearn.decomposition import PCA

    found = RECIPE.ensemble(SpikeMdSettings(n_components=3), run)
    points = found.positions(0, 30)[:, found.points]
    expected = PCA(3).fit_transform(points.reshape(30, -1)) / np.sqrt(points.shape[1])
    for column in range(3):
        values = found.variables[f"pc {column + 1}"].values
        sign = np.sign(values @ expected[:, column])
        np.testing.assert_allclose(values, sign * expected[:, column], atol=1e-3)
    np.testing.assert_array_equal(found.embedding[:, 2], found.variables["pc 3"].values)


def test_without_superposition_frames_stay_where_they_are(run):
    found = RECIPE.ensemble(SpikeMdSettings(superpose=False), run)
    raw = found.trajectory.read(found.order[:3])
    np.testing.assert_allclose(found.positions(0, 3) - raw, np.broadcast_to(found.translation, raw.shape), atol=1e-9)


def test_which_road_is_taken(run, head, ensemble, tmp_path):
    write_structure(head, tmp_path / "head.pdb")
    assert isinstance(RECIPE.ensemble(SpikeMdSettings(n_modes=2), [tmp_path / "head.pdb"]), NetworkFrames)
    lines = [f"MODEL {number}\n" + (tmp_path / "head.pdb").read_text().replace("END\n", "") for number in (1, 2)]
    (tmp_path / "models.pdb").write_text("ENDMDL\n".join(lines) + "ENDMDL\nEND\n")
    several = RECIPE.ensemble(SpikeMdSettings(), [tmp_path / "models.pdb"])
    assert isinstance(several, TrajectoryFrames)
    assert len(several.counts) == 2
    with pytest.raises(ValueError, match=r"run\.xtc has positions only: give the topology"):
        RECIPE.ensemble(SpikeMdSettings(), run[::-1])


@pytest.mark.slow
def test_a_structure_without_the_domain_is_told(head):
    rest = head.select((head.residue_numbers >= 544) & (head.chains == "A"))
    with pytest.raises(ValueError, match="no chain has most of the residues 325 to 533"):
        make_ensemble(SpikeMdSettings(), rest)
    assert "opening A" not in make_ensemble(SpikeMdSettings(open_fraction=0, n_modes=2), rest).variables
    with pytest.raises(ValueError, match="no chain 'Q'"):
        make_ensemble(SpikeMdSettings(chains="A, Q"), head)
    named = make_ensemble(SpikeMdSettings(chains="B", n_modes=2), head)
    assert [name for name in named.variables if name.startswith("opening")] == ["opening B"]


@pytest.mark.slow
def test_the_whole_spike():
    ensemble = RECIPE.ensemble(SpikeMdSettings(n_frames=300), RECIPE.choose_structures([]))
    assert [domain.chain for domain in ensemble.domains] == ["A", "B", "C"]
    test_domains_open_as_the_variables_say(ensemble)
    test_molecules_stay_whole(ensemble)
    test_embedding_distance_is_about_rmsd(ensemble)
    frames = ensemble.positions(0, 100)
    assert np.abs(frames).max() < 192  # the published box
