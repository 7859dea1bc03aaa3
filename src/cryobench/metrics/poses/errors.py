"""Error of estimated poses, after removing what images cannot determine: global rotation, hand, and offset.

* Rotation error: the angle in degrees of the rotation between estimated and true pose, after the best global rotation
  and hand, by default a robust average over SO(3), or by the published rule (``metrics.poses.pose_alignment``).
* Shift error: the distance in Å between estimated and true shift, after a fitted displacement of the reference.

Where each class of a reconstruction has its own frame, as in ab initio classification, rotation, hand and offset
are fitted to each class; classes of fewer than ``SMALLEST_STATE`` particles are left out.

Both are given over the whole data set and "per state": there, rotation, hand and offset are fitted to each true
state separately, since a reconstruction may tie its frame to the conformation (a body that moves in the true frame
and is fixed in the reconstruction's). States of fewer than ``SMALLEST_STATE`` particles are then left out and
counted: three angles fitted to few particles make them look right.

A random pose is off by 126.5° on average, π/2 + 2/π, and 132.3° in the median; fitting the frame removes a few
degrees, more for fewer particles (123° and 128° for 1,000). The molecule's symmetry is not divided out: poses that
differ by it count as wrong. Where most rotations are wrong, shift errors mean little: the offset is then fitted to
shifts that no displacement explains.

Source: Jeon et al., CryoBench, NeurIPS 2024 (arXiv 2408.05526), and its code, metrics/pose_error; the robust average
and the exact fit of the offset are ours (the published one is a gradient descent of 512 steps).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Num

from cryobench._display import Displayed
from cryobench._progress import Progress, Silent
from cryobench.data import Dataset, Reconstruction, Score, Scores, most_probable
from cryobench.metrics.metric import Metric, ScoreKind, described
from cryobench.metrics.poses.pose_alignment import Mode, PoseAlignment, align_rotations, fit_offset
from cryobench.metrics.resampling import resample_means, resample_medians
from cryobench.metrics.volumes.frames import has_own_frames
from cryobench.rotations import geodesic_distance

RANDOM_MEAN_DEG = float(np.degrees(np.pi / 2 + 2 / np.pi))
"""Mean angle between two random rotations: 126.5°."""
RANDOM_MEDIAN_DEG = 132.3465
"""Median angle between two random rotations: the angle at which (θ − sin θ) / π is 1/2."""
SMALLEST_STATE = 20
FEWEST = 4
"""Fewest particles that a frame can be fitted to."""
BIN_DEG = 5


def _kinds() -> tuple[ScoreKind, ...]:
    quantities = (("rotation", "Rotation", "°", 180.0), ("shift", "Shift", "Å", float("inf")))
    frames = (("", ""), ("-per-state", ", frame by state"))
    return tuple(
        ScoreKind(
            f"{name}-error{frame}{suffix}",
            f"{label} error{words}, {'median' if suffix else 'mean'}",
            unit,
            "lower",
            0.0,
            most,
            "median" if suffix else "mean",
            short=f"{label} error",
            main=suffix == "-median" and not frame,
            decimals=2,
        )
        for (name, label, unit, most), (frame, words), suffix in product(quantities, frames, ("", "-median"))
    )


@dataclass(frozen=True, eq=False, repr=False)
class PoseErrors(Displayed):
    """Errors of n particles, and the frame that was removed from them."""

    rotation_deg: Float[np.ndarray, "n"]
    """NaN for a particle that was left out."""
    shift: Float[np.ndarray, "n"] | None
    """Å; None if shifts were not given."""
    alignments: dict[int, PoseAlignment]
    """By state; of the whole set under −1."""
    offsets: dict[int, np.ndarray]
    """(3,) Å by state, in the frame of the reconstruction: position of the centre of the true reference."""


def pose_error(
    true_rotations: Float[np.ndarray, "n 3 3"],
    rotations: Float[np.ndarray, "m 3 3"],
    *,
    true_shifts: Float[np.ndarray, "p 2"] | None = None,
    shifts: Float[np.ndarray, "q 2"] | None = None,
    states: Int[np.ndarray, "r"] | None = None,
    mode: Mode = "robust",
    seed: int = 0,
) -> PoseErrors:
    """Error of each pose after the best global rotation, hand and offset.

    Parameters
    ----------
    true_rotations, rotations
        (n, 3, 3), particle from reference.
    true_shifts, shifts
        (n, 2) Å, the displacements that centre the particles; both or neither.
    states
        (n,) to fit rotation, hand and offset to each state separately, without negative states and those of fewer
        than ``SMALLEST_STATE`` particles (NaN). None fits them to the whole set.
    mode
        "robust" or "published": how the rotation is chosen.
    seed
        For the published rule.

    Raises
    ------
    ValueError
        If lengths differ, a matrix is no rotation, a shift is not finite, only one set of shifts is given, or there
        are fewer than 4 particles (20 in every state).

    Examples
    --------
    A turned reference costs nothing, poses of other particles cost as much as random ones:

    >>> import numpy as np
    >>> from cryobench.rotations import rotations_from_quaternions
    >>> poses = rotations_from_quaternions(np.random.default_rng(0).normal(size=(200, 4)))
    >>> float(pose_error(poses, poses @ poses[7]).rotation_deg.max().round(6))
    0.0
    >>> bool(pose_error(poses, poses[::-1]).rotation_deg.mean() > 100)
    True
    """
    n = len(true_rotations)
    for name, matrices in (("true_rotations", true_rotations), ("rotations", rotations)):
        _check_rotations(name, matrices, n)
    if (true_shifts is None) != (shifts is None):
        raise ValueError("a shift error needs both the true shifts and the estimated ones.")
    for name, values in (("true_shifts", true_shifts), ("shifts", shifts), ("states", states)):
        if values is not None and len(values) != n:
            raise ValueError(f"there are {n} true rotations but {len(values)} {name}.")
        if values is not None and not np.isfinite(values).all():
            raise ValueError(f"{name} hold NaN or infinite numbers: leave those particles out.")
    groups = {-1: np.arange(n)} if states is None else _split(states)
    angles, distances = np.full(n, np.nan), np.full(n, np.nan)
    alignments: dict[int, PoseAlignment] = {}
    offsets: dict[int, np.ndarray] = {}
    for state, members in groups.items():
        found = align_rotations(true_rotations[members], rotations[members], mode=mode, seed=seed)
        alignments[state] = found
        angles[members] = np.degrees(geodesic_distance(found.apply(rotations[members]), true_rotations[members]))
        if true_shifts is not None and shifts is not None:
            differences = np.asarray(shifts[members] - true_shifts[members], dtype=np.float64)
            offsets[state] = fit_offset(rotations[members], differences)
            moved = np.asarray(rotations[members], dtype=np.float64)[:, :2] @ offsets[state]
            distances[members] = np.linalg.norm(differences - moved, axis=1)
    return PoseErrors(angles, None if shifts is None else distances, alignments, offsets)


def random_angle_fraction(angle_deg: Float[np.ndarray, "m"]) -> Float[np.ndarray, "m"]:
    """Fraction (m,) of random rotations within an angle: (θ − sin θ) / π."""
    angle = np.radians(angle_deg)
    return (angle - np.sin(angle)) / np.pi


def _split(states: Int[np.ndarray, "n"]) -> dict[int, np.ndarray]:
    """Particles of each large enough state."""
    order = np.argsort(states, kind="stable")
    present, starts = np.unique(states[order], return_index=True)
    groups = {
        int(state): members
        for state, members in zip(present, np.split(order, starts[1:]), strict=True)
        if state >= 0 and len(members) >= SMALLEST_STATE
    }
    if not groups:
        raise ValueError(f"no state has the {SMALLEST_STATE} particles needed to fit its own frame.")
    return groups


def _check_rotations(name: str, matrices: Num[np.ndarray, "n 3 3"], n: int) -> None:
    if len(matrices) != n:
        raise ValueError(f"there are {n} true rotations but {len(matrices)} {name}.")
    if n < FEWEST:
        raise ValueError(f"a pose error needs at least {FEWEST} particles to fit a frame to, got {n}.")
    error = np.abs(matrices @ matrices.swapaxes(-1, -2) - np.eye(3)).max(axis=(1, 2))
    # A NaN is no rotation, and its determinant is not computed.
    bad = ~(error < 1e-3)
    bad[~bad] = np.linalg.det(matrices[~bad]) < 0
    if bad.any():
        raise ValueError(
            f"{name} hold {int(bad.sum())} of {n} matrices that are not proper rotations, "
            f"the first that of particle {int(np.argmax(bad))}."
        )


@described
class Poses(Metric):
    """Error of estimated rotations (degrees) and shifts (Å) after the best global rotation, hand and offset.

    Random poses score about 126.5 degrees in the mean, and 132.3 in the median. Frames, modes and failure modes:
    ``cryobench.metrics.poses.errors``. Invariant to rotation, mirroring and displacement of the reconstruction.
    """

    name = "poses"
    label = "Pose error"
    scores = _kinds()
    needs = frozenset({"poses", "true poses"})
    uses = frozenset({"posteriors"})
    curves = (("rotation-errors", "histogram of rotation errors"),)

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """As ``Metric.explain_missing``; it also needs four particles."""
        missing = super().explain_missing(reconstruction, dataset)
        if missing is None and dataset.truth is not None and (n := len(_usable(dataset.truth.states))) < FEWEST:
            return f"needs {FEWEST} particles that are not junk, and there are {n}"
        return missing

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores over the particles of known state, or over all if none is known.

        Scores per state are absent where no state has ``SMALLEST_STATE`` particles. Items: particle, value, and the
        state. Curve "rotation-errors": low_deg, high_deg (bin), particles, per_state, random (fraction of random
        poses). The context has the global rotation, hand and offset; those of the largest class where each has its
        own.
        """
        truth = self.require(reconstruction, dataset)
        # The needs; rotations and shifts are given together.
        assert truth.rotations is not None and truth.shifts is not None  # noqa: PT018
        assert reconstruction.rotations is not None and reconstruction.shifts is not None  # noqa: PT018
        particles = _usable(truth.states)
        states = truth.states[particles]
        rotations = truth.rotations[particles], reconstruction.rotations[particles]
        true_shifts, shifts = truth.shifts[particles], reconstruction.shifts[particles]
        scores: dict[str, Score] = {}
        of_bins: dict[str, np.ndarray] = {}
        classes = _classes_with_frames(reconstruction, particles)
        edges = np.arange(0, 180 + BIN_DEG, BIN_DEG)
        sizes = np.bincount(states[states >= 0])
        with (progress or Silent()).task("pose errors", 2) as task:
            whole = pose_error(*rotations, true_shifts=true_shifts, shifts=shifts, states=classes)
            _add_scores(scores, whole, "", particles, states, seed)
            of_bins["particles"] = np.histogram(whole.rotation_deg, edges)[0]
            task.advance()
            if (sizes >= SMALLEST_STATE).any():
                by_state = pose_error(*rotations, true_shifts=true_shifts, shifts=shifts, states=states)
                _add_scores(scores, by_state, "-per-state", particles, states, seed)
                of_bins["per_state"] = np.histogram(by_state.rotation_deg, edges)[0]
            task.advance()
        curve = pd.DataFrame({"low_deg": edges[:-1], "high_deg": edges[1:], **of_bins})
        curve["random"] = np.diff(random_angle_fraction(edges.astype(np.float64)))
        largest = -1 if classes is None else int(np.bincount(classes[classes >= 0]).argmax())
        context = {
            "n_particles": len(particles),
            "frames": 1 if classes is None else len(whole.alignments),
            "n_unknown_state": len(truth) - len(particles),
            "n_in_small_states": int(sizes[sizes < SMALLEST_STATE].sum()),
            "mirrored": whole.alignments[largest].mirrored,
            "rotation": whole.alignments[largest].rotation.tolist(),
            "offset": whole.offsets[largest].tolist(),
            "random_mean_deg": RANDOM_MEAN_DEG,
            "random_median_deg": RANDOM_MEDIAN_DEG,
        }
        return Scores(scores, {"rotation-errors": curve}, context)


def _classes_with_frames(
    reconstruction: Reconstruction, particles: Int[np.ndarray, "m"]
) -> Int[np.ndarray, "m"] | None:
    """Class (m,) of some particles, −1 for those left out, where classes have their own frames; else None.

    Also None where no class has enough particles to fit its frame.
    """
    if not has_own_frames(reconstruction) or reconstruction.posteriors is None:
        return None
    classes = most_probable(reconstruction.posteriors[particles])
    return classes if np.bincount(classes + 1)[1:].max(initial=0) >= SMALLEST_STATE else None


def _usable(states: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
    """Particles with a state; all if none has one (labels are then missing, and the particles are not junk)."""
    known = np.flatnonzero(states >= 0)
    return known if len(known) else np.arange(len(states))


def _add_scores(
    scores: dict[str, Score], errors: PoseErrors, suffix: str, particles: np.ndarray, states: np.ndarray, seed: int
) -> None:
    """Mean and median of the rotation and shift errors, with intervals over particles; frames are held fixed."""
    kept = np.flatnonzero(np.isfinite(errors.rotation_deg))
    columns = {"rotation-error": errors.rotation_deg[kept]}
    if errors.shift is not None:
        columns["shift-error"] = errors.shift[kept]
    means = resample_means(np.stack(list(columns.values()), axis=1), seed=seed)
    for (base, values), of_mean in zip(columns.items(), means.T, strict=True):
        items = pd.DataFrame({"particle": particles[kept], "state": states[kept], "value": values})
        of_median = resample_medians(values, seed=seed)
        for name, value, samples in (
            (base + suffix, values.mean(), of_mean),
            (f"{base}{suffix}-median", np.median(values), of_median),
        ):
            low, high = np.quantile(samples, [0.025, 0.975])
            ends = float(min(low, value)), float(max(high, value))
            scores[name] = Score(name, float(value), *ends, n=len(kept), items=items)
