"""Voxel sizes stated in headers of maps and stacks, compared with the actual one, in Å."""

from pathlib import Path

from cryobench._errors import FormatError

_UNSTATED = (0.0, 1.0)
"""Header values that mean the size was never set."""


def differs(stated: float, pixel_size: float) -> bool:
    """Whether the size in a header, if set, differs by more than 1 %."""
    return stated not in _UNSTATED and are_unequal(stated, pixel_size)


def are_unequal(voxel_size: float, pixel_size: float) -> bool:
    """Whether two known sizes differ by more than 1 %."""
    return abs(voxel_size - pixel_size) > 0.01 * pixel_size


def check_stated(path: Path, stated: float, pixel_size: float) -> None:
    """Raise FormatError if the header of a map states another voxel size than that of the images."""
    if differs(stated, pixel_size):
        raise FormatError(
            f"{path} has voxels of {stated:.4g} Å, but the images have pixels of {pixel_size:.4g} Å: they are on"
            " different grids. Resample it, or correct its header if that is wrong."
        )
