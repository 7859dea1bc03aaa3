"""The 1024-byte header of an MRC file, read defensively and written by mrcfile.

Format: MRC2014, Cheng et al., J. Struct. Biol. 192 (2015) 146, doi:10.1016/j.jsb.2015.04.002. The layout of the
header, its modes and machine stamps are mrcfile's. Headers in practice are often wrong, so only the fields that
locate the data are relied on: sizes, mode, byte order and the length of the extended header. A machine stamp that
is malformed, or contradicts the sizes, is overruled with a warning; one of zeros, as in the published archives, is
ignored.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.mrcobject import MrcObject
from mrcfile.utils import byte_order_from_machine_stamp, dtype_from_mode

from cryobench._errors import FormatError
from cryobench.io.formats.mrc_signs import decide_signs

HEADER_BYTES = 1024
_REAL_MODES = (0, 1, 2, 6, 12)
_LARGEST = 1 << 24
_OTHER_TYPES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive (unpack it first)",
    b"BZh": "a bzip2 archive (unpack it first)",
    b"PK\x03\x04": "a zip archive (unpack it first)",
    b"version https://git-lfs": "a Git LFS pointer (fetch the actual file)",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}


@dataclass(frozen=True)
class MrcHeader:
    """Location and type of the data of one file, and its pixel size."""

    path: Path
    shape: tuple[int, int, int]
    """(nz, ny, nx)."""
    dtype: np.dtype
    """Type of the stored numbers, including byte order."""
    offset: int
    """Bytes before the first number."""
    pixel_sizes: tuple[float, float, float]
    """Å per voxel along x, y, z; 0 if not stated."""
    axes: tuple[int, int, int]
    """Axis (x, y, z = 1, 2, 3) along columns, rows and sections; (1, 2, 3) unless the file is permuted."""
    signs_overruled: bool = False
    """Whether the header's signedness was overruled by the data (``mrc_signs``)."""

    @property
    def box_size(self) -> int:
        """Side of the square images. FormatError if they are not square."""
        _, rows, columns = self.shape
        if rows != columns:
            raise FormatError(
                f"{self.path}: images are {columns} x {rows} px (x, y), expected square ones. Crop or pad them first."
            )
        return columns

    @property
    def image_bytes(self) -> int:
        """Bytes of one section."""
        return self.shape[1] * self.shape[2] * self.dtype.itemsize


def read_header(path: Path) -> MrcHeader:
    """Read and check the header of an MRC file or stack.

    Raises
    ------
    FormatError
        If the file is missing, is not an MRC file, has a mode other than 0, 1, 2, 6 or 12, or is shorter than its
        header states.

    Warns
    -----
    UserWarning
        If the machine stamp is malformed or wrong; the byte order that fits the sizes is used.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(HEADER_BYTES)
            size = file.seek(0, 2)
    except FileNotFoundError:
        raise FormatError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise FormatError(f"{path} is a folder, expected an MRC file.") from None
    fields, byte_order = _interpret(raw, path)
    mode = int(fields["mode"])
    if mode not in _REAL_MODES:
        raise FormatError(
            f"{path} stores numbers in MRC mode {mode}; modes 0, 1, 2, 6 and 12 (real numbers) can be read."
            " Convert it to mode 2 (32-bit float)."
        )
    header = MrcHeader(
        path=path,
        shape=(int(fields["nz"]), int(fields["ny"]), int(fields["nx"])),
        dtype=dtype_from_mode(mode).newbyteorder(byte_order),
        offset=HEADER_BYTES + int(fields["nsymbt"]),
        pixel_sizes=_pixel_sizes(fields),
        axes=_axes(fields),
    )
    promised = header.offset + header.shape[0] * header.image_bytes
    if size < promised:
        whole = max(0, size - header.offset) // header.image_bytes
        raise FormatError(
            f"{path} is truncated: its header states {header.shape[0]} sections of {header.shape[2]} x"
            f" {header.shape[1]} ({promised:,} bytes), the file holds {size:,} bytes ({whole} whole sections)."
            " Copy or make the file again."
        )
    dtype, overruled = decide_signs(
        path,
        header.dtype,
        head=raw,
        offset=header.offset,
        sections=header.shape[0],
        section_bytes=header.image_bytes,
    )
    return replace(header, dtype=dtype, signs_overruled=overruled)


def make_header(shape: tuple[int, int, int], pixel_size: float, *, stack: bool) -> np.ndarray:
    """Little-endian header (a 0-dimensional record) for float32 data of ``shape`` (nz, ny, nx).

    Statistics are set to the MRC2014 values for "not determined" (max < min, mean < max, rms < 0).

    Parameters
    ----------
    shape
        Sections, rows, columns.
    pixel_size
        Å per pixel.
    stack
        A stack of images (space group 0, mz = 1) rather than a volume (space group 1).
    """
    header = np.asarray(_Unwritten(shape, pixel_size, stack=stack).header)
    # mrcfile's own label holds the time, but the same data must give the same bytes.
    header["label"][0] = b"written by cryobench"
    return header


class _Unwritten(MrcObject):
    """File of mrcfile with only a header: the data of a stack are written piece by piece."""

    def __init__(self, shape: tuple[int, int, int], pixel_size: float, *, stack: bool) -> None:
        super().__init__()
        self._create_default_attributes()
        self._set_new_data(np.broadcast_to(np.zeros((), "<f4"), shape))
        self.update_header_from_data()
        if stack:
            self.set_image_stack()
        self.voxel_size = pixel_size


def _interpret(raw: bytes, path: Path) -> tuple[Any, Literal["<", ">"]]:
    """Header fields, and the byte order that fits them.

    mrcfile's permissive reading relies on the mode, and mode 0 is 0 in either order: of the five modes, in both
    orders, with four stamps, it misreads 4 of 40 files (mode 0, stamp absent, malformed or wrong), this none of them.
    """
    for magic, name in _OTHER_TYPES.items():
        if raw.startswith(magic):
            raise FormatError(f"{path} is not an MRC file: it is {name}.")
    if len(raw) < HEADER_BYTES:
        raise FormatError(f"{path} is not an MRC file: it has {len(raw)} bytes, an MRC header alone has 1024.")
    orders: tuple[Literal["<"], Literal[">"]] = ("<", ">")
    candidates = {order: np.frombuffer(raw, dtype=HEADER_DTYPE.newbyteorder(order), count=1)[0] for order in orders}
    plausible: list[Literal["<", ">"]] = [order for order in orders if _is_plausible(candidates[order])]
    if not plausible:
        sizes = tuple(int(candidates["<"][name]) for name in ("nx", "ny", "nz"))
        raise FormatError(f"{path} is not an MRC file: its header would imply a size of {sizes} (x, y, z).")
    stamp = bytes(candidates["<"]["machst"][:2])
    try:
        stated = byte_order_from_machine_stamp(stamp)
        problem = "wrong"
    except ValueError:
        stated, problem = None, "malformed"
    order = stated if stated in plausible else plausible[0]
    if order == stated or not any(stamp):
        return candidates[order], order
    name = {"<": "little", ">": "big"}[order]
    warnings.warn(
        f"{path} has a {problem} machine stamp (0x{stamp.hex()}); it is read as {name}-endian, which fits its sizes.",
        UserWarning,
        stacklevel=4,
    )
    return candidates[order], order


def _is_plausible(fields: Any) -> bool:
    sizes = [int(fields[name]) for name in ("nx", "ny", "nz")]
    return (
        all(0 < size < _LARGEST for size in sizes)
        and 0 <= int(fields["mode"]) < 1024
        and 0 <= int(fields["nsymbt"]) < 1 << 30
    )


def _pixel_sizes(fields: Any) -> tuple[float, float, float]:
    sizes = []
    for cell, grid in (("x", "mx"), ("y", "my"), ("z", "mz")):
        length, cells = float(fields["cella"][cell]), int(fields[grid])
        sizes.append(length / cells if cells > 0 and np.isfinite(length) and length > 0 else 0.0)
    return (sizes[0], sizes[1], sizes[2])


def _axes(fields: Any) -> tuple[int, int, int]:
    axes = (int(fields["mapc"]), int(fields["mapr"]), int(fields["maps"]))
    return axes if sorted(axes) == [1, 2, 3] else (1, 2, 3)
