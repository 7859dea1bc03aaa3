"""Per-conformation FSC: one volume for each true state, from a latent of that state, against its true volume.

The latent of a state is the *actual* latent nearest to the mean latent of its particles, which is always within
the data, whatever the shape of the distribution. Its volume:

| reconstruction | volume of a state |
|---|---|
| latents, of a finished run whose method decodes | decoded at that latent |
| latents alone | volume of the query particle whose latent is nearest to the mean |
| posteriors alone | of the class that most of the state's particles are in: decoded, or of a query particle in it |

Without a decoder, only states with a query particle have a volume: the other states are
left out and counted, and so are states without a latent. Where each particle has its own state there are no
conformations to average over, and per-image FSC is the appropriate score.

Curves, areas and resolutions are those of ``metrics.volumes.fsc_curve``; items are states. It fails where per-image
FSC does: one map for all states scores high. A state spread over the latent is judged only by its middle.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from cryobench._progress import Progress, Silent
from cryobench._sampling import spread_indices
from cryobench.data import Dataset, Reconstruction, Scores, VolumeSource
from cryobench.metrics.metric import Metric, check_particles, described
from cryobench.metrics.volumes.frames import FramedReconstruction
from cryobench.metrics.volumes.fsc_curve import FscCurve, correlate, transform_masked
from cryobench.metrics.volumes.per_image import PerImageFsc, summarise_curves
from cryobench.metrics.volumes.query_pairs import hash_mask, lay_out_curves, name_masks

MOST_STATES = 200
"""Most states whose volumes are compared, evenly spaced; the published sets have 100 and 16."""
_PREFIX = "conformation-"
_READ_SECONDS = 0.25e-3
"""CPU time in which a decoder that reads all particles for a volume reads one of 128 px; measured on one core."""
_LONGEST = 240.0
"""Seconds of reading after which the metric is measured only when it is named."""


@dataclass(frozen=True, eq=False)
class Conformations:
    """Source of the volume of each state: a decoded latent or class, or the latent or class of a query particle."""

    source: str
    states: Int[np.ndarray, "k"]
    particles: Int[np.ndarray, "k"]
    """Particle whose latent is used; for a decoded class, a particle in it."""
    rows: Float[np.ndarray, "k d"] | None
    """Latent or posterior decoded for each state; None where query volumes are read."""
    n_states: int
    """Number of states with particles."""
    n_without_latent: int
    """Number of states left out because none of their particles has a latent or a class."""
    n_without_query: int
    """Number of states left out because they have no query particle."""


def choose_conformations(reconstruction: Reconstruction, dataset: Dataset) -> Conformations:
    """Latent or class of every true state, and the source of its volume.

    ValueError if there is no truth, neither latents nor posteriors, or these are of another number of particles.
    """
    truth = dataset.truth
    if truth is None:
        raise ValueError(f"data set {dataset.name} has no truth: there are no conformations.")
    decodes = reconstruction.decoder is not None
    latents = reconstruction.latents
    if reconstruction.decoder is not None and reconstruction.decoder.takes == "posteriors":
        latents = None
    coordinates = latents if latents is not None else reconstruction.posteriors
    if coordinates is None:
        raise ValueError(f"{reconstruction.name} has no latents or posteriors.")
    check_particles(reconstruction, dataset)
    finite = np.asarray(np.isfinite(coordinates).all(axis=1))
    present = np.unique(truth.states[truth.states >= 0])
    asked = present[spread_indices(len(present), MOST_STATES, nearest=True)]
    queries = reconstruction.queries
    find = _find_nearest if latents is not None else _find_class
    chosen: dict[int, int] = {}
    n_without_latent = n_without_query = 0
    for state in asked.tolist():
        members = np.flatnonzero(np.equal(truth.states, state) & finite)
        candidates = members if decodes else queries[finite[queries]]
        if len(members) == 0:
            n_without_latent += 1
            continue
        seen = decodes or bool(np.isin(state, truth.states[candidates]))
        particle = find(coordinates, members, candidates) if seen else None
        if particle is None:
            n_without_query += 1
        else:
            chosen[state] = particle
    particles = np.array(list(chosen.values()), dtype=np.int64)
    rows = None
    if decodes:
        at = coordinates[particles]
        rows = at if latents is not None else np.eye(at.shape[1], dtype=np.float32)[at.argmax(axis=1)]
    what = "class" if latents is None else "latent"
    return Conformations(
        source=f"decoded {what}" if decodes else f"{what} of a query particle",
        states=np.array(list(chosen), dtype=np.int64),
        particles=particles,
        rows=rows,
        n_states=len(present),
        n_without_latent=n_without_latent,
        n_without_query=n_without_query,
    )


def _find_nearest(coordinates: np.ndarray, members: np.ndarray, candidates: np.ndarray) -> int | None:
    """Candidate whose latent is nearest to the mean of the members'."""
    mean = coordinates[members].mean(axis=0, dtype=np.float64)
    return int(candidates[np.argmin(np.square(coordinates[candidates] - mean).sum(axis=1))])


def _find_class(coordinates: np.ndarray, members: np.ndarray, candidates: np.ndarray) -> int | None:
    """A candidate in the class of most members; None if there is none."""
    counts = np.bincount(coordinates[members].argmax(axis=1), minlength=coordinates.shape[1])
    inside = candidates[coordinates[candidates].argmax(axis=1) == counts.argmax()]
    return int(inside[0]) if len(inside) else None


def conformation_fsc(
    reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
) -> Scores:
    """FSC of the volume of every state with its true volume, unmasked and inside the data set's mask, if it has one.

    Parameters
    ----------
    seed
        For the bootstrap intervals over states.

    Returns
    -------
    Scores "conformation-fsc-auc" (published, cycles/px), "conformation-fsc-auc-normalised" (perfect is 1),
    "conformation-resolution-0.5" and "-0.143" (median over states, Å), and the same with "-masked". Items: state,
    particle (whose latent it is), value. Curve "conformation-fsc": state, mask, shell, frequency, fsc. The context
    gives the source of the volumes and the number of states left out.

    Raises
    ------
    ValueError
        If truth, volumes or latents are missing, no state can be measured, or boxes or masks differ in shape.
    """
    truth = dataset.truth
    if truth is None or truth.volumes is None:
        raise ValueError(f"data set {dataset.name} has no true volumes to compare with.")
    chosen = choose_conformations(reconstruction, dataset)
    if len(chosen.states) == 0:
        raise ValueError(f"conformations of {reconstruction.name} cannot be compared: {_explain_none(chosen)}.")
    box_size = truth.volumes.box_size
    masks = name_masks(dataset.particles.mask, box_size)
    curves: dict[str, list[FscCurve]] = {name: [] for name in masks}
    with (progress or Silent()).task("per-conformation FSC", len(chosen.states)) as task:
        for state, volume, true_volume in _read_pairs(reconstruction, truth.volumes, chosen):
            for whose, values in (("true", true_volume), ("reconstructed", volume)):
                if not np.isfinite(values).all():
                    raise ValueError(f"the {whose} volume of state {state} holds NaN or infinite voxels.")
            for name, of_name in masks.items():
                ours, theirs = transform_masked(volume, of_name), transform_masked(true_volume, of_name)
                curves[name].append(correlate(ours, theirs, box_size))
            task.advance()
    keys = {"state": chosen.states, "particle": chosen.particles}
    scores = summarise_curves(keys, curves, dataset.particles.pixel_size, prefix=_PREFIX, seed=seed)
    context = {
        "volumes_from": chosen.source,
        "mask_sha256": hash_mask(dataset.particles.mask),
        "n_states": chosen.n_states,
        "n_measured": len(chosen.states),
        "n_without_latent": chosen.n_without_latent,
        "n_without_query": chosen.n_without_query,
    }
    table = lay_out_curves(chosen.states, curves).rename(columns={"particle": "state"})
    return Scores(scores, {f"{_PREFIX}fsc": table}, context)


def _read_pairs(
    reconstruction: Reconstruction, true_volumes: VolumeSource, chosen: Conformations
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """State, its volume in the frame of the truth, and its true volume."""
    if chosen.rows is not None and reconstruction.decoder is not None:
        decoded = reconstruction.decoder.decode(chosen.rows)
        for state, volume in zip(chosen.states.tolist(), decoded, strict=True):
            true_volume = true_volumes.read(state)
            if isinstance(reconstruction, FramedReconstruction) and np.isfinite(volume).all():
                volume = reconstruction.place(volume, true_volume)
            yield state, _of_box(volume, true_volume, reconstruction.name), true_volume
        return
    if reconstruction.volumes is None:
        raise ValueError(f"{reconstruction.name} has no volumes to compare with the truth.")
    items = {int(particle): item for item, particle in enumerate(reconstruction.queries)}
    for state, particle in zip(chosen.states.tolist(), chosen.particles.tolist(), strict=True):
        volume, true_volume = reconstruction.volumes.read(items[particle]), true_volumes.read(state)
        yield state, _of_box(volume, true_volume, reconstruction.name), true_volume


def _of_box(volume: np.ndarray, true_volume: np.ndarray, name: str) -> np.ndarray:
    if volume.shape != true_volume.shape:
        raise ValueError(
            f"volumes of {name} have shape {volume.shape}, the truth {true_volume.shape}: resample them onto "
            "the grid of the data set."
        )
    return volume


def _explain_none(chosen: Conformations) -> str:
    return (
        f"needs a state with a latent and a volume, and of {chosen.n_states} states {chosen.n_without_latent} have "
        f"no latent and {chosen.n_without_query} no query particle"
    )


@described
class PerConformationFsc(Metric):
    """FSC of one volume for each true state, decoded at the latent nearest to the state's mean, with its true volume.

    Where the method cannot decode, the volume is that of the nearest query particle, and the context says so:
    ``cryobench.metrics.volumes.per_conformation``.
    """

    name = "per-conformation-fsc"
    label = "Per-conformation FSC"
    scores = tuple(
        replace(
            kind,
            name=_PREFIX + kind.name,
            label=f"Per-conformation {kind.label.replace('Resolution', 'resolution')}",
            short="FSC-AUC by state" if kind.short else "",
            otherwise=_PREFIX + kind.otherwise if kind.otherwise else "",
        )
        for kind in PerImageFsc.scores
    )
    version = 2
    needs = frozenset({"true volumes", "true states"})
    uses = frozenset({"volumes", "latents", "posteriors", "decoder", "mask"})
    curves = (("conformation-fsc", "FSC curves of one volume for each true state"),)

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: it needs volumes or a decoder, coordinates, and states that repeat."""
        missing = super().explain_missing(reconstruction, dataset)
        if missing is not None or dataset.truth is None:
            return missing
        coordinates = reconstruction.latents if reconstruction.latents is not None else reconstruction.posteriors
        if coordinates is None:
            return "needs latents or posteriors, which the reconstruction does not have"
        if reconstruction.decoder is None and reconstruction.volumes is None:
            return "needs volumes or a model that decodes, which the reconstruction does not have"
        known = dataset.truth.states[dataset.truth.states >= 0]
        n_present = len(np.unique(known))
        if 2 * n_present > len(known):
            return f"needs states of several particles each, and {len(known)} particles have {n_present} states"
        if len(coordinates) == len(dataset.truth):
            chosen = choose_conformations(reconstruction, dataset)
            return None if len(chosen.states) else _explain_none(chosen)
        return None

    def explain_wait(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Where all particles are read for every volume, and there are many of both."""
        if reconstruction.decoder is None or not reconstruction.decoder.reads_particles:
            return None
        states, n = len(choose_conformations(reconstruction, dataset).states), len(dataset.particles)
        seconds = states * n * _READ_SECONDS * (dataset.particles.box_size / 128) ** 2
        if seconds <= _LONGEST:
            return None
        return (
            f"would read all {n:,} particles for each of {states} volumes, some {seconds / 60:.0f} minutes of CPU "
            f"time: it is measured when named, --metric {self.name}"
        )

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores of ``conformation_fsc``."""
        return conformation_fsc(reconstruction, dataset, seed=seed, progress=progress)
