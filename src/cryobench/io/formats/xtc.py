"""Molecular frames in XTC files, as read by Gromacs and most viewers.

XTC stores positions as multiples of 0.01 Å (0.001 nm). Positions that were read (``atoms.files.frames``), rounded
again, are exactly those written, rounded: images made from rounded positions and volumes rendered later from the
file show the same atoms.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from cryobench._errors import FormatError
from cryobench.atoms.files.frames import XdrFile
from cryobench.io.atomic import atomic_write

_STEPS_PER_ANGSTROM = 100
_STEPS_PER_NM = 1000
_MOST_STEPS = 2**22  # up to here single precision resolves neighbouring steps
BYTES_PER_ATOM = 8
"""Maximum; 5 to 6 are usual."""


def round_positions(positions: Float[np.ndarray, "*frames 3"]) -> Float64[np.ndarray, "*frames 3"]:
    """Positions in Å as stored in XTC files: the nearest multiples of 0.01 Å."""
    rounded = np.multiply(positions, float(_STEPS_PER_ANGSTROM), dtype=np.float64)
    np.rint(rounded, out=rounded)
    rounded /= _STEPS_PER_ANGSTROM
    return rounded


def write_frames(path: Path, positions: Float[np.ndarray, "m a 3"]) -> None:
    """Write m frames of positions in Å; the file appears complete or not at all.

    Raises
    ------
    ValueError
        If there is no frame, or a position is not finite or beyond 40,000 Å.
    DiskFull
        If the disk is too small.
    """
    from MDAnalysis.lib.formats.libmdaxdr import XTCFile

    path = Path(path)
    if positions.ndim != 3 or positions.shape[2] != 3 or positions.size == 0:
        raise ValueError(f"{path}: frames must have shape (frames, atoms, 3), got {positions.shape}.")
    no_box = np.zeros((3, 3), dtype=np.float32)
    with atomic_write(path, bytes_needed=positions.size // 3 * BYTES_PER_ATOM) as file:
        with XTCFile(file.name, "w") as frames:
            for index, frame in enumerate(positions):
                steps = np.rint(frame * _STEPS_PER_ANGSTROM)
                if not np.abs(steps).max() < _MOST_STEPS:
                    raise ValueError(
                        f"{path}: frame {index} holds positions that are not finite or beyond "
                        f"{_MOST_STEPS // _STEPS_PER_ANGSTROM:,} Å, which XTC cannot store to 0.01 Å."
                    )
                frames.write((steps / _STEPS_PER_NM).astype(np.float32), no_box, index, float(index), _STEPS_PER_NM)
        written = len(XdrFile(Path(file.name)))
        if written != len(positions):
            raise FormatError(f"{path}: {written} of {len(positions)} frames reached the disk. Is it full?")
