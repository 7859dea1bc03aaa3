"""Layout of an unpacked published archive. Only file lists are read here.

    SET/combined_poses.pkl combined_ctfs.pkl gt_latents.pkl
    SET/images/snrX/sorted_particles.128.txt   names of the stacks in the order of the particles
    SET/images/snrX/NNN_particles_128.mrcs     all images of structure NNN; Ribosembly has them in images/ itself,
                                               Spike-MD has one stack particles.mrcs
    SET/images/snrX/snrX.star | particles.star
    SET/vols/128_org/NNN.mrc | NNN_NAME.mrc    truth volumes; Spike-MD has a trajectory instead
    SET/init_mask/mask.mrc | mask_128.mrc
    SET/*.xtc and SET/*.pdb                    frames and topology of Spike-MD

Sources: https://github.com/ml-struct-bio/CryoBench (README files and cryosim) and programs that read the archives.
Copies differ in their contents, so every part except the images may be absent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryobench._errors import FormatError

_SIGNS = ("combined_poses.pkl", "combined_ctfs.pkl", "gt_latents.pkl", "vols", "init_mask")
"""Any of these next to ``images`` distinguishes an archive from a folder that happens to hold images."""


@dataclass(frozen=True)
class Archive:
    """Files of one unpacked archive; missing parts are None or empty."""

    root: Path
    images: Path
    """Folder of the stacks."""
    stacks: tuple[Path, ...]
    """Stacks in the order of the particles."""
    table: Path | None
    """STAR file of the particles."""
    poses: Path | None
    ctf: Path | None
    labels: Path | None
    masks: tuple[Path, ...]
    volume_folders: tuple[Path, ...]
    """Folders of truth volumes, one per size."""
    topology: Path | None
    trajectory: Path | None


def find_archive(folder: Path) -> Archive | None:
    """The archive in a folder, or that a folder of images belongs to; None if it is neither.

    Parameters
    ----------
    folder
        The set, if it has images of one SNR; otherwise the folder of the chosen images, such as
        ``IgG-1D/images/snr0.01``.

    Raises
    ------
    FormatError
        If there are images of several SNRs and the set was given; if the list of stacks names a missing one;
        or if there are no images.
    """
    folder = Path(folder).absolute()
    root = _find_root(folder)
    if root is None:
        return None
    images = _choose_images(root) if folder in (root, root / "images") else folder
    stacks = _list_stacks(images)
    table = _find_table(images)
    if not stacks and table is None:
        raise FormatError(
            f"{images} holds no stacks of images (.mrcs) and no table of them (.star): the archive was unpacked"
            " incompletely, or without its images."
        )
    trajectory = _first([*sorted(root.glob("*.xtc")), *sorted(root.glob("*/*.xtc"))])
    return Archive(
        root=root,
        images=images,
        stacks=stacks,
        table=table,
        poses=_find_pickle(root, images, "poses"),
        ctf=_find_pickle(root, images, "ctf"),
        labels=_first([path for path in (root / "gt_latents.pkl", images / "gt_latents.pkl") if path.exists()]),
        masks=tuple(sorted((root / "init_mask").glob("mask*.mrc"))),
        volume_folders=tuple(
            path for path in sort_naturally([*root.glob("vols/*"), *root.glob("vols")]) if any(path.glob("*.mrc"))
        ),
        topology=None if trajectory is None else _find_topology(trajectory),
        trajectory=trajectory,
    )


def sort_naturally(paths: Sequence[Path]) -> list[Path]:
    """Paths sorted by name with numbers compared as numbers: 9 before 10."""
    return sorted(
        paths, key=lambda path: [(part.isdigit(), int(part) if part.isdigit() else part) for part in _pieces(path)]
    )


def leading_number(path: Path) -> int | None:
    """12 for 012_1bxn.mrc; None if the name does not begin with a number."""
    found = re.match(r"\d+", path.name)
    return None if found is None else int(found.group())


def _pieces(path: Path) -> list[str]:
    return [part for part in re.split(r"(\d+)", path.name) if part]


def _find_root(folder: Path) -> Path | None:
    for candidate in (folder, folder.parent, folder.parent.parent):
        inside = folder.relative_to(candidate).parts
        if (not inside or inside[0] == "images") and (candidate / "images").is_dir():
            images = candidate / "images"
            listed = any(images.glob("sorted_particles*.txt")) or any(images.glob("*/sorted_particles*.txt"))
            if listed or any((candidate / name).exists() for name in _SIGNS):
                return candidate
            if any(images.glob("snr*/*.mrcs")):
                return candidate
    return None


def list_image_folders(root: Path) -> list[Path]:
    """Folders of a set that hold stacks: ``images`` itself, or one per SNR."""
    images = Path(root) / "images"
    if _holds_stacks(images):
        return [images]
    return sorted(path for path in images.glob("*") if path.is_dir() and _holds_stacks(path))


def _choose_images(root: Path) -> Path:
    """The only folder of images. FormatError, naming them, if there are several."""
    found = list_image_folders(root)
    if not found:
        raise FormatError(
            f"{root / 'images'} holds no stacks of images (.mrcs), nor does a folder in it: the archive was"
            " unpacked incompletely, or without its images."
        )
    if len(found) > 1:
        raise FormatError(
            f"{root} holds several sets of images of the same structures:"
            f" {', '.join(path.name for path in found)}. Give the folder of one of them, such as {found[0]}."
        )
    return found[0]


def _holds_stacks(folder: Path) -> bool:
    return any(folder.glob("*.mrcs")) or any(folder.glob("sorted_particles*.txt"))


def _list_stacks(images: Path) -> tuple[Path, ...]:
    """Stacks in the order of the list next to them; in natural order of their names if there is no list."""
    lists = sort_naturally(list(images.glob("sorted_particles*.txt")))
    if len(lists) > 1:
        raise FormatError(
            f"{images} holds several lists of stacks ({', '.join(path.name for path in lists)}): keep the one that"
            " belongs to the chosen images, and move the others elsewhere."
        )
    if not lists:
        return tuple(sort_naturally(list(images.glob("*.mrcs"))))
    names = [line.strip() for line in lists[0].read_text(encoding="utf-8").splitlines() if line.strip()]
    stacks = []
    for name in names:
        beside = images / Path(name).name
        stack = beside if beside.exists() else images / name
        if not stack.exists():
            raise FormatError(
                f"{lists[0]} names the stack {name}, which is missing: the archive was unpacked incompletely."
                " Unpack it again."
            )
        stacks.append(stack)
    return tuple(stacks)


def _find_table(images: Path) -> Path | None:
    """STAR file of all particles, not of a single structure, such as snr0.01_099.star."""
    for folder in (images, images.parent):
        tables = [path for path in sorted(folder.glob("*.star")) if not re.search(r"_\d+$", path.stem)]
        preferred = [path for path in tables if path.stem in (images.name, "particles")]
        if preferred or len(tables) == 1:
            return (preferred or tables)[0]
    return None


def _find_pickle(root: Path, images: Path, kind: str) -> Path | None:
    """Table of that kind: next to the images if they have their own, else of the whole set."""
    for folder in (images, root):
        found = [path for path in sorted(folder.glob("*.pkl")) if kind in path.name.lower()]
        combined = [path for path in found if path.name.startswith("combined_")]
        if combined or len(found) == 1:
            return (combined or found)[0]
    return None


def _find_topology(trajectory: Path) -> Path | None:
    """Topology of a trajectory: the structure called seed, else the only one next to it."""
    found = [*sorted(trajectory.parent.glob("*.pdb")), *sorted(trajectory.parent.glob("*.cif"))]
    seeds = [path for path in found if "seed" in path.name.lower()]
    return _first(seeds or (found if len(found) == 1 else []))


def _first(paths: Sequence[Path]) -> Path | None:
    return paths[0] if paths else None
