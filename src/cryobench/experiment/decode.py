"""Decode further volumes of a finished run, of particles, of given latents, or one per true state."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench._progress import Progress, Silent
from cryobench.data import Reconstruction
from cryobench.experiment.run import build_method
from cryobench.experiment.score import find_dataset
from cryobench.io.atomic import atomic_folder, read_array
from cryobench.io.mrc import write_volume
from cryobench.io.store import load_reconstruction
from cryobench.methods import get_method


def write_volumes(
    run: Path,
    folder: Path,
    *,
    particles: Sequence[int] | None = None,
    latents: Path | None = None,
    states: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write volumes of a finished run as MRC files into a new folder; exactly one choice of what to decode.

    Parameters
    ----------
    run
        RUN folder of a finished run whose method can decode.
    folder
        New folder; it appears when all volumes are in it.
    particles
        Particle indices: the volume at each one's own latent (file ``particle-NNNNNN.mrc``).
    latents
        .npy file (m, d): the volume at each row (``latent-NNNNNN.mrc``).
    states
        The volume at the mean latent of each true state's particles (``state-NNN.mrc``). Uses the truth's labels.

    Raises
    ------
    ValueError
        Not exactly one choice; a particle that does not exist; latents of another width.
    FormatError
        A latents file that is no array; a run that keeps no model to decode from.
    """
    if (particles is not None) + (latents is not None) + states != 1:
        raise ValueError("say what to decode: one of --particles, --latents and --states.")
    reconstruction = load_reconstruction(run)
    own = _latents_of(reconstruction)
    if particles is not None:
        wrong = [index for index in particles if not 0 <= index < len(own)]
        if wrong:
            raise ValueError(f"particle {wrong[0]} does not exist: this run has particles 0 to {len(own) - 1}.")
        rows, names = own[list(particles)], [f"particle-{index:06d}" for index in particles]
    elif latents is not None:
        rows = _read_latents(latents, own.shape[1])
        names = [f"latent-{index:06d}" for index in range(len(rows))]
    else:
        rows, names = _state_means(reconstruction, own)
    images = find_dataset(reconstruction, None).particles
    method = build_method(get_method(str(reconstruction.record["method"])), reconstruction.record["settings"])
    progress = progress or Silent()
    with atomic_folder(folder) as partial, progress.task("decoding volumes", total=len(rows)) as task:
        decoded = method.decode(Path(run) / "model", rows, particles=images)
        for name, volume in zip(names, decoded, strict=True):
            write_volume(partial / f"{name}.mrc", volume, images.pixel_size)
            task.advance()
    return [folder / f"{name}.mrc" for name in names]


def _latents_of(reconstruction: Reconstruction) -> np.ndarray:
    latents = reconstruction.latents if reconstruction.latents is not None else reconstruction.posteriors
    if latents is None or not reconstruction.model:
        raise FormatError(
            f"{reconstruction.path} ({reconstruction.name}) keeps no model to decode further volumes from: "
            "its query volumes in RUN/volumes are all there is."
        )
    return latents


def _read_latents(path: Path, width: int) -> np.ndarray:
    rows = read_array(path, numbers=True)
    if rows.ndim != 2 or rows.shape[1] != width or not np.isfinite(rows).all():
        raise ValueError(
            f"{path} holds an array of shape {rows.shape}; expected finite rows of {width} numbers, "
            "as wide as this run's latents."
        )
    return rows


def _state_means(reconstruction: Reconstruction, latents: np.ndarray) -> tuple[np.ndarray, list[str]]:
    truth = find_dataset(reconstruction, None).truth
    if truth is None or not (truth.states >= 0).any():
        raise ValueError("--states needs a data set with labelled particles; use --particles or --latents.")
    present = np.unique(truth.states[truth.states >= 0])
    rows = np.stack([np.nanmean(latents[truth.states == state], axis=0) for state in present])
    return rows, [f"state-{state:03d}" for state in present]
