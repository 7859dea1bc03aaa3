"""Pose errors of constructed answers: turned, mirrored, displaced, partly wrong, and random."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from cryobench.data import ClassVolumes, Reconstruction
from cryobench.metrics.poses.errors import (
    RANDOM_MEAN_DEG,
    RANDOM_MEDIAN_DEG,
    Poses,
    pose_error,
    random_angle_fraction,
)
from cryobench.metrics.poses.pose_alignment import MIRROR, align_rotations, fit_offset
from labelled import labelled_dataset
from toy import toy_blobs

MODES = pytest.mark.parametrize("mode", ["robust", "published"])
HANDS = pytest.mark.parametrize("mirrored", [False, True])


def random_rotations(n: int, rng: np.random.Generator) -> np.ndarray:
    return Rotation.from_quat(rng.standard_normal((n, 4))).as_matrix()


def perturb(rotations: np.ndarray, degrees: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rotations, each followed by one of a given angle about a random axis."""
    axes = rng.standard_normal((len(rotations), 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return Rotation.from_rotvec(axes * np.radians(degrees)[:, None]).as_matrix() @ rotations


def in_another_frame(rotations: np.ndarray, frame: np.ndarray, *, mirrored: bool) -> np.ndarray:
    """Poses of the same projections when the reference is mirrored by diag(1, 1, -1), then turned by ``frame``."""
    return (MIRROR @ rotations @ MIRROR if mirrored else rotations) @ frame.T


@HANDS
def test_the_frames_of_these_tests_leave_every_projection_as_it_is(mirrored: bool, rng: np.random.Generator) -> None:
    """Points of a mirrored, turned and displaced body project to the same places under the poses of its frame."""
    body = toy_blobs(1, 24)[0]
    rotations, frame, offset = random_rotations(6, rng), random_rotations(1, rng)[0], rng.normal(size=3)
    shifts = rng.normal(size=(6, 2))
    seen = np.einsum("nij,bj->nbi", rotations, body)[..., :2] - shifts[:, None]
    moved = (body @ MIRROR if mirrored else body) @ frame.T + offset
    estimated = in_another_frame(rotations, frame, mirrored=mirrored)
    moved_shifts = shifts + (estimated @ offset)[:, :2]
    assert np.einsum("nij,bj->nbi", estimated, moved)[..., :2] - moved_shifts[:, None] == pytest.approx(seen)
    errors = pose_error(rotations, estimated, true_shifts=shifts, shifts=moved_shifts)
    assert errors.rotation_deg.max() < 1e-5
    assert errors.alignments[-1].mirrored == mirrored
    assert errors.shift is not None
    assert errors.shift.max() < 1e-9
    assert errors.offsets[-1] == pytest.approx(offset)


@MODES
@HANDS
@pytest.mark.parametrize("n", [4, 31, 200])
def test_another_frame_is_no_error(mode: str, mirrored: bool, n: int, rng: np.random.Generator) -> None:
    true = random_rotations(n, rng)
    estimated = in_another_frame(true, random_rotations(1, rng)[0], mirrored=mirrored)
    errors = pose_error(true, estimated, mode=mode)  # type: ignore[arg-type]
    assert errors.rotation_deg.max() < 1e-5
    assert errors.shift is None


@MODES
@HANDS
def test_known_errors_are_found(mode: str, mirrored: bool, rng: np.random.Generator) -> None:
    """Errors of 0, 3 and 90 degrees; the frame is that of the majority, which is exact, so they come out exactly."""
    true = random_rotations(100, rng)
    degrees = np.repeat([0.0, 3.0, 90.0], [60, 20, 20])
    estimated = in_another_frame(perturb(true, degrees, rng), random_rotations(1, rng)[0], mirrored=mirrored)
    errors = pose_error(true, estimated, mode=mode)  # type: ignore[arg-type]
    assert errors.rotation_deg == pytest.approx(degrees, abs=1e-3)


@HANDS
def test_small_errors_of_all_are_not_fitted_away(mirrored: bool, rng: np.random.Generator) -> None:
    true = random_rotations(400, rng)
    degrees = rng.uniform(0, 10, 400)
    estimated = in_another_frame(perturb(true, degrees, rng), random_rotations(1, rng)[0], mirrored=mirrored)
    errors = pose_error(true, estimated)
    found = errors.alignments[-1]
    assert found.mirrored == mirrored
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    assert errors.rotation_deg == pytest.approx(degrees, abs=1.0)
    assert errors.rotation_deg.mean() == pytest.approx(degrees.mean(), abs=0.1)


def test_robust_average_survives_a_majority_of_wrong_poses(rng: np.random.Generator) -> None:
    """With 30 % of poses right a median cannot tell the right frame well from others; the L1 mean can."""
    true = random_rotations(1000, rng)
    estimated = in_another_frame(true, random_rotations(1, rng)[0], mirrored=True)
    estimated[:700] = random_rotations(700, rng)
    robust = pose_error(true, estimated)
    assert robust.rotation_deg[700:].max() < 1e-4
    assert robust.alignments[-1].mirrored


def test_average_is_the_optimum_of_its_cost(rng: np.random.Generator) -> None:
    """No small turn of the fitted frame lowers the mean chordal distance."""
    true = random_rotations(150, rng)
    estimated = perturb(true, rng.exponential(8, 150), rng)
    found = align_rotations(true, estimated)

    def cost(rotation: np.ndarray) -> float:
        return float(np.linalg.norm(estimated @ rotation - true, axis=(1, 2)).mean())

    for step in np.eye(3).repeat(2, axis=0) * np.array([1e-3, -1e-3] * 3)[:, None]:
        assert cost(found.rotation @ Rotation.from_rotvec(step).as_matrix()) > cost(found.rotation)


def test_random_poses_are_at_the_baseline(rng: np.random.Generator) -> None:
    assert (
        pytest.approx(np.degrees(brentq(lambda t: (t - np.sin(t)) / np.pi - 0.5, 1, 3)), abs=1e-4)
        == RANDOM_MEDIAN_DEG
    )
    angles = np.linspace(0, 180, 100_001)
    beyond = 1 - random_angle_fraction(angles)
    mean = ((beyond[1:] + beyond[:-1]) / 2 * np.diff(angles)).sum()
    assert mean == pytest.approx(RANDOM_MEAN_DEG, abs=1e-4)
    errors = pose_error(random_rotations(2000, rng), random_rotations(2000, rng))
    # Fitting the frame takes off a few degrees: to 123 with 1,000 particles, to 126 with 100,000.
    assert 121 < errors.rotation_deg.mean() < RANDOM_MEAN_DEG
    assert 126 < np.median(errors.rotation_deg) < RANDOM_MEDIAN_DEG + 1


def test_offset_ignores_wrong_shifts(rng: np.random.Generator) -> None:
    rotations, offset = random_rotations(120, rng), np.array([5.0, -3.0, 8.0])
    differences = rotations[:, :2] @ offset
    differences[:40] += rng.uniform(-100, 100, (40, 2))
    assert fit_offset(rotations, differences) == pytest.approx(offset, abs=1e-5)
    assert np.linalg.norm(fit_offset(rotations, differences, steps=1) - offset) > 0.1  # plain least squares does not


def test_known_shift_errors_are_found(rng: np.random.Generator) -> None:
    true, shifts = random_rotations(80, rng), rng.normal(scale=10, size=(80, 2))
    wrong = shifts.copy()
    wrong[:20, 0] += 4.0
    errors = pose_error(true, true, true_shifts=shifts, shifts=wrong)
    assert errors.shift == pytest.approx(np.repeat([4.0, 0.0], [20, 60]), abs=1e-4)


def test_states_have_frames_of_their_own(rng: np.random.Generator) -> None:
    true = random_rotations(120, rng)
    states = np.repeat([0, 1, 2, -1], [40, 40, 10, 30])
    frames = random_rotations(4, rng)
    estimated = np.concatenate(
        [in_another_frame(true[states == s], frames[s], mirrored=s == 1) for s in (0, 1, 2, -1)]
    )
    errors = pose_error(true, estimated, states=states)
    assert errors.rotation_deg[:80].max() < 1e-5
    assert np.isnan(errors.rotation_deg[80:]).all()
    assert {state: found.mirrored for state, found in errors.alignments.items()} == {0: False, 1: True}
    assert pose_error(true, estimated).rotation_deg.mean() > 30


def test_classes_with_frames_of_their_own_are_compared_one_by_one(rng: np.random.Generator) -> None:
    """Each class is turned, displaced and perhaps mirrored on its own, as classes found ab initio are."""
    true, shifts = random_rotations(120, rng), rng.normal(scale=5, size=(120, 2))
    classes = np.arange(120) % 2
    turn = random_rotations(2, rng)
    mirror = np.diag([1.0, 1.0, -1.0])
    found = true @ turn[classes]
    found[classes == 1] = mirror @ found[classes == 1] @ mirror
    data = labelled_dataset(np.zeros(120, int), rotations=true, shifts=shifts)
    volumes = np.zeros((2, 4, 4, 4), np.float32)
    for own_frames in (True, False):
        reconstruction = Reconstruction(
            np.arange(1),
            posteriors=np.eye(2)[classes],
            rotations=found,
            shifts=shifts,
            findings=(ClassVolumes(volumes, np.array([0.5, 0.5]), own_frames=own_frames),),
        )
        scores = Poses().measure(reconstruction, data)
        assert scores.context["frames"] == (2 if own_frames else 1)
        if not own_frames:
            assert scores["rotation-error"].value > 30
            continue
        for name in ("rotation-error", "shift-error-median"):
            assert scores[name].value == pytest.approx(0, abs=1e-4)


def posed(rotations: np.ndarray, shifts: np.ndarray) -> Reconstruction:
    return Reconstruction(np.arange(1), rotations=rotations, shifts=shifts)


def test_metric_orders_truth_noise_and_chance(rng: np.random.Generator) -> None:
    states = np.repeat([0, 1, 2, -1], [100, 100, 10, 30])
    true, shifts = random_rotations(240, rng), rng.normal(scale=5, size=(240, 2))
    data = labelled_dataset(states, rotations=true, shifts=shifts)
    noisy = perturb(true, rng.exponential(4, 240), rng), shifts + rng.normal(size=(240, 2))
    order = rng.permutation(240)
    answers = {"truth": (true, shifts), "noisy": noisy, "shuffled": (true[order], shifts[order])}
    measured = {name: Poses().measure(posed(*poses), data) for name, poses in answers.items()}
    for kind in Poses.scores:
        best, middle, worst = (measured[name][kind.name] for name in answers)
        assert best.value == pytest.approx(0, abs=1e-4)
        assert best.value < middle.value < worst.value
        assert middle.low <= middle.value <= middle.high
        assert middle.value == pytest.approx(getattr(np, kind.statistic)(middle.items["value"]))
        assert middle.n == len(middle.items) == (200 if "per-state" in kind.name else 210)
    context = measured["noisy"].context
    assert (context["n_unknown_state"], context["n_in_small_states"], context["mirrored"]) == (30, 10, False)
    curve = measured["shuffled"].curves["rotation-errors"]
    assert curve["particles"].sum() == 210
    assert curve["random"].sum() == pytest.approx(1)


def test_particles_are_all_used_where_no_state_is_known(rng: np.random.Generator) -> None:
    true, shifts = random_rotations(30, rng), np.zeros((30, 2))
    data = labelled_dataset(np.full(30, -1), rotations=true, shifts=shifts)
    scores = Poses().measure(posed(true, shifts), data)
    assert scores["rotation-error"].n == 30
    assert "rotation-error-per-state" not in scores.scores


def test_bad_input_is_refused(rng: np.random.Generator) -> None:
    true = random_rotations(10, rng)
    broken = true.copy()
    broken[3] = np.nan
    with pytest.raises(
        ValueError, match="1 of 10 matrices that are not proper rotations, the first that of particle 3"
    ):
        pose_error(true, broken)
    with pytest.raises(ValueError, match="not proper rotation"):
        pose_error(true, true @ MIRROR)
    with pytest.raises(ValueError, match="10 true rotations but 9 rotations"):
        pose_error(true, true[:9])
    with pytest.raises(ValueError, match="at least 4 particles"):
        pose_error(true[:3], true[:3])
    with pytest.raises(ValueError, match="both the true shifts and the estimated"):
        pose_error(true, true, shifts=np.zeros((10, 2)))
    with pytest.raises(ValueError, match="shifts hold NaN"):
        pose_error(true, true, true_shifts=np.zeros((10, 2)), shifts=np.full((10, 2), np.nan))
    with pytest.raises(ValueError, match="no state has the 20 particles"):
        pose_error(true, true, states=np.zeros(10, int))
    data = labelled_dataset(np.zeros(9, int), rotations=true[:9], shifts=np.zeros((9, 2)))
    with pytest.raises(ValueError, match="rotations of 10 particles, but labelled has 9"):
        Poses().measure(posed(true, np.zeros((10, 2))), data)
    assert "needs poses" in (Poses().explain_missing(Reconstruction(np.arange(1)), data) or "")
