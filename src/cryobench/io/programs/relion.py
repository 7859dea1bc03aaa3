"""Particle tables of RELION 3.1 (read and written) and 3.0 (read), and conversion of its conventions to ours.

==================  =========================  ==================================================================
ours                RELION                     conversion
==================  =========================  ==================================================================
image               rlnImageName               ``000001@stack.mrcs``: image 1 is our index 0; rows give the order
rotations           rlnAngleRot, Tilt, Psi     degrees; same matrix (``rotations.rotations_from_euler``)
shifts (x, y)       rlnOriginX/YAngst          same sign, Å; 3.0: rlnOriginX/Y in pixels
defocus_u, _v       rlnDefocusU, V             same, Å
defocus_angle       rlnDefocusAngle            degrees, from x towards y as here
phase_shift         rlnPhaseShift              degrees
b_factor            rlnCtfBfactor              same: exp(−B s² / 4)
voltage_kv, cs_mm   rlnVoltage, -Spherical…    same; per optics group (3.1) or per particle (3.0)
pixel_size          rlnImagePixelSize          same, Å; 3.0: 10⁴ rlnDetectorPixelSize / rlnMagnification
image               rlnCtfDataArePhaseFlipped  1: phases are unflipped as images are read (``phase_flips``)
==================  =========================  ==================================================================

A value may be in the table of particles or in that of their optics groups; the former takes precedence, as in RELION.
Premultiplied images (rlnCtfDataAreCtfPremultiplied 1) are refused: their noise includes the CTF
as well, and information at the zeros of the CTF is lost, so that they are not +CTF × projection + noise for any
CTF.

RELION's CTF is −1 times ours, +w at zero frequency, because it expects protein bright in the images. Such images
are −CTF × projection in our terms, so ``read_star`` assumes ``sign=-1`` by default.

Format: https://relion.readthedocs.io/en/release-3.1/Reference/Conventions.html
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cryobench._errors import FormatError
from cryobench._types import RotationArray, ShiftArray
from cryobench.data import Particles
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.mrc import MrcStacks
from cryobench.io.formats.star import number_column, read_tables, write_tables
from cryobench.io.programs.phase_flips import UnflippedImages, flipped_of, stacks_of
from cryobench.io.programs.physical_ranges import check_pixel_size, make_ctf
from cryobench.io.programs.stack_paths import find_stacks, split_image_names
from cryobench.rotations import euler_from_rotations, rotations_from_euler

_ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
_FLIPPED, _PREMULTIPLIED = "rlnCtfDataArePhaseFlipped", "rlnCtfDataAreCtfPremultiplied"
_CTF_COLUMNS = {
    "defocus_u": "rlnDefocusU",
    "defocus_v": "rlnDefocusV",
    "defocus_angle": "rlnDefocusAngle",
    "voltage_kv": "rlnVoltage",
    "cs_mm": "rlnSphericalAberration",
    "amplitude_contrast": "rlnAmplitudeContrast",
    "phase_shift": "rlnPhaseShift",
    "b_factor": "rlnCtfBfactor",
}
_OPTIONAL = ("phase_shift", "b_factor")
_IN_DEGREES = ("defocus_angle", "phase_shift")
_IGNORED = {
    "rlnBeamTiltX": 0.0,
    "rlnBeamTiltY": 0.0,
    "rlnCtfScalefactor": 1.0,
    "rlnMagMat00": 1.0,
    "rlnMagMat01": 0.0,
    "rlnMagMat10": 0.0,
    "rlnMagMat11": 1.0,
}
"""Unsupported columns, and their neutral values."""
_IGNORED_LISTS = ("rlnOddZernike", "rlnEvenZernike")


def write_star(path: Path, particles: Particles) -> None:
    """Write a RELION 3.1 table of particles with images in MRC stacks.

    Stacks below the folder of ``path`` are named relative to it, others by their absolute path. There is one
    optics group per combination of voltage, spherical aberration, amplitude contrast and flipped phases. Withheld
    poses have no columns.

    Raises
    ------
    TypeError
        If the images are not ``MrcStacks``.
    ValueError
        If the path of a stack holds a character that STAR files cannot represent.
    """
    images, flipped = stacks_of(particles.images), flipped_of(particles.images)
    if images is None:
        raise TypeError(
            f"a STAR file needs images in MRC stacks, but these are {type(particles.images).__name__}. Write them "
            "first."
        )
    folder = Path(path).absolute().parent
    names = np.array([_name_of(stack, folder) for stack in images.paths], dtype=object)
    numbers = [f"{index + 1:06d}@" for index in images.image_index]
    ctf = particles.ctf
    settings, group = np.unique(
        np.stack([ctf.voltage_kv, ctf.cs_mm, ctf.amplitude_contrast, flipped], axis=1), axis=0, return_inverse=True
    )
    count = len(settings)
    optics = pd.DataFrame(
        {
            "rlnOpticsGroup": np.arange(1, count + 1),
            "rlnOpticsGroupName": [f"opticsGroup{i}" for i in range(1, count + 1)],
            "rlnImagePixelSize": np.full(count, float(particles.pixel_size)),
            "rlnImageSize": np.full(count, particles.box_size),
            "rlnImageDimensionality": np.full(count, 2),
            "rlnVoltage": settings[:, 0],
            "rlnSphericalAberration": settings[:, 1],
            "rlnAmplitudeContrast": settings[:, 2],
            **({_FLIPPED: settings[:, 3].astype(np.int64)} if flipped.any() else {}),
        }
    )
    columns: dict[str, object] = {
        "rlnImageName": np.array(numbers, dtype=object) + names[images.file_index],
        "rlnOpticsGroup": group.reshape(-1) + 1,
        "rlnDefocusU": ctf.defocus_u,
        "rlnDefocusV": ctf.defocus_v,
        "rlnDefocusAngle": np.rad2deg(ctf.defocus_angle),
        "rlnPhaseShift": np.rad2deg(ctf.phase_shift),
        "rlnCtfBfactor": ctf.b_factor,
    }
    if particles.rotations is not None and particles.shifts is not None:
        columns |= _pose_columns(particles.rotations, particles.shifts)
    write_tables(path, {"optics": optics, "particles": pd.DataFrame(columns)})


def read_star(
    path: Path, *, datadir: Path | None = None, sign: Literal[1, -1] = -1, notes: list[str] | None = None
) -> Particles:
    """Particles of a RELION 3.1 or 3.0 table, in row order; images are read on demand.

    Parameters
    ----------
    path
        The table.
    datadir
        Folder that stack paths are relative to, by default that of the table.
    sign
        Contrast of the stored images: −1 if protein is bright, as RELION expects; +1 if it is dark.
    notes
        List to which unusual findings are added.

    Returns
    -------
    Particles, with poses if the table has angles (absent origins are 0, as in RELION) other than in-plane angles
    alone. Phases of flipped images are unflipped.

    Raises
    ------
    FormatError
        If a column is missing or not numeric or holds values of another unit, a stack is missing, too short for the
        table, or of another box size than the table states, particles differ in pixel size, or images are
        premultiplied by their CTF.

    Warns
    -----
    UserWarning
        If the table holds beam tilt, higher aberrations, anisotropic magnification or CTF scale factors, which are
        not part of the image model here. The columns are named.
    """
    path = Path(path)
    notes = [] if notes is None else notes
    columns = _read_columns(path)
    _refuse_premultiplied(columns)
    stacks = _open_images(columns.particles, path, datadir, notes)
    _check_image_size(columns, stacks)
    _warn_of_ignored(columns)
    pixel_size = _pixel_size(columns)
    rotations, shifts = _poses(columns, pixel_size, notes)
    ctf = _ctf(columns)
    return Particles(
        images=_turned_back(stacks, ctf, pixel_size, columns, notes),
        pixel_size=pixel_size,
        ctf=ctf,
        rotations=rotations,
        shifts=shifts,
        sign=sign,
    )


def write_pose_star(path: Path, rotations: RotationArray, shifts: ShiftArray) -> None:
    """Write poses alone: angles and origins of particles in data set order, without image names."""
    write_tables(path, {"particles": pd.DataFrame(_pose_columns(rotations, shifts))})


def read_pose_star(path: Path) -> tuple[RotationArray, ShiftArray]:
    """Rotations (n, 3, 3) and shifts (n, 2) in Å of a table with angles and origins in Å, row by row."""
    columns = _read_columns(path, wanted=_ANGLES[0])
    angles = np.stack([columns.numbers(name) for name in _ANGLES], axis=1)
    origins = [columns.numbers(f"rlnOrigin{axis}Angst") for axis in "XY"]
    return rotations_from_euler(np.deg2rad(angles)), np.stack(origins, axis=1)


def read_star_poses(path: Path, pixel_size: float) -> tuple[RotationArray | None, ShiftArray | None]:
    """Rotations (n, 3, 3) and shifts (n, 2) in Å of any particle table, row by row; both None if it has none.

    ``pixel_size`` is the unit of origins in RELION 3.0. FormatError as ``read_star``; images are not needed.
    """
    return _poses(_read_columns(path, wanted="rlnAngleRot"), pixel_size, [])


def read_ctf_star(path: Path) -> Ctf:
    """CTF parameters of a particle table, row by row, without its images. FormatError as ``read_star``."""
    return _ctf(_read_columns(path, wanted="rlnDefocusU"))


@dataclass(frozen=True)
class _Columns:
    """Columns of a particle table, from its own rows or those of the optics groups."""

    path: Path
    particles: pd.DataFrame
    optics: pd.DataFrame
    """One row per particle; in RELION 3.0 the same table."""

    def __contains__(self, name: str) -> bool:
        return name in self.particles or name in self.optics

    def __len__(self) -> int:
        return len(self.particles)

    def numbers(self, name: str) -> np.ndarray:
        """A column (n,) in float64. FormatError if neither table has it, or an entry is not a finite number."""
        table = self.particles if name in self.particles or name not in self.optics else self.optics
        if name not in table and self.optics is not self.particles:
            raise FormatError(
                f"{self.path} has no column _{name}, which is needed, neither in data_optics"
                f" ({', '.join(self.optics)}) nor for particles ({', '.join(self.particles)})."
            )
        return number_column(table, name, self.path)

    def flag(self, name: str) -> np.ndarray:
        """(n,) whether an optional column is not 0."""
        return self.numbers(name) != 0 if name in self else np.zeros(len(self), dtype=bool)


def _read_columns(path: Path, *, wanted: str = "rlnImageName") -> _Columns:
    tables = read_tables(path, text_columns=("rlnImageName",))
    table = _particle_table(tables, path, wanted=wanted)
    return _Columns(path, table, _optics_of_particles(tables, table, path))


def _refuse_premultiplied(columns: _Columns) -> None:
    multiplied = columns.flag(_PREMULTIPLIED)
    if multiplied.any():
        raise FormatError(
            f"{columns.path}: the images of {int(multiplied.sum())} of {len(columns)} particles are premultiplied by"
            f" their CTF (_{_PREMULTIPLIED} is 1), which damps signal and noise alike and cannot be undone at the"
            " zeros of the CTF. Extract the particles again without --premultiply_ctf."
        )


def _turned_back(
    stacks: MrcStacks, ctf: Ctf, pixel_size: float, columns: _Columns, notes: list[str]
) -> MrcStacks | UnflippedImages:
    """The images, with flipped phases undone."""
    flipped = columns.flag(_FLIPPED)
    if not flipped.any():
        return stacks
    notes.append(
        f"phases of {int(flipped.sum()):,} of {len(flipped):,} images are flipped (_{_FLIPPED} is 1); they are"
        " unflipped as images are read"
    )
    return UnflippedImages(stacks, ctf, pixel_size, flipped)


def _pose_columns(rotations: np.ndarray, shifts: np.ndarray) -> dict[str, object]:
    angles = np.rad2deg(euler_from_rotations(np.asarray(rotations, dtype=np.float64)))
    poses: dict[str, object] = {name: angles[:, i] for i, name in enumerate(_ANGLES)}
    return poses | {"rlnOriginXAngst": shifts[:, 0], "rlnOriginYAngst": shifts[:, 1]}


def _name_of(stack: Path, folder: Path) -> str:
    return (stack.relative_to(folder) if stack.is_relative_to(folder) else stack).as_posix()


def _particle_table(tables: dict[str, pd.DataFrame], path: Path, *, wanted: str = "rlnImageName") -> pd.DataFrame:
    for name in ("particles", *tables):
        if name in tables and name != "optics" and wanted in tables[name]:
            table = tables[name]
            if len(table) == 0:
                raise FormatError(f"{path} lists no particles.")
            return table
    raise FormatError(
        f"{path} has no table with a column _{wanted}; it has data_{', data_'.join(tables)}."
        " A particle table is needed."
    )


def _optics_of_particles(tables: dict[str, pd.DataFrame], table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Optics of each particle, one row per particle: joined by group (3.1), or the table itself (3.0)."""
    if "optics" not in tables:
        return table
    optics = tables["optics"]
    known = number_column(optics, "rlnOpticsGroup", path).astype(np.int64)
    groups = number_column(table, "rlnOpticsGroup", path).astype(np.int64)
    rows = pd.Index(known).get_indexer(pd.Index(groups)) if len(set(known)) == len(known) else None
    if rows is None:
        raise FormatError(f"{path}: data_optics lists a group twice: {sorted(known.tolist())}.")
    if (rows < 0).any():
        first = int(np.argmax(rows < 0))
        raise FormatError(
            f"{path}: particle {first} is of optics group {groups[first]}, but data_optics has"
            f" {sorted(known.tolist())}."
        )
    return optics.iloc[rows].reset_index(drop=True)


def _open_images(table: pd.DataFrame, path: Path, datadir: Path | None, notes: list[str]) -> MrcStacks:
    image_index, named_stacks = split_image_names(table["rlnImageName"], path)
    file_index, stacks = pd.factorize(named_stacks)
    names = [str(name) for name in stacks]
    paths = find_stacks(names, path, folders=[path.absolute().parent], datadir=datadir, notes=notes)
    return MrcStacks(paths, file_index=file_index, image_index=image_index)


def _check_image_size(columns: _Columns, images: MrcStacks) -> None:
    if "rlnImageSize" not in columns:
        return
    sizes = columns.numbers("rlnImageSize")
    bad = sizes != images.box_size
    if bad.any():
        raise FormatError(
            f"{columns.path} states images of {sizes[bad][0]:g} px, but {images.paths[0]} holds images of"
            f" {images.box_size} px. The table and the stack do not match: use the table that was written"
            " with this stack, or correct rlnImageSize and rlnImagePixelSize."
        )


def _pixel_size(columns: _Columns) -> float:
    path = columns.path
    stated = next((name for name in ("rlnImagePixelSize", "rlnPixelSize") if name in columns), None)
    if stated is not None:
        sizes = columns.numbers(stated)
    elif "rlnMagnification" in columns and "rlnDetectorPixelSize" in columns:
        stated = "rlnDetectorPixelSize / rlnMagnification"
        magnification = columns.numbers("rlnMagnification")
        if (magnification <= 0).any():
            first = int(np.argmax(magnification <= 0))
            raise FormatError(
                f"{path}: rlnMagnification of particle {first} is {magnification[first]:g}, expected a positive"
                " number. Without it the pixel size is unknown: give it in a column _rlnPixelSize instead."
            )
        sizes = 1e4 * columns.numbers("rlnDetectorPixelSize") / magnification
    else:
        raise FormatError(
            f"{path} does not state the pixel size: it needs rlnImagePixelSize in data_optics (RELION 3.1), or"
            " rlnDetectorPixelSize and rlnMagnification (RELION 3.0)."
        )
    if np.ptp(sizes) > 1e-4 * abs(sizes[0]):
        raise FormatError(
            f"{path}: particles have pixel sizes from {sizes.min():.6g} to {sizes.max():.6g} Å; one is needed."
            " Split the table by optics group, or rescale the images to one pixel size."
        )
    return check_pixel_size(path, stated, float(sizes[0]))


def _ctf(columns: _Columns) -> Ctf:
    values = {
        name: np.zeros(len(columns)) if name in _OPTIONAL and column not in columns else columns.numbers(column)
        for name, column in _CTF_COLUMNS.items()
    }
    values |= {name: np.deg2rad(values[name]) for name in _IN_DEGREES}
    return make_ctf(columns.path, values, _CTF_COLUMNS, degrees=True)


def _poses(columns: _Columns, pixel_size: float, notes: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    rot, tilt, psi = (name in columns for name in _ANGLES)
    if not (rot or tilt):
        if psi:
            notes.append(
                f"{columns.path.name} has only in-plane angles (_rlnAnglePsi), not 3D orientations: no poses"
            )
        return None, None
    angles = np.stack([columns.numbers(name) for name in _ANGLES], axis=1)
    shifts = np.zeros((len(columns), 2))
    for in_angstrom, scale in ((True, 1.0), (False, pixel_size)):
        names = [f"rlnOrigin{axis}{'Angst' if in_angstrom else ''}" for axis in "XY"]
        if any(name in columns for name in names):
            shifts = scale * np.stack([columns.numbers(name) for name in names], axis=1)
            break
    return rotations_from_euler(np.deg2rad(angles)), shifts


def _warn_of_ignored(columns: _Columns) -> None:
    table, optics, path = columns.particles, columns.optics, columns.path
    found = []
    for source in (table,) if optics is table else (table, optics):
        for column, neutral in _IGNORED.items():
            if column in source and (number_column(source, column, path) != neutral).any():
                found.append(column)
        found += [
            column
            for column in _IGNORED_LISTS
            if column in source and any(_has_nonzero(text) for text in source[column].astype(str).unique())
        ]
    if found:
        warnings.warn(
            f"{path} has values in {', '.join(found)} that are not part of the image model here and are ignored.",
            UserWarning,
            stacklevel=3,
        )


def _has_nonzero(text: str) -> bool:
    """Whether a list such as [0,0,1.5] has a nonzero entry."""
    return any(float(entry) != 0 for entry in text.strip("[]").split(",") if entry.strip())
