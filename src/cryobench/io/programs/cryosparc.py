"""cryoSPARC particle files (.cs), and conversion of cryoSPARC's conventions to ours.

==================  =================================  ==============================================================
ours                cryoSPARC                          conversion
==================  =================================  ==============================================================
image               blob/path, blob/idx                index from 0; a leading ``>`` means "from this file's folder"
sign                blob/sign                          opposite: −1 is protein dark, as recorded
pixel_size          blob/psize_A                       same, Å
rotations           alignments3D/pose (``cs_poses``)   rotation vector of the inverse: R = exp([pose]×)ᵀ
shifts (x, y)       alignments3D/shift                 same sign, in pixels of alignments3D/psize_A, not of the images
defocus_u, _v       ctf/df1_A, ctf/df2_A               same, Å
defocus_angle       ctf/df_angle_rad                   same, radian
phase_shift         ctf/phase_shift_rad                same, radian
b_factor            ctf/bfactor                        same
voltage_kv, cs_mm   ctf/accel_kv, ctf/cs_mm            same
==================  =================================  ==============================================================

cryoSPARC's CTF is that of RELION, −1 times ours; an image times blob/sign has protein bright.

Numbers are float32: the first writing rounds (rotations to 5·10⁻⁷ rad, the rest to 6·10⁻⁸ of its value), after which
reading and writing change nothing. The order is that of the rows.

Format: https://guide.cryosparc.com, "Manipulating .cs files created by cryoSPARC"; signs of pose and blob/sign after
the files of CryoSPARC 4 (particles extracted from raw micrographs have blob/sign −1).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench._types import RotationArray, ShiftArray
from cryobench.data import Particles
from cryobench.imaging.ctf import Ctf
from cryobench.io.atomic import write_array, write_text
from cryobench.io.formats.cs_table import CsTable
from cryobench.io.formats.mrc import MrcStacks
from cryobench.io.programs.cs_poses import read_cs_poses
from cryobench.io.programs.physical_ranges import check_pixel_size, make_ctf
from cryobench.io.programs.stack_paths import find_stacks

_CTF_FIELDS = {
    "defocus_u": "ctf/df1_A",
    "defocus_v": "ctf/df2_A",
    "defocus_angle": "ctf/df_angle_rad",
    "voltage_kv": "ctf/accel_kv",
    "cs_mm": "ctf/cs_mm",
    "amplitude_contrast": "ctf/amp_contrast",
    "phase_shift": "ctf/phase_shift_rad",
    "b_factor": "ctf/bfactor",
}
_OPTIONAL = ("phase_shift", "b_factor")
_AS_TYPED = ("voltage_kv", "cs_mm", "amplitude_contrast")
"""Microscope settings entered as decimals: 2.7 rather than 2.700000048."""
_IGNORED = {
    "ctf/scale": 1.0,
    "ctf/scale_const": 0.0,
    "ctf/shift_A": 0.0,
    "ctf/tilt_A": 0.0,
    "ctf/trefoil_A": 0.0,
    "ctf/tetra_A": 0.0,
    "ctf/anisomag": 0.0,
    "alignments3D/alpha": 1.0,
}
"""Unsupported fields, and their neutral values."""


def write_cs(path: Path, particles: Particles, *, uids: np.ndarray | None = None) -> None:
    """Write a .cs file of particles with images in MRC stacks: blob, ctf and, with poses, alignments3D.

    Stacks are named relative to the folder of ``path`` (with ``>``) if all are below it, else by absolute path.
    Unless ``uids`` (n,) are given, and all different, the ``uid`` of a row depends on the content of the table
    alone, so that the bytes are reproducible.

    Raises
    ------
    TypeError
        If the images are not ``MrcStacks``.
    """
    images = particles.images
    if not isinstance(images, MrcStacks):
        raise TypeError(
            f"a .cs file needs images in MRC stacks, but these are {type(images).__name__}. Write them first."
        )
    columns = _blob_columns(Path(path), particles, images) | _ctf_columns(particles.ctf)
    if particles.rotations is not None and particles.shifts is not None:
        columns |= _pose_columns(particles.rotations, particles.shifts, particles.pixel_size)
    if uids is None or len(np.unique(uids)) < len(uids):
        uids = _make_uids(columns, len(particles))
    columns = {"uid": uids.astype("<u8"), **columns}
    fields = [(name, values.dtype, values.shape[1:]) for name, values in columns.items()]
    table: Any = np.empty(len(particles), dtype=fields)
    for name, values in columns.items():
        table[name] = values
    write_array(path, table)


def write_csg(path: Path, table: Path, particles: Particles) -> None:
    """Write the result group (.csg) with which cryoSPARC's job "Import Result Group" opens the .cs file ``table``.

    Its date is fixed: the bytes depend on the particles alone.
    """
    groups = ["blob", "ctf", *(["alignments3D"] if particles.rotations is not None else [])]
    content = {
        "created": datetime(2000, 1, 1),
        "group": {
            "description": "Particles written by cryobench",
            "name": "particles",
            "title": "Particles",
            "type": "particle",
        },
        "results": {
            group: {"metafile": f">{table.name}", "num_items": len(particles), "type": f"particle.{group}"}
            for group in groups
        },
        "version": "v4.4.1",
    }
    write_text(path, yaml.safe_dump(content))


def read_cs(
    path: Path,
    *,
    passthrough: Sequence[Path] | Path = (),
    datadir: Path | None = None,
    sign: Literal[1, -1] | None = None,
    notes: list[str] | None = None,
) -> Particles:
    """Particles of a .cs file, in row order; images are read on demand.

    Parameters
    ----------
    path
        The file whose rows are the particles.
    passthrough
        Files of the same job with the other fields; their rows are matched by ``uid``. If a field is in
        several files, the first one is used.
    datadir
        Folder that stack paths are relative to: the cryoSPARC project. By default the folder of the file, or else its
        parent, as in PROJECT/J12/particles.cs.
    sign
        Contrast of the stored images: −1 if protein is bright, +1 if it is dark. By default from blob/sign.
    notes
        List to which unusual findings are added.

    Returns
    -------
    Particles, with poses if the file has some in 3D (``cs_poses``).

    Raises
    ------
    FormatError
        If a file is not a structured array or holds Python objects, a field is missing or not finite, a ``uid`` is
        missing or duplicated, particles differ in pixel size or sign, values are in other units, or a stack is
        missing, too short, or of another box size than stated.

    Warns
    -----
    UserWarning
        If the file holds beam tilt, higher aberrations, anisotropic magnification or scale factors, which are not
        part of the image model here. The fields are named.
    """
    path = Path(path)
    files = [passthrough] if isinstance(passthrough, str | Path) else list(passthrough)
    notes = [] if notes is None else notes
    table = CsTable(path, [Path(file) for file in files])
    images = _open_images(table, None if datadir is None else Path(datadir), notes)
    pixel_size = _one_number(table, "blob/psize_A", "Å per pixel", "rescale the images to one pixel size")
    check_pixel_size(path, "blob/psize_A", pixel_size)
    if sign is None:
        table.require(["blob/sign"], "Give --contrast bright or dark.")
        stored = _one_number(table, "blob/sign", "sign of the contrast", "invert the others", positive=False)
        if abs(stored) != 1:
            raise FormatError(f"{path}: blob/sign is {stored:g}, expected 1 or -1. Give --contrast bright or dark.")
        sign = -1 if stored > 0 else 1
    rotations, shifts = read_cs_poses(table, pixel_size, notes)
    _warn_of_ignored(table)
    return Particles(
        images=images, pixel_size=pixel_size, ctf=_ctf(table), rotations=rotations, shifts=shifts, sign=sign
    )


def read_cs_ctf(path: Path) -> Ctf:
    """CTF parameters of a .cs file, row by row, without its images. FormatError as ``read_cs``."""
    return _ctf(CsTable(Path(path)))


def read_cs_uids(path: Path) -> np.ndarray | None:
    """(n,) ``uid`` of each particle of a .cs file; None if it has none. FormatError if it is not a .cs file."""
    table = CsTable(Path(path))
    if "uid" not in table:
        return None
    return table["uid"]


def _open_images(table: CsTable, datadir: Path | None, notes: list[str]) -> MrcStacks:
    table.require(["blob/path", "blob/idx", "blob/psize_A"])
    indices = table.numbers("blob/idx")
    bad = (indices < 0) | (indices != np.floor(indices))
    if bad.any():
        first = int(np.argmax(bad))
        raise FormatError(f"{table.path}: blob/idx of particle {first} is {indices[first]:g}, expected 0, 1, 2, …")
    file_index, names = pd.factorize(table["blob/path"])
    stacks = _find_stacks([_decode(name, table.path) for name in names], table.path, datadir, notes)
    images = MrcStacks(stacks, file_index=file_index, image_index=indices.astype(np.int64))
    if "blob/shape" in table:
        shapes = table.numbers("blob/shape", (2,))
        bad = (shapes != images.box_size).any(axis=1)
        if bad.any():
            first = int(np.argmax(bad))
            raise FormatError(
                f"{table.path} states images of {shapes[first][1]:g} x {shapes[first][0]:g} px (particle {first}),"
                f" but {images.paths[int(file_index[first])]} holds images of {images.box_size} px. The table and the"
                " stack do not match: use the file that was written with this stack."
            )
    return images


def _decode(name: Any, path: Path) -> str:
    try:
        text = name.decode("utf-8") if isinstance(name, bytes) else str(name)
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: blob/path {name!r} is not text ({error}).") from error
    if not text.removeprefix(">"):
        raise FormatError(f"{path}: a blob/path is empty: these particles have no images.")
    return text


def _find_stacks(names: list[str], path: Path, datadir: Path | None, notes: list[str]) -> list[Path]:
    """Stacks below ``datadir``, or else below the file's folder or its parent, the project's."""
    folder = path.absolute().parent
    found: dict[str, Path] = {}
    for beside in (True, False):  # a leading > means "from this file's folder"
        part = [name for name in names if name.startswith(">") == beside]
        if part:
            paths = find_stacks(
                [name.removeprefix(">") for name in part],
                path,
                folders=[folder, folder.parent],
                datadir=datadir,
                notes=notes,
                start="that the paths in the file are relative to, usually that of the cryoSPARC project",
            )
            found |= dict(zip(part, paths, strict=True))
    return [found[name] for name in names]


def _one_number(table: CsTable, name: str, meaning: str, remedy: str, *, positive: bool = True) -> float:
    """The common value of all particles, as entered."""
    values = table.numbers(name)
    if np.ptp(values) > 1e-4 * abs(values[0]) or (positive and values.min() <= 0):
        raise FormatError(
            f"{table.path}: {name} ({meaning}) ranges from {values.min():.6g} to {values.max():.6g}; one"
            f"{' positive' * positive} value is needed. Split the file, or {remedy}."
        )
    return float(table.typed(name)[0])


def _ctf(table: CsTable) -> Ctf:
    table.require([field for name, field in _CTF_FIELDS.items() if name not in _OPTIONAL])
    columns = {}
    for name, field in _CTF_FIELDS.items():
        read = table.typed if name in _AS_TYPED else table.numbers
        columns[name] = read(field) if field in table else np.zeros(len(table))
    return make_ctf(table.path, columns, _CTF_FIELDS)


def _warn_of_ignored(table: CsTable) -> None:
    found = [name for name, neutral in _IGNORED.items() if name in table and (table[name] != neutral).any()]
    if found:
        warnings.warn(
            f"{table.path} has values in {', '.join(found)} that are not part of the image model here and are"
            " ignored.",
            UserWarning,
            stacklevel=3,
        )


def _blob_columns(path: Path, particles: Particles, images: MrcStacks) -> dict[str, np.ndarray]:
    n, folder = len(particles), path.absolute().parent
    below = all(stack.is_relative_to(folder) for stack in images.paths)
    names = [f">{stack.relative_to(folder).as_posix()}" if below else stack.as_posix() for stack in images.paths]
    return {
        "blob/path": np.array([name.encode("utf-8") for name in names], dtype=np.bytes_)[images.file_index],
        "blob/idx": images.image_index.astype("<u4"),
        "blob/shape": np.full((n, 2), particles.box_size, dtype="<u4"),
        "blob/psize_A": np.full(n, particles.pixel_size, dtype="<f4"),
        "blob/sign": np.full(n, -particles.sign, dtype="<f4"),
        "blob/import_sig": np.zeros(n, dtype="<u8"),
    }


def _ctf_columns(ctf: Ctf) -> dict[str, np.ndarray]:
    n = len(ctf)
    settings = np.stack([getattr(ctf, name) for name in _AS_TYPED], axis=1)
    _, group = np.unique(settings, axis=0, return_inverse=True)
    columns: dict[str, np.ndarray] = {
        "ctf/type": np.full(n, b"imported"),
        "ctf/exp_group_id": (group.reshape(-1) + 1).astype("<u4"),
    }
    columns |= {field: getattr(ctf, name).astype("<f4") for name, field in _CTF_FIELDS.items()}
    width = {"ctf/shift_A": 2, "ctf/tilt_A": 2, "ctf/trefoil_A": 2, "ctf/tetra_A": 4, "ctf/anisomag": 4}
    for name, neutral in _IGNORED.items():
        if name.startswith("ctf/"):
            shape = (n, width[name]) if name in width else (n,)
            columns[name] = np.full(shape, neutral, dtype="<f4")
    return columns


def _pose_columns(rotations: RotationArray, shifts: ShiftArray, pixel_size: float) -> dict[str, np.ndarray]:
    n = len(rotations)
    zeros, ones = np.zeros(n, dtype="<f4"), np.ones(n, dtype="<f4")
    statistics = ("error", "error_min", "resid_pow", "slice_pow", "image_pow", "cross_cor")
    return {
        "alignments3D/split": (np.arange(n) % 2).astype("<u4"),
        "alignments3D/shift": (np.asarray(shifts, dtype=np.float64) / pixel_size).astype("<f4"),
        "alignments3D/pose": _rotation_vectors(rotations),
        "alignments3D/psize_A": np.full(n, pixel_size, dtype="<f4"),
        **{f"alignments3D/{name}": zeros for name in statistics},
        "alignments3D/alpha": ones,
        "alignments3D/alpha_min": ones,
        "alignments3D/weight": ones,
        "alignments3D/pose_ess": zeros,
        "alignments3D/shift_ess": zeros,
        "alignments3D/class_posterior": ones,
        "alignments3D/class": np.zeros(n, dtype="<u4"),
        "alignments3D/class_ess": ones,
    }


def _rotation_vectors(rotations: RotationArray) -> np.ndarray:
    """(n, 3) float32 rotation vectors of the inverse rotations, of length at most π after rounding as well."""
    inverses = np.asarray(rotations, dtype=np.float64).swapaxes(-1, -2)
    vectors = Rotation.from_matrix(inverses).as_rotvec()
    rounded = vectors.astype("<f4")
    # A vector that rounding made longer than π would be read back as its opposite.
    too_long = np.linalg.norm(rounded.astype(np.float64), axis=1) > np.pi
    shorter = np.pi * (1 - 1e-7) / np.linalg.norm(vectors[too_long], axis=1, keepdims=True)
    rounded[too_long] = vectors[too_long] * shorter
    return rounded


def _make_uids(columns: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Distinct 64-bit numbers that follow from the content: a counter from its hash, scrambled one to one.

    The scrambling is SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
    """
    digest = hashlib.sha256()
    for name, values in columns.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).data)
    start = int.from_bytes(digest.digest()[:8], "little")
    with np.errstate(over="ignore"):
        mixed = np.uint64(start) + np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (mixed ^ (mixed >> np.uint64(31))).astype("<u8")
