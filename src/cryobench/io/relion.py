"""Particle tables of RELION 3.1 (read and written) and 3.0 (read), and how RELION's conventions map to ours.

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
==================  =========================  ==================================================================

RELION's CTF is −1 times ours, +w at zero frequency, because it expects protein bright in the images. Such images
are −CTF × projection in our terms, which is why ``read_star`` takes ``sign=-1`` unless told otherwise.

Format: https://relion.readthedocs.io/en/release-3.1/Reference/Conventions.html
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cryobench._errors import FormatError
from cryobench._types import RotationArray, ShiftArray
from cryobench.data import Particles
from cryobench.imaging.ctf import Ctf
from cryobench.io.mrc import MrcStacks
from cryobench.io.star import number_column, read_tables, write_tables
from cryobench.rotations import euler_from_rotations, rotations_from_euler

_ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
_IGNORED = {
    "rlnBeamTiltX": 0.0,
    "rlnBeamTiltY": 0.0,
    "rlnCtfScalefactor": 1.0,
    "rlnMagMat00": 1.0,
    "rlnMagMat01": 0.0,
    "rlnMagMat10": 0.0,
    "rlnMagMat11": 1.0,
}
"""Numbers we cannot honour, and the value at which they do nothing."""
_IGNORED_LISTS = ("rlnOddZernike", "rlnEvenZernike")


def write_star(path: Path, particles: Particles) -> None:
    """Write a RELION 3.1 table of particles whose images lie in MRC stacks.

    Stacks below the folder of ``path`` are named relative to it, others by their absolute path. There is one
    optics group per combination of voltage, spherical aberration and amplitude contrast. Poses that are withheld
    have no columns.

    Raises
    ------
    TypeError
        If the images are not ``MrcStacks``.
    ValueError
        If the path of a stack holds a character that STAR files cannot.
    """
    images = particles.images
    if not isinstance(images, MrcStacks):
        raise TypeError(
            f"a STAR file names MRC stacks, but the images are {type(images).__name__}. Write them first."
        )
    folder = Path(path).absolute().parent
    names = np.array([_name_of(stack, folder) for stack in images.paths], dtype=object)
    numbers = [f"{place + 1:06d}@" for place in images.image_index]
    ctf = particles.ctf
    settings, group = np.unique(
        np.stack([ctf.voltage_kv, ctf.cs_mm, ctf.amplitude_contrast], axis=1), axis=0, return_inverse=True
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


def read_star(path: Path, *, datadir: Path | None = None, sign: Literal[1, -1] = -1) -> Particles:
    """Particles of a RELION 3.1 or 3.0 table, in the order of its rows; images are read when asked for.

    Parameters
    ----------
    path
        The table.
    datadir
        Folder from which the paths of stacks start. By default they start from the folder of the table.
    sign
        Contrast of the stored images: −1 if protein is bright, as RELION expects; +1 if it is dark.

    Returns
    -------
    Particles with poses if the table has angles (origins that are absent are 0, as in RELION), without otherwise.

    Raises
    ------
    FormatError
        If a column is missing or not numeric, a stack is missing, shorter than the table asks, or of another box
        size than the table states, or particles differ in pixel size.

    Warns
    -----
    UserWarning
        If the table holds beam tilt, higher aberrations, anisotropic magnification or CTF scale factors: they are
        not part of the image model here. The columns are named.
    """
    path = Path(path)
    tables = read_tables(path, text_columns=("rlnImageName",))
    table = _particle_table(tables, path)
    optics = _optics_of_particles(tables, table, path)
    images = _open_images(table, path, datadir)
    _check_image_size(optics, images, path)
    _warn_of_ignored(table, optics, path)
    pixel_size = _pixel_size(optics, table, path)
    rotations, shifts = _poses(table, pixel_size, path)
    return Particles(
        images=images,
        pixel_size=pixel_size,
        ctf=_ctf(table, optics, path),
        rotations=rotations,
        shifts=shifts,
        sign=sign,
    )


def write_pose_star(path: Path, rotations: RotationArray, shifts: ShiftArray) -> None:
    """Write poses alone: angles and origins of particles in the order of their data set, without image names."""
    write_tables(path, {"particles": pd.DataFrame(_pose_columns(rotations, shifts))})


def read_pose_star(path: Path) -> tuple[RotationArray, ShiftArray]:
    """Rotations (n, 3, 3) and shifts (n, 2) in Å of a table with angles and origins in Å, row by row."""
    table = _particle_table(read_tables(path), path, wanted=_ANGLES[0])
    angles = np.stack([number_column(table, name, path) for name in _ANGLES], axis=1)
    origins = [number_column(table, f"rlnOrigin{axis}Angst", path) for axis in "XY"]
    return rotations_from_euler(np.deg2rad(angles)), np.stack(origins, axis=1)


def read_ctf_star(path: Path) -> Ctf:
    """CTF parameters of a particle table, row by row; its images need not be there. FormatError as ``read_star``."""
    tables = read_tables(path, text_columns=("rlnImageName",))
    table = _particle_table(tables, path, wanted="rlnDefocusU")
    return _ctf(table, _optics_of_particles(tables, table, path), path)


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
    """The optics of each particle, one row per particle: joined by group (3.1), or the table itself (3.0)."""
    if "optics" not in tables:
        return table
    optics = tables["optics"]
    known = number_column(optics, "rlnOpticsGroup", path).astype(np.int64)
    groups = number_column(table, "rlnOpticsGroup", path).astype(np.int64)
    places = pd.Index(known).get_indexer(pd.Index(groups)) if len(set(known)) == len(known) else None
    if places is None:
        raise FormatError(f"{path}: data_optics lists a group twice: {sorted(known.tolist())}.")
    if (places < 0).any():
        first = int(np.argmax(places < 0))
        raise FormatError(
            f"{path}: particle {first} is of optics group {groups[first]}, but data_optics has"
            f" {sorted(known.tolist())}."
        )
    return optics.iloc[places].reset_index(drop=True)


def _open_images(table: pd.DataFrame, path: Path, datadir: Path | None) -> MrcStacks:
    parts = table["rlnImageName"].astype(str).str.partition("@")
    numbers = np.asarray(pd.to_numeric(parts[0], errors="coerce"), dtype=np.float64)
    bad = ~(numbers >= 1) | (numbers != np.floor(numbers)) | (parts[2].to_numpy() == "")
    if bad.any():
        first = int(np.argmax(bad))
        raise FormatError(
            f"{path}: particle {first} has the image name {str(table['rlnImageName'].iloc[first])!r}, expected"
            " INDEX@STACK with the index counted from 1."
        )
    file_index, stacks = pd.factorize(parts[2])
    return MrcStacks(
        [_find_stack(str(name), path, datadir) for name in stacks],
        file_index=file_index,
        image_index=numbers.astype(np.int64) - 1,
    )


def _find_stack(name: str, path: Path, datadir: Path | None) -> Path:
    """A stack below ``datadir`` (by its path, else by its bare name) or beside the table."""
    if datadir is None:
        candidates = [path.absolute().parent / name]
    else:
        # Joining an absolute name would discard datadir, which was given because that name does not hold here.
        candidates = [datadir / Path(name).relative_to(Path(name).anchor), datadir / Path(name).name]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    way_out = (
        "Give datadir= the folder that the paths in the table start from."
        if datadir is None
        else f"Looked for {' and '.join(map(str, candidates))}: give another datadir=, or mend the table."
    )
    raise FormatError(f"{path} names the stack {name}, which is not at {candidates[0]}. {way_out}")


def _check_image_size(optics: pd.DataFrame, images: MrcStacks, path: Path) -> None:
    if "rlnImageSize" not in optics:
        return
    sizes = number_column(optics, "rlnImageSize", path)
    bad = sizes != images.box_size
    if bad.any():
        raise FormatError(
            f"{path} states images of {sizes[bad][0]:g} px, but {images.paths[0]} holds images of"
            f" {images.box_size} px. The table and the stack do not belong together: use the table that was written"
            " with this stack, or correct rlnImageSize and rlnImagePixelSize."
        )


def _pixel_size(optics: pd.DataFrame, table: pd.DataFrame, path: Path) -> float:
    for column in ("rlnImagePixelSize", "rlnPixelSize"):
        if column in optics:
            sizes = number_column(optics, column, path)
            break
    else:
        if "rlnMagnification" not in table or "rlnDetectorPixelSize" not in table:
            raise FormatError(
                f"{path} does not say the pixel size: it needs rlnImagePixelSize in data_optics (RELION 3.1), or"
                " rlnDetectorPixelSize and rlnMagnification (RELION 3.0)."
            )
        magnification = number_column(table, "rlnMagnification", path)
        sizes = 1e4 * number_column(table, "rlnDetectorPixelSize", path) / magnification
    if np.ptp(sizes) > 1e-4 * abs(sizes[0]):
        raise FormatError(
            f"{path}: particles have pixel sizes from {sizes.min():.6g} to {sizes.max():.6g} Å; one is needed."
            " Split the table by optics group, or rescale the images to one pixel size."
        )
    return float(sizes[0])


def _ctf(table: pd.DataFrame, optics: pd.DataFrame, path: Path) -> Ctf:
    def optional(column: str) -> np.ndarray:
        return number_column(table, column, path) if column in table else np.zeros(len(table))

    return Ctf(
        defocus_u=number_column(table, "rlnDefocusU", path),
        defocus_v=number_column(table, "rlnDefocusV", path),
        defocus_angle=np.deg2rad(number_column(table, "rlnDefocusAngle", path)),
        voltage_kv=number_column(optics, "rlnVoltage", path),
        cs_mm=number_column(optics, "rlnSphericalAberration", path),
        amplitude_contrast=number_column(optics, "rlnAmplitudeContrast", path),
        phase_shift=np.deg2rad(optional("rlnPhaseShift")),
        b_factor=optional("rlnCtfBfactor"),
    )


def _poses(table: pd.DataFrame, pixel_size: float, path: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    if not any(name in table for name in _ANGLES):
        return None, None
    angles = np.stack([number_column(table, name, path) for name in _ANGLES], axis=1)
    shifts = np.zeros((len(table), 2))
    for in_angstrom, scale in ((True, 1.0), (False, pixel_size)):
        names = [f"rlnOrigin{axis}{'Angst' if in_angstrom else ''}" for axis in "XY"]
        if any(name in table for name in names):
            shifts = scale * np.stack([number_column(table, name, path) for name in names], axis=1)
            break
    return rotations_from_euler(np.deg2rad(angles)), shifts


def _warn_of_ignored(table: pd.DataFrame, optics: pd.DataFrame, path: Path) -> None:
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
    """Whether a list such as [0,0,1.5] has an entry that is not 0."""
    return any(float(entry) != 0 for entry in text.strip("[]").split(",") if entry.strip())
