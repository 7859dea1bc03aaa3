"""CTF tables of real experiments, whichever program wrote them."""

from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench.imaging.ctf import Ctf
from cryobench.io.cryodrgn import read_ctf
from cryobench.io.relion import read_ctf_star


def read_ctf_table(path: Path) -> Ctf:
    """CTF parameters, row by row, of a cryoDRGN pickle (.pkl), a RELION table (.star) or a cryoSPARC one (.cs).

    The grid on which they were estimated does not matter: they are in Å, and so are ours.

    Raises
    ------
    FormatError
        If the suffix is another one, or the file lacks a column or holds a value out of range.
    """
    suffix = path.suffix.lower()
    if suffix == ".pkl":
        return read_ctf(path)[0]
    if suffix == ".star":
        return read_ctf_star(path)
    if suffix == ".cs":
        return _read_cs(path)
    raise FormatError(f"{path} is no CTF table: expected .pkl (cryoDRGN), .star (RELION) or .cs (cryoSPARC).")


def _read_cs(path: Path) -> Ctf:
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as a cryoSPARC table ({error}).") from error
    wanted = {
        "defocus_u": "ctf/df1_A",
        "defocus_v": "ctf/df2_A",
        "defocus_angle": "ctf/df_angle_rad",
        "voltage_kv": "ctf/accel_kv",
        "cs_mm": "ctf/cs_mm",
        "amplitude_contrast": "ctf/amp_contrast",
        "phase_shift": "ctf/phase_shift_rad",
    }
    present = table.dtype.names or ()
    missing = [name for name in wanted.values() if name not in present]
    if missing:
        raise FormatError(f"{path} lacks {', '.join(missing)}. Use the .cs of a job that estimated CTFs.")
    return Ctf.from_columns(len(table), **{name: table[column] for name, column in wanted.items()})
