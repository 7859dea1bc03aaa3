"""Voxel sizes that headers of maps and stacks state, against the one that holds, in Å."""

from pathlib import Path

from cryobench._errors import FormatError

_UNSTATED = (0.0, 1.0)
"""Sizes in a header that mean nobody set one."""


def differs(stated: float, pixel_size: float) -> bool:
    """Whether the size in a header, if somebody set it, is another one by more than 1 %."""
    return stated not in _UNSTATED and abs(stated - pixel_size) > 0.01 * pixel_size


def check_stated(path: Path, stated: float, pixel_size: float) -> None:
    """FormatError if the header of a map states another voxel size than that of the images."""
    if differs(stated, pixel_size):
        raise FormatError(
            f"{path} has voxels of {stated:.4g} Å, but the images have pixels of {pixel_size:.4g} Å: they are not on"
            " one grid. Resample it, or mend its header if that is wrong."
        )
