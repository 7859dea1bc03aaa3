"""Archives in the layout of the published ones, written from the toy data set by nothing but NumPy and pickle.

What makes them awkward is all there: protein bright, CTF tables of the grid before Fourier cropping, shifts as
fractions of the box, machine stamps of zeros, one stack per structure, images in the order of the structures.
"""

import pickle
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cryobench.data import ArrayImages, Dataset
from toy import PIXEL_SIZE, permuted, toy_dataset


def in_order(dataset: Dataset) -> Dataset:
    """The same particles sorted by their state."""
    assert dataset.truth is not None
    images = ArrayImages(dataset.particles.read(np.arange(len(dataset.particles))))
    dataset = replace(dataset, particles=replace(dataset.particles, images=images, sign=1))
    assert dataset.truth is not None
    return permuted(dataset, np.argsort(dataset.truth.states, kind="stable"))


def write_mrc(path: Path, values: np.ndarray, pixel_size: float) -> None:
    """An MRC file of float32 whose machine stamp is 0x00000000."""
    header = bytearray(1024)
    sections, rows, columns = values.shape
    struct.pack_into("<10i", header, 0, columns, rows, sections, 2, 0, 0, 0, columns, rows, sections)
    struct.pack_into("<6f", header, 40, *(n * pixel_size for n in (columns, rows, sections)), 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:212] = b"MAP "
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(header) + values.astype("<f4").tobytes())


def write_pickle(path: Path, value: object) -> None:
    path.write_bytes(pickle.dumps(value, protocol=4))


def ctf_table(dataset: Dataset, *, box_size: int, pixel_size: float) -> np.ndarray:
    """(n, 9) in cryoDRGN's columns."""
    ctf = dataset.particles.ctf
    grid = [np.full(len(ctf), box_size), np.full(len(ctf), pixel_size)]
    defocus = [ctf.defocus_u, ctf.defocus_v, np.rad2deg(ctf.defocus_angle)]
    rest = [ctf.voltage_kv, ctf.cs_mm, ctf.amplitude_contrast, np.rad2deg(ctf.phase_shift)]
    return np.stack([*grid, *defocus, *rest], axis=1).astype(np.float32)


def write_archive(
    root: Path,
    dataset: Dataset | None = None,
    *,
    images: Sequence[str] = ("images/snr0.01",),
    names: Sequence[str] | None = None,
) -> Dataset:
    """Write the particles of ``dataset`` (default: the toy, in order) as an archive; returns the data set.

    ``images`` are the folders that hold them; ``names`` are put after the numbers of the volumes (012_1bxn.mrc).
    """
    dataset = in_order(toy_dataset()) if dataset is None else dataset
    particles, truth = dataset.particles, dataset.truth
    assert truth is not None
    assert truth.volumes is not None
    assert particles.rotations is not None
    assert particles.shifts is not None
    size, side = particles.box_size, particles.box_size * particles.pixel_size
    stored = -particles.read(np.arange(len(particles)))
    for folder in images:
        listed = []
        for state in range(len(truth.volumes)):
            stack = root / folder / f"{state:03d}_particles_{size}.mrcs"
            write_mrc(stack, stored[truth.states == state], particles.pixel_size)
            listed.append(stack.name)
        (root / folder / f"sorted_particles.{size}.txt").write_text("\n".join(listed) + "\n")
    write_pickle(
        root / "combined_poses.pkl", (particles.rotations.astype("f4"), (particles.shifts / side).astype("f4"))
    )
    write_pickle(
        root / "combined_ctfs.pkl", ctf_table(dataset, box_size=2 * size, pixel_size=particles.pixel_size / 2)
    )
    write_pickle(root / "gt_latents.pkl", truth.states)
    for state in range(len(truth.volumes)):
        name = f"{state:03d}.mrc" if names is None else f"{state:03d}_{names[state]}.mrc"
        write_mrc(root / "vols" / f"{size}_org" / name, truth.volumes.read(state), particles.pixel_size)
    assert particles.mask is not None
    write_mrc(root / "init_mask" / "mask.mrc", particles.mask, particles.pixel_size)
    write_mrc(root / "init_mask" / "backproj_snr001.mrc", particles.mask, particles.pixel_size)
    return dataset


def write_star(path: Path, dataset: Dataset, stack: str) -> None:
    """RELION 3.1 table with angles, and origins in pixels as the published tables have them."""
    from scipy.spatial.transform import Rotation

    particles = dataset.particles
    assert particles.rotations is not None
    assert particles.shifts is not None
    euler = Rotation.from_matrix(np.swapaxes(particles.rotations, 1, 2)).as_euler("ZYZ", degrees=True)
    origins = particles.shifts / particles.pixel_size
    ctf = particles.ctf
    lines = ["data_optics", "", "loop_"]
    lines += ["_rlnOpticsGroup", "_rlnVoltage", "_rlnSphericalAberration", "_rlnAmplitudeContrast"]
    lines += ["_rlnImagePixelSize", "_rlnImageSize", f"1 300 2.7 0.1 {PIXEL_SIZE} {particles.box_size}", ""]
    lines += ["data_particles", "", "loop_", "_rlnImageName", "_rlnOpticsGroup", "_rlnDefocusU", "_rlnDefocusV"]
    lines += ["_rlnDefocusAngle", "_rlnAngleRot", "_rlnAngleTilt", "_rlnAnglePsi", "_rlnOriginX", "_rlnOriginY"]
    for i in range(len(particles)):
        numbers = [ctf.defocus_u[i], ctf.defocus_v[i], np.rad2deg(ctf.defocus_angle[i]), *euler[i], *origins[i]]
        lines.append(f"{i + 1}@{stack} 1 " + " ".join(f"{number:.9g}" for number in numbers))
    path.write_text("\n".join(lines) + "\n")


def zip_folder(folder: Path, archive: Path) -> Path:
    """Compress a folder, itself included, as the published archives are."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder.parent))
    return archive


def files_in(folder: Path) -> dict[str, bytes]:
    """Contents of every file of a folder, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
