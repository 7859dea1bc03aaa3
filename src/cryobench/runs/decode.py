"""Decode further volumes of a finished run: at particles, at given latents, or one per true state."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cryobench.data import Dataset
from cryobench.io.atomic import read_array
from cryobench.io.store import load_reconstruction
from cryobench.reconstruction.decoders import check_box, latent_rows, open_decoder
from cryobench.reconstruction.engine import RunContext
from cryobench.runs.score import find_dataset
from cryobench.runs.volume_folder import write_volume_folder


def write_volumes(
    run: Path,
    folder: Path,
    *,
    particles: Sequence[int] | None = None,
    latents: Path | None = None,
    states: bool = False,
    box_size: int | None = None,
    dataset: Path | None = None,
    context: RunContext | None = None,
) -> list[Path]:
    """Write volumes of a finished run as MRC files into a new folder, for exactly one choice of latents.

    Parameters
    ----------
    run
        RUN folder of a finished run whose method can decode.
    folder
        New, or left by the same interrupted command, which then resumes.
    particles
        Particle indices: the volume at each one's own latent (file ``particle-NNNNNN.mrc``).
    latents
        .npy file (m, d): the volume at each row (``latent-NNNNNN.mrc``).
    states
        The volume at the mean latent of each true state's particles (``state-NNN.mrc``). Uses the truth's labels.
    box_size
        Box of preview volumes, which are Fourier-cropped to it. None for the data set's.
    dataset
        The data set's folder, if it is not at the path in the run record.
    context
        Device, memory, workers and progress.

    Raises
    ------
    ValueError
        Not exactly one choice; a particle that does not exist or was left out; latents of another width; a run
        without a model to decode from; a box larger than the data set's.
    FileExistsError
        The folder exists and is not of this command.
    FormatError
        A latents file that is not an array; a folder of another interrupted command.
    """
    if (particles is not None) + (latents is not None) + states != 1:
        raise ValueError("expected exactly one of --particles, --latents and --states.")
    context = context or RunContext()
    reconstruction = load_reconstruction(run)
    data = find_dataset(reconstruction, dataset)
    box = check_box(box_size, data.particles.box_size)
    own = latent_rows(reconstruction)
    if particles is not None:
        wrong = [index for index in particles if not 0 <= index < len(own)]
        if wrong:
            raise ValueError(f"particle {wrong[0]} does not exist: this run has particles 0 to {len(own) - 1}.")
        left_out = [index for index in particles if not np.isfinite(own[index]).all()]
        if left_out:
            raise ValueError(
                f"particle {left_out[0]} was left out by {reconstruction.name}: there is no volume at it."
            )
        rows, names = own[list(particles)], [f"particle-{index:06d}" for index in particles]
    elif latents is not None:
        rows = _read_latents(latents, own.shape[1])
        names = [f"latent-{index:06d}" for index in range(len(rows))]
    else:
        rows, names = _state_means(data, own)
    return write_volume_folder(
        folder,
        [f"{name}.mrc" for name in names],
        lambda missing, inner: open_decoder(reconstruction, data.particles, inner, box_size=box).decode(
            rows[missing]
        ),
        rows=rows,
        call={"run": str(Path(run).resolve()), "box_size": box},
        pixel_size=data.particles.pixel_size * data.particles.box_size / box,
        context=context,
    )


def _read_latents(path: Path, width: int) -> np.ndarray:
    rows = read_array(path, numbers=True)
    if rows.ndim != 2 or rows.shape[1] != width or not np.isfinite(rows).all():
        raise ValueError(
            f"{path} holds an array of shape {rows.shape}; expected finite rows of {width} numbers, "
            "as wide as this run's latents."
        )
    return rows


def _state_means(dataset: Dataset, latents: np.ndarray) -> tuple[np.ndarray, list[str]]:
    truth = dataset.truth
    if truth is None or not (truth.states >= 0).any():
        raise ValueError("--states needs a data set with labelled particles; use --particles or --latents.")
    placed = np.isfinite(latents).all(axis=1)
    present = np.unique(truth.states[(truth.states >= 0) & placed])
    rows = np.stack([latents[placed & (truth.states == state)].mean(axis=0) for state in present])
    return rows, [f"state-{state:03d}" for state in present]
