"""A data set as a folder.

    dataset.json              the card: description, provenance, size and SHA-256 of every file, a SHA-256 of all
                              that (``contents_sha256``), and the identity of the data set (``sha256``); written last,
                              so that it marks a finished folder
    particles.star            images, CTF and the poses given to methods (RELION 3.1), with the stacks' names
    particles.mrcs | particles/NNN.mrcs
    stacks.csv                instead: paths and checksums of external stacks (see ``references``)
    poses.pkl ctf.pkl         the same poses and CTF in cryoDRGN's format
    particles.cs .csg         the same in cryoSPARC's; the .csg is for its job "Import Result Group". Neither is
                              written for phase-flipped images, nor is ctf.pkl: these formats cannot record a flip
    mask.mrc query.csv
    truth/                    see ``truth_store``

Without its folder ``truth`` a data set can be reconstructed but not scored.

A data set that follows from its plan (a simulation: recipe, settings, seed, hashes of its inputs) is identified
by the plan: made again on another machine it is the same one, though processors and libraries differ in last bits.
Any other is identified by its contents. Runs and scores refer to that identity; ``verify_dataset`` compares bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cryobench._errors import FormatError
from cryobench._progress import Progress
from cryobench.data import Dataset, GroundTruth, Particles
from cryobench.io.adoption.masks import read_mask
from cryobench.io.adoption.query_file import read_queries
from cryobench.io.atomic import (
    canonical_json,
    read_json,
    remove_partial_files,
    write_json,
    write_text,
)
from cryobench.io.digest import hash_file, hash_files
from cryobench.io.folders.references import REFERENCES, check_references, differing_references, write_references
from cryobench.io.folders.truth_store import load_truth, write_truth
from cryobench.io.formats.mrc import write_volume
from cryobench.io.formats.schemas import check_schema
from cryobench.io.programs import cryodrgn
from cryobench.io.programs.cryosparc import write_cs, write_csg
from cryobench.io.programs.phase_flips import flipped_of, stacks_of
from cryobench.io.programs.relion import read_star, write_star
from cryobench.io.published.zenodo import load_archive, verify_archive
from cryobench.io.published.zenodo_layout import find_archive

SCHEMA = 2
"""Version of this layout. Older ones can be read; a newer one is refused. In 1 all were identified by contents."""

_CARD = "dataset.json"
_OTHER_TABLES = ("particles.cs", "particles.csg", "ctf.pkl")
_OPTIONAL = (*_OTHER_TABLES, "poses.pkl", "mask.mrc", REFERENCES)
ADOPTION = "adoption.json"
"""File that marks a folder in which particles are being adopted, with the options; removed at the end."""


def write_dataset(
    folder: Path,
    particles: Particles,
    truth: GroundTruth | None,
    *,
    queries: np.ndarray,
    card: Mapping[str, Any],
    hashes: Mapping[str, str] | None = None,
    follows_from_plan: bool = False,
    uids: np.ndarray | None = None,
) -> Dataset:
    """Write a data set around stacks that are already in its folder, and read it back.

    Parameters
    ----------
    folder
        Folder of the data set.
    particles
        As methods may see them, with the given poses and CTFs. Their images come from ``MrcStacks``, in
        any order; stacks outside ``folder`` are referenced, not copied.
    truth
        The known truth, or None. Its volumes may already be in ``truth/volumes`` or be ``truth/trajectory``; others
        are written.
    queries
        (q,) particles at which volumes are compared.
    card
        Entries of the card: ``name``, recipe, parameters, seed, version, provenance of the mask (``mask``). Nothing
        that differs between identical runs, such as a date: the card is part of the data set's hash.
    hashes
        Known SHA-256 of files (``StackWriter.sha256``) by their path relative to ``folder``, or the absolute
        one of external stacks; the others are computed here.
    follows_from_plan
        Whether the card's entry ``plan`` covers all inputs of the data set, which then identifies it.
    uids
        (n,) uids of the particles in the .cs file that they come from, by which results of cryoSPARC name them.

    Raises
    ------
    ValueError
        If parts differ in length or box size, or the card contradicts them: nothing is written then.
    TypeError
        If the images do not come from ``MrcStacks``.
    DiskFull
        If the disk fills up.
    """
    folder = Path(folder)
    Dataset(particles, truth, queries, card)  # checks lengths and the range of queries
    if truth is not None and truth.volumes is not None and truth.volumes.box_size != particles.box_size:
        raise ValueError(
            f"true volumes have {truth.volumes.box_size} voxels a side, the images"
            f" {particles.box_size} px; they must agree."
        )
    images = stacks_of(particles.images)
    if images is None:
        raise TypeError(f"expected MrcStacks as images of a data set on disk, got {type(particles.images).__name__}.")
    facts = {
        "schema": SCHEMA,
        "n_particles": len(particles),
        "n_states": 0 if truth is None else truth.n_states,
        "box_size": particles.box_size,
        "pixel_size": float(particles.pixel_size),
        "sign": particles.sign,
        "poses": _describe_poses(particles, truth),
    }
    _check_card(card, facts)

    for name in (_CARD, *_OPTIONAL):
        (folder / name).unlink(missing_ok=True)
    known = dict(hashes or {})
    home = folder.absolute()
    files = [path.relative_to(home).as_posix() for path in images.paths if path.is_relative_to(home)]
    files += write_references(folder, [path for path in images.paths if not path.is_relative_to(home)], known)
    files += _write_particles(folder, particles, uids)
    write_text(folder / "query.csv", "\n".join(["particle", *map(str, queries.tolist())]) + "\n")
    files.append("query.csv")
    if truth is not None:
        files += write_truth(folder, truth, pixel_size=particles.pixel_size)
    remove_partial_files(folder)
    contents = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": known.get(name) or hash_file(folder / name)}
        for name in files
    }
    complete = {**card, **facts, "named_by": "plan" if follows_from_plan else "contents", "files": contents}
    write_json(
        folder / _CARD, {**complete, "contents_sha256": hash_contents(complete), "sha256": hash_card(complete)}
    )
    return load_dataset(folder)


def load_dataset(folder: Path) -> Dataset:
    """Open a data set, or a published archive directly. Tables are read now, images and true volumes on demand.

    The card is compared with its own hash, and sizes of all files with the card; contents are not (see
    ``verify_dataset``). An archive has no card; ``cryobench.io.published.zenodo`` describes how its parts are read.

    Raises
    ------
    FormatError
        If the folder is missing, is not a data set, is unfinished or was written by a newer version; if the card was
        edited; if a file is missing or its size differs from the card; or if tables, stacks and mask are
        inconsistent.
    """
    folder = Path(folder).absolute()
    if not (folder / _CARD).exists():
        archive = find_archive(folder)
        if archive is not None:
            return load_archive(archive, folder)
    card = read_card(folder)
    for name, content in _files_here(folder, card).items():
        _check_size(folder / name, content["bytes"])
    if REFERENCES in card["files"]:
        check_references(folder)
    particles = _load_particles(folder, card)
    truth = load_truth(folder, len(particles)) if (folder / "truth").is_dir() else None
    queries = read_queries(folder / "query.csv", len(particles))
    return Dataset(particles, truth, queries, card, folder)


def read_card(folder: Path) -> dict[str, Any]:
    """Card of a data set, the content of dataset.json. Errors as ``load_dataset``; FormatError if it was edited."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FormatError(f"{folder} does not exist or is not a folder, expected a data set.")
    path = folder / _CARD
    if not path.exists():
        if (folder / ADOPTION).exists():
            raise FormatError(
                f"{folder} is not finished: its adoption was interrupted before {_CARD} was written. Run the same"
                " cryobench adopt command again."
            )
        if any((folder / name).exists() for name in ("simulation", "particles", "particles.mrcs", "truth")):
            raise FormatError(
                f"{folder} is not finished: its simulation was interrupted before {_CARD} was written. Run the same"
                " cryobench simulate command again; it resumes."
            )
        raise FormatError(
            f"{folder} is not a data set: it has no {_CARD}, nor the folder images of a published archive."
        )
    card = read_json(path)
    check_schema(card, path, SCHEMA, "the card of a data set")
    needed = ["n_particles", "box_size", "pixel_size", "sign", "files", "sha256"]
    if card.get("named_by") == "plan":
        needed += ["plan", "contents_sha256"]
    missing = [key for key in needed if key not in card]
    if missing:
        raise FormatError(f"{path} lacks {', '.join(missing)}. Restore it, or simulate the data set again.")
    # The identity of a data set with a plan does not cover its other entries, which have a hash of their own.
    hashes = {"sha256": hash_card(card)} | (
        {"contents_sha256": hash_contents(card)} if "contents_sha256" in card else {}
    )
    for key, found in hashes.items():
        if found != card[key]:
            raise FormatError(
                f"{path} was changed: its entries give the hash {found[:12]}, but it states {str(card[key])[:12]}."
                " Restore it from a copy, or make the data set again in another folder."
            )
    return card


def verify_dataset(folder: Path, *, progress: Progress | None = None) -> None:
    """Compare every byte of a data set with its card, or of a downloaded archive with its checksums.

    External stacks are compared with their recorded checksums, see ``references``.

    Raises
    ------
    FormatError
        With the names of files that differ; or as ``read_card``.
    """
    folder = Path(folder)
    if not (folder / _CARD).exists():
        archive = find_archive(folder)
        if archive is not None:
            verify_archive(archive, progress)
            return
    card = read_card(folder)
    files = _files_here(folder, card)
    for name, content in files.items():
        _check_size(folder / name, content["bytes"])
    found = hash_files([folder / name for name in files], "verifying files", progress)
    differing = [name for name, content in files.items() if found[folder / name] != content["sha256"]]
    if REFERENCES in files and not differing:
        check_references(folder)
        differing = differing_references(folder, progress)
    if differing:
        raise FormatError(
            f"{folder}: the content of {', '.join(differing)} differs from what {_CARD} states. Copy the data set"
            " again, or simulate it again."
        )


def is_finished(folder: Path, plan: Mapping[str, Any]) -> bool:
    """Whether this very data set is already complete; FormatError if the folder holds another."""
    if not (folder / _CARD).exists():
        return False
    card = read_json(folder / _CARD)
    if differing := compare_plans(card.get("plan") or {}, plan):
        raise FormatError(
            f"{folder} holds another data set ({card.get('name')}; they differ in {differing}). Nothing was changed:"
            " choose another folder, or remove this one first."
        )
    return True


def compare_plans(found: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """Names of the entries that differ, with both values of names, numbers and versions; empty if none does."""
    return ", ".join(
        f"{key} ({found.get(key)} there, {plan[key]} here)" if isinstance(plan.get(key), (str, int)) else key
        for key in sorted({**found, **plan})
        if found.get(key) != plan.get(key)
    )


def hash_card(card: Mapping[str, Any]) -> str:
    """SHA-256 that identifies a data set: of the card's plan if that covers all its inputs, else of its contents."""
    if card.get("named_by") == "plan":
        return hashlib.sha256(canonical_json({"plan": card["plan"]})).hexdigest()
    return hash_contents(card)


def hash_contents(card: Mapping[str, Any]) -> str:
    """SHA-256 of a card, files' hashes included, except for its entries ``sha256`` and ``contents_sha256``."""
    kept = {key: card[key] for key in card if key not in ("sha256", "contents_sha256")}
    return hashlib.sha256(canonical_json(kept)).hexdigest()


def _describe_poses(particles: Particles, truth: GroundTruth | None) -> Literal["true", "given", "withheld"]:
    """Origin of the poses given to methods: those of the truth, others, or none."""
    if particles.rotations is None or particles.shifts is None:
        return "withheld"
    if truth is None or truth.rotations is None or truth.shifts is None:
        return "given"
    same = np.array_equal(particles.rotations, truth.rotations) and np.array_equal(particles.shifts, truth.shifts)
    return "true" if same else "given"


def _check_card(card: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    if not card.get("name"):
        raise ValueError("the card needs the data set's name.")
    for key, value in facts.items():
        if key in card and card[key] != value:
            raise ValueError(f"the card says {key} = {card[key]!r}, but it is {value!r}.")


def _write_particles(folder: Path, particles: Particles, uids: np.ndarray | None) -> list[str]:
    size, pixel_size = particles.box_size, particles.pixel_size
    write_star(folder / "particles.star", particles)
    files = ["particles.star"]
    if not flipped_of(particles.images).any():
        write_cs(folder / "particles.cs", particles, uids=uids)
        write_csg(folder / "particles.csg", folder / "particles.cs", particles)
        cryodrgn.write_ctf(folder / "ctf.pkl", particles.ctf, box_size=size, pixel_size=pixel_size)
        files += _OTHER_TABLES
    if particles.rotations is not None and particles.shifts is not None:
        cryodrgn.write_poses(
            folder / "poses.pkl", particles.rotations, particles.shifts, box_size=size, pixel_size=pixel_size
        )
        files.append("poses.pkl")
    if particles.mask is not None:
        write_volume(folder / "mask.mrc", particles.mask, pixel_size)
        files.append("mask.mrc")
    return files


def _load_particles(folder: Path, card: Mapping[str, Any]) -> Particles:
    table = folder / "particles.star"
    found = read_star(table, sign=card["sign"])
    if len(found) != card["n_particles"] or found.box_size != card["box_size"]:
        raise FormatError(
            f"{table} lists {len(found)} particles of {found.box_size} px, but {_CARD} says {card['n_particles']} of"
            f" {card['box_size']} px. Restore the files of the data set, or simulate it again."
        )
    mask = None
    if "mask.mrc" in card["files"]:
        mask = read_mask(folder / "mask.mrc", found.box_size, card["pixel_size"])
    return Particles(
        found.images, card["pixel_size"], found.ctf, found.rotations, found.shifts, sign=card["sign"], mask=mask
    )


def _files_here(folder: Path, card: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Files that a folder must hold: those on its card, except the truth if that was removed."""
    blind = not (folder / "truth").is_dir()
    return {name: content for name, content in card["files"].items() if not (blind and name.startswith("truth/"))}


def _check_size(path: Path, expected: int) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise FormatError(
            f"{path} is missing, but the card of the data set lists it. Copy the data set again."
        ) from None
    if size != expected:
        problem = "is truncated" if size < expected else "was changed"
        raise FormatError(
            f"{path} {problem}: it has {size:,} bytes, the card of the data set says {expected:,}."
            " Copy the data set again, or make it again: simulate, adopt, or download it."
        )
