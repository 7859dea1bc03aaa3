"""Make a data set from existing particles, with any known truth.

Images are referenced, not copied (``references``); tables are rewritten next to the references, in every format we
write. Truth may be absent, partial (−1 for unlabelled particles; labels without volumes) or complete. The poses of
the table are *given* to methods; since they may be inexact, the truth has none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cryobench._errors import FormatError
from cryobench._progress import Progress, Silent
from cryobench.check import list_mendable, mend_particles
from cryobench.data import Dataset, GroundTruth, Particles
from cryobench.io.adoption.adoption_checks import check_particles
from cryobench.io.adoption.foreign_parts import BRIGHT, read_particles
from cryobench.io.adoption.labels import read_labels
from cryobench.io.adoption.masks import read_mask
from cryobench.io.adoption.query_file import drop_doubled, read_queries
from cryobench.io.adoption.state_numbers import compact_states
from cryobench.io.adoption.state_volumes import list_volumes, open_state_volumes
from cryobench.io.atomic import canonical_json, read_json, remove_partial_files, write_json
from cryobench.io.digest import hash_file, hash_files
from cryobench.io.folders.dataset_store import ADOPTION, compare_plans, is_finished, load_dataset, write_dataset
from cryobench.io.formats.mrc import MrcStacks
from cryobench.io.lock import lock_folder
from cryobench.io.programs.cryosparc import read_cs_uids
from cryobench.io.programs.phase_flips import flipped_of, stacks_of
from cryobench.runs.mask_check import judge_mask
from cryobench.runs.poses_of_run import check_poses_of, take_poses

N_QUERIES = 100
_SIGNS: dict[str, Literal[1, -1]] = {"bright": BRIGHT, "dark": 1}
_STACKS = (".mrcs", ".mrc")
_TABLES = ("particles.star", "particles.cs", "particles.csg", "ctf.pkl", "poses.pkl", "stacks.csv", "query.csv")
_OURS = ("dataset.json", *_TABLES, "mask.mrc", "truth")
"""Names this module must not overwrite."""


def adopt(
    particles: str | Path,
    folder: str | Path,
    *,
    labels: str | Path | None = None,
    volumes: str | Path | None = None,
    mask: str | Path | None = None,
    passthrough: Sequence[str | Path] = (),
    poses: str | Path | None = None,
    ctf: str | Path | None = None,
    shift_unit: str = "fraction",
    datadir: str | Path | None = None,
    contrast: str | None = None,
    name: str | None = None,
    queries: str | Path | np.ndarray | None = None,
    n_queries: int = N_QUERIES,
    poses_of: str | Path | None = None,
    mend: Sequence[str] = (),
    progress: Progress | None = None,
) -> Dataset:
    """Make a data set from existing particles; repeating a finished call loads its result.

    Calls are the same if their options and the contents of all their files are.

    Parameters
    ----------
    particles
        RELION table (.star, 3.1 or 3.0), cryoSPARC file (.cs), or stacks without a table (.mrcs, .mrc, or a .txt that
        lists stacks), which need ``ctf`` and may have ``poses``. With ``poses_of``, the folder of the run's data
        set, whose truth is kept.
    folder
        Folder of the data set: new or empty, or holding the stacks, which are then named relative to it.
    labels
        State of each particle, see ``cryobench.io.adoption.labels``; −1 or absent if unknown.
    volumes
        Folder with one .mrc or .map per state, state 0 first in natural order of names (9 before 10); see
        ``cryobench.io.adoption.state_volumes`` for folders with other maps. They must be on the grid of the
        images, or on one of the same extent that is finer by a whole factor, from which they are Fourier-cropped, as
        noted on the card.
    mask
        Mask of the molecule: .mrc on the grid of the images, 0 to 1. It must contain part of a true volume or, if
        none is given, of a consensus of some images at their poses.
    passthrough
        Further .cs files of the same job.
    poses, ctf
        cryoDRGN pickles, for stacks without a table.
    shift_unit
        Unit of the shifts in ``poses``: "fraction" of the box, or "pixel" (cryoDRGN 4 ``abinit``, DRGN-AI).
    datadir
        Folder that stack paths are relative to, if not the table's; see ``cryobench.io.programs.stack_paths``.
    contrast
        Whether protein is "bright" or "dark" in the stored images. By default as in the .cs file, else bright.
    name
        Name of the data set; by default the folder's.
    queries
        Particles at which volumes are compared: indices, or a file such as DATASET/query.csv. By default
        ``n_queries`` are chosen by ``choose_queries``.
    poses_of
        RUN folder whose poses replace those of the particles. They are in the run's own frame, so the data set's mask
        is left out.
    mend
        Names of mends from ``cryobench.check``: conventions of the tables that they do not state.
    progress
        Reports progress: every stack and volume is read once, for its hash.

    Raises
    ------
    FormatError
        If a file is missing, damaged, or inconsistent with the others; or if the folder holds something else, such as
        the result of an earlier call with files that have since changed.
    FolderBusy
        If another process is adopting or simulating into the folder.
    ValueError
        If options exclude each other.
    """
    source, target = Path(particles), Path(folder)
    kind = source.suffix.lower()
    if poses_of is None:
        _check_options(source, labels=labels, volumes=volumes, poses=poses, ctf=ctf, passthrough=passthrough)
    else:
        check_poses_of(source, labels=labels, volumes=volumes, poses=poses, ctf=ctf, passthrough=passthrough)
    if contrast is not None and contrast not in _SIGNS:
        raise ValueError(f"--contrast is bright or dark, got {contrast!r}.")
    if shift_unit not in ("fraction", "pixel"):
        raise ValueError(f"--shift-unit is fraction or pixel, got {shift_unit!r}.")
    notes: list[str] = []
    truth = None
    if poses_of is None:
        found = read_particles(
            source,
            passthrough=[Path(file) for file in passthrough],
            poses=None if poses is None else Path(poses),
            ctf=None if ctf is None else Path(ctf),
            shift_unit=shift_unit,
            datadir=None if datadir is None else Path(datadir),
            sign=None if contrast is None else _SIGNS[contrast],
            notes=notes,
        )
    else:
        given = load_dataset(source)
        found, truth = take_poses(given, Path(poses_of), notes), given.truth
        queries = given.queries if queries is None else queries
    found = mend_particles(check_particles(found, notes), mend)
    notes += [f"the tables are read with the mend {name}: {list_mendable()[name].says}" for name in mend]
    if flipped_of(found.images).any():
        notes.append("particles.cs and ctf.pkl are left out: they cannot record that stored phases are flipped")
    uids = _read_uids(source)
    if labels is not None:
        truth = _read_truth(Path(labels), None if volumes is None else Path(volumes), found, uids, notes)
    if mask is not None:
        values = read_mask(Path(mask), found.box_size, found.pixel_size)
        open_question = judge_mask(values, found, truth, Path(mask), progress)
        notes += [] if open_question is None else [open_question]
        found = replace(found, mask=values)
    states = None if truth is None else truth.states
    if queries is None:
        chosen = choose_queries(states, len(found), n_queries)
    else:
        given = queries if isinstance(queries, np.ndarray) else read_queries(Path(queries), len(found))
        chosen = drop_doubled(given, notes)
    stacks = _hash_stacks(found, progress)
    table = source if poses_of is None else source / "dataset.json"
    plan = {
        "adopted": {"name": source.name} if kind in _STACKS else _identify(table),
        "poses_of": None if poses_of is None else _identify(Path(poses_of) / "poses.star"),
        "stacks": _summarise(stacks),
        "passthrough": [_identify(Path(file)) for file in passthrough],
        "labels": _identify(labels),
        "volumes": _identify_volumes(volumes, progress),
        "mask": _identify(mask),
        "poses": _identify(poses),
        "ctf": _identify(ctf),
        "shift_unit": shift_unit,
        "datadir": None if datadir is None else Path(datadir).absolute().as_posix(),
        "contrast": contrast,
        "name": name or target.absolute().name,
        "queries": np.asarray(queries).tolist() if isinstance(queries, np.ndarray) else _identify(queries),
        "n_queries": n_queries,
        "cryobench": version("cryobench"),
        **({"mend": list(mend)} if mend else {}),
    }
    if is_finished(target, plan) and not (target / ADOPTION).exists():
        return load_dataset(target)
    with lock_folder(target, doing="adopt"):
        if not is_finished(target, plan):
            _open_folder(target, plan)
            card = _describe(source, plan, found, states, notes)
            with (progress or Silent()).task("writing tables"):
                hashes = _name_hashes(stacks, target)
                write_dataset(target, found, truth, queries=chosen, card=card, hashes=hashes, uids=uids)
        (target / ADOPTION).unlink(missing_ok=True)
    return load_dataset(target)


def _read_truth(
    labels: Path, volumes: Path | None, particles: Particles, uids: np.ndarray | None, notes: list[str]
) -> GroundTruth:
    """Known truth of the particles. States are numbered without gaps, unless volumes number them."""
    states = read_labels(labels, particles, uids=uids)
    if volumes is not None:
        return GroundTruth(states, open_state_volumes(volumes, particles, states, notes))
    states, names = compact_states(states, notes)
    return GroundTruth(states, state_names=names)


def _read_uids(source: Path) -> np.ndarray | None:
    """(n,) uids of the particles of a .cs file, or of a data set; None if they have none."""
    table = source / "particles.cs" if source.is_dir() else source
    return read_cs_uids(table) if table.suffix.lower() == ".cs" and table.is_file() else None


def choose_queries(states: np.ndarray | None, n: int, count: int) -> np.ndarray:
    """Ascending indices of at most ``count`` of n particles at which volumes are compared; deterministic.

    Without labels they are evenly spaced. With labels they are labelled ones: the middle particle of every state,
    then others evenly spaced through the particles sorted by state, so that larger states have more. With more states
    than ``count``, evenly spaced states are used.
    """
    if count < 1:
        raise ValueError(f"at least one query particle is needed, got {count}.")
    if states is None or not (states >= 0).any():
        return _evenly(np.arange(n), count)
    labelled = np.flatnonzero(states >= 0)
    order = labelled[np.argsort(states[labelled], kind="stable")]
    _, starts, counts = np.unique(states[order], return_index=True, return_counts=True)
    if len(starts) >= count:
        return np.sort(order[_evenly(starts + counts // 2, count)])
    middles = order[starts + counts // 2]
    others = order[~np.isin(order, middles)]
    return np.sort(np.concatenate([middles, _evenly(others, count - len(middles))]))


def _evenly(values: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` values, at the middles of equal stretches of them."""
    count = min(count, len(values))
    return values[((np.arange(count) + 0.5) * len(values) / max(count, 1)).astype(np.int64)]


def _check_options(source: Path, **given: Any) -> None:
    kind = source.suffix.lower()
    if kind not in (".star", ".cs", ".mrcs", ".mrc", ".txt"):
        raise ValueError(
            f"{source} is not a table of particles: expected .star (RELION), .cs (cryoSPARC), or .mrcs, .mrc or .txt "
            "(a list of stacks) with cryoDRGN's pickles."
        )
    if given["volumes"] is not None and given["labels"] is None:
        raise ValueError("volumes are per state: give the state of each particle with --labels.")
    images_alone = kind in (*_STACKS, ".txt")
    if images_alone and given["ctf"] is None:
        raise ValueError(f"{source} holds images only: give their CTF too with --ctf (a cryoDRGN ctf.pkl).")
    if not images_alone and (given["ctf"] is not None or given["poses"] is not None):
        raise ValueError(
            f"{source.name} has its own poses and CTF: --poses and --ctf are for stacks without a table (.mrcs)."
        )
    if kind != ".cs" and given["passthrough"]:
        raise ValueError(f"--passthrough files belong to a .cs file, which {source.name} is not.")


def _describe(
    source: Path, plan: Mapping[str, Any], particles: Particles, states: np.ndarray | None, notes: list[str]
) -> dict[str, Any]:
    kinds = {".star": "RELION table", ".cs": "cryoSPARC file"}
    kind = "data set" if source.is_dir() else kinds.get(source.suffix.lower(), "images with cryoDRGN pickles")
    labelled = 0 if states is None else int((states >= 0).sum())
    known = f"as labelled: {labelled:,} of {len(particles):,} particles" if labelled else "not known"
    return {
        "name": plan["name"],
        "title": plan["name"],
        "description": f"Particles adopted from {source.name} ({kind}).",
        "heterogeneity": known,
        "plan": dict(plan),
        "n_labelled": labelled,
        "notes": notes,
    }


def _identify(path: str | Path | None) -> dict[str, str] | None:
    """Name and SHA-256 of a file."""
    if path is None:
        return None
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path} does not exist or is not a file.")
    return {"name": path.name, "sha256": hash_file(path)}


def _hash_stacks(particles: Particles, progress: Progress | None) -> dict[Path, str]:
    """SHA-256 of each stack of the particles, in order."""
    images = stacks_of(particles.images)
    if not isinstance(images, MrcStacks):
        raise TypeError(f"expected particles in MRC stacks, got {type(images).__name__}.")
    return hash_files(images.paths, "reading stacks", progress)


def _name_hashes(stacks: Mapping[Path, str], folder: Path) -> dict[str, str]:
    """The same hashes by the stack names that ``write_dataset`` uses."""
    home = folder.absolute()
    return {
        (path.relative_to(home) if path.is_relative_to(home) else path).as_posix(): sha256
        for path, sha256 in stacks.items()
    }


def _identify_volumes(folder: str | Path | None, progress: Progress | None) -> dict[str, Any] | None:
    """Number and size of the volumes, and a SHA-256 of their names and contents."""
    if folder is None:
        return None
    return _summarise(hash_files(list_volumes(Path(folder)), "reading volumes", progress))


def _summarise(hashes: Mapping[Path, str]) -> dict[str, Any]:
    """Number and size of the files, and one SHA-256 of their names and contents, in order."""
    contents = {"files": [[path.name, sha256] for path, sha256 in hashes.items()]}
    return {
        "count": len(hashes),
        "bytes": sum(path.stat().st_size for path in hashes),
        "sha256": hashlib.sha256(canonical_json(contents)).hexdigest(),
    }


def _open_folder(folder: Path, plan: Mapping[str, Any]) -> None:
    """Mark the folder as being filled. FormatError if it holds files that would be lost."""
    if folder.exists() and not folder.is_dir():
        raise FormatError(f"{folder} exists and is not a folder: choose another one for the data set.")
    if (folder / ADOPTION).exists():
        if differing := compare_plans(read_json(folder / ADOPTION), plan):
            raise FormatError(
                f"{folder} holds an unfinished adoption of another call (they differ in {differing})."
                " Repeat that call to finish it, choose another folder, or remove this one first."
            )
        remove_partial_files(folder)
    else:
        taken = [name for name in (*_OURS, "simulation") if (folder / name).exists()]
        if taken:
            raise FormatError(
                f"{folder} already holds {', '.join(taken)}, which a data set would overwrite. Nothing was changed:"
                " choose another folder with -o."
            )
    write_json(folder / ADOPTION, dict(plan))
