"""Carry out a recipe: states one by one, in this process or spread over Dask workers, then the tables.

A state's stack, volume and mark appear under their final names only when they are whole. While some are missing the
folder holds ``simulation/plan.json`` and no ``dataset.json``; the same command goes on where it was cut off, another
one is refused.
"""

import hashlib
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from cryobench._errors import FormatError, UnknownName
from cryobench._progress import Progress, Silent
from cryobench.atoms.sources import resolve_structure
from cryobench.data import CollectiveVariable, Dataset
from cryobench.io.atomic import check_free_space, read_json, remove_partial_files, write_json
from cryobench.io.mrc import MrcFolder
from cryobench.io.store import load_dataset, write_dataset
from cryobench.recipes import get_recipe
from cryobench.recipes.draws import draw_ctf, draw_poses
from cryobench.recipes.images import SIGN, StateResult, make_state, result_path, stack_path, volume_path
from cryobench.recipes.measure import measure_snr, union_mask
from cryobench.recipes.recipe import Ensemble, Recipe, SimulationSettings
from cryobench.volumes.render import check_inside

CHUNK = 128
PLAN = Path("simulation", "plan.json")


def simulate(
    recipe: str,
    folder: str | Path,
    *,
    preset: str = "lite",
    structures: Sequence[str | Path] = (),
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    workers: int = 1,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Dataset:
    """Make a data set with known truth, or finish one that was cut off.

    Parameters
    ----------
    recipe
        Name, as ``cryobench list recipes`` shows.
    folder
        Where the data set goes: new, or left unfinished by the same call.
    preset
        "tiny", "lite" or "paper": the size.
    structures
        PDB or mmCIF files, or "rcsb:ID"; none for the recipe's embedded default.
    seed
        Of every random draw. Same recipe, settings, structure and seed: same bytes.
    settings
        Settings that differ from the preset's, by name.
    workers
        1: in this process, on all its threads. More: that many Dask worker processes of one thread.
    chunk
        Images in memory at a time, per worker; the result does not depend on it.
    progress
        Shows how far it is.

    Raises
    ------
    UnknownName
        No such recipe, preset or setting.
    ValueError
        A setting out of range, or a structure that the recipe cannot use.
    FormatError
        The folder holds something else: another data set, or an unfinished one of another call.
    """
    chosen = get_recipe(recipe)
    progress = progress or Silent()
    target = Path(folder)
    full = build_settings(chosen, preset, settings or {})
    if workers < 1 or chunk < 1:
        raise ValueError(f"workers and chunk must be at least 1, got {workers} and {chunk}.")
    paths = [resolve_structure(structure) for structure in structures]
    ensemble = chosen.ensemble(full, paths)
    plan = {
        "recipe": chosen.name,
        "recipe_version": chosen.version,
        "preset": preset,
        "settings": full.model_dump(),
        "seed": seed,
        "structures": [
            {"name": Path(given).name, "sha256": _hash(path)} for given, path in zip(structures, paths, strict=True)
        ],
        "cryobench": version("cryobench"),
    }
    if _is_finished(target, plan):
        return load_dataset(target)
    n_images = int(np.sum(ensemble.counts))
    _check_states(ensemble, full)
    _open_folder(target, plan, n_images * full.box_size**2 * 4 + len(ensemble.counts) * full.box_size**3 * 4)
    with progress.task(f"simulating {chosen.name}", total=n_images) as task:
        results: list[StateResult] = []
        for result in _make_states(ensemble, full, seed, target, workers=workers, chunk=chunk):
            results.append(result)
            task.advance(result.n_images)
    return _finish(target, chosen, full, ensemble, plan, sorted(results, key=lambda result: result.state), progress)


def build_settings(recipe: Recipe, preset: str, changes: Mapping[str, Any]) -> SimulationSettings:
    """The recipe's settings at a preset with some changed. UnknownName or ValueError say which is wrong."""
    if preset not in recipe.presets:
        raise UnknownName(f"preset of {recipe.name}", preset, recipe.presets)
    for name in changes:
        if name not in recipe.settings.model_fields:
            raise UnknownName(f"setting of {recipe.name}", name, recipe.settings.model_fields)
    try:
        return recipe.settings(**{**recipe.presets[preset], **changes})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        described = recipe.settings.model_fields[name].description if name in recipe.settings.model_fields else ""
        raise ValueError(
            f"setting {name} ({described}) cannot be {first['input']!r}: {first['msg'].lower()}."
        ) from error


def _check_states(ensemble: Ensemble, settings: SimulationSettings) -> None:
    """Refuse, before anything is written, a structure without the parts that move or one that leaves the box."""
    states = len(ensemble.counts)
    for state in np.unique(np.linspace(0, states - 1, min(states, 20)).astype(int)):
        fine = settings.box_size * settings.oversampling, settings.pixel_size / settings.oversampling
        check_inside(ensemble.model(int(state)).positions, *fine)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_finished(folder: Path, plan: Mapping[str, Any]) -> bool:
    """Whether this very data set is there already; FormatError if another is."""
    card_path = folder / "dataset.json"
    if not card_path.exists():
        return False
    card = read_json(card_path)
    if card.get("plan") == plan:
        return True
    raise FormatError(
        f"{folder} holds another data set ({card.get('name')}, seed {card.get('plan', {}).get('seed')}). "
        "Nothing was changed: choose another folder, or remove this one first."
    )


def _open_folder(folder: Path, plan: dict[str, Any], needed: int) -> None:
    plan_path = folder / PLAN
    if plan_path.exists():
        found = read_json(plan_path)
        if found != plan:
            differing = sorted(key for key in plan if found.get(key) != plan[key])
            raise FormatError(
                f"{folder} holds an unfinished simulation of another call (they differ in {', '.join(differing)}). "
                "Repeat that call to finish it, choose another folder, or remove this one first."
            )
        remove_partial_files(folder)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FormatError(f"{folder} exists and is no data set of cryobench: choose another folder.")
    check_free_space(folder, needed)
    for sub in ("particles", "truth/volumes", "simulation"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    write_json(plan_path, plan)


def _make_states(
    ensemble: Ensemble, settings: SimulationSettings, seed: int, folder: Path, *, workers: int, chunk: int
) -> Iterator[StateResult]:
    """Results of all states: first those already on disk, then the others as they are made."""
    missing = []
    for state in range(len(ensemble.counts)):
        mark = folder / result_path(state)
        if mark.exists():
            yield StateResult(**read_json(mark))
        else:
            missing.append(state)
    if workers == 1:
        for state in missing:
            yield make_state(ensemble, settings, seed, state, folder, chunk)
    elif missing:
        yield from _spread(ensemble, settings, seed, folder, missing, workers=workers, chunk=chunk)


def _spread(
    ensemble: Ensemble,
    settings: SimulationSettings,
    seed: int,
    folder: Path,
    states: Sequence[int],
    *,
    workers: int,
    chunk: int,
) -> Iterator[StateResult]:
    from dask.distributed import Client, LocalCluster, as_completed

    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=":0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,  # an interruption is told by the command line, once
        ) as cluster,
        Client(cluster) as client,
    ):
        shared = client.scatter(ensemble, broadcast=True)
        futures = [
            client.submit(_make_state_alone, shared, settings, seed, state, folder.resolve(), chunk, pure=False)
            for state in states
        ]
        for future in as_completed(futures):
            yield future.result()
            future.release()


def _make_state_alone(
    ensemble: Ensemble, settings: SimulationSettings, seed: int, state: int, folder: Path, chunk: int
) -> StateResult:
    """``make_state`` in a worker that shares the machine with others: on one thread."""
    import numba
    import torch

    numba.set_num_threads(1)
    torch.set_num_threads(1)
    return make_state(ensemble, settings, seed, state, folder, chunk)


def _finish(
    folder: Path,
    recipe: Recipe,
    settings: SimulationSettings,
    ensemble: Ensemble,
    plan: Mapping[str, Any],
    results: Sequence[StateResult],
    progress: Progress,
) -> Dataset:
    """Mask, tables, card; then the marks of the unfinished simulation go."""
    counts = np.asarray(ensemble.counts)
    n = int(counts.sum())
    states = np.repeat(np.arange(len(counts)), counts)
    volumes = MrcFolder([folder / volume_path(state) for state in range(len(counts))])
    rotations, shifts = draw_poses(settings, plan["seed"], range(n))
    ctf = draw_ctf(settings, plan["seed"], range(n))
    queries = np.arange(0, n, max(1, n // settings.n_queries))
    with progress.task("mask and signal-to-noise ratio", total=2) as task:
        mask = union_mask(ensemble, settings)
        task.advance()
        snr = measure_snr(settings, plan["seed"], states, results, volumes, mask)
        task.advance()
    dataset = write_dataset(
        folder,
        stacks=[stack_path(state) for state in range(len(counts))],
        ctf=ctf,
        rotations=rotations,
        shifts=shifts,
        pixel_size=settings.pixel_size,
        sign=SIGN,
        states=states,
        embedding=None if ensemble.embedding is None else ensemble.embedding[states],
        variables={
            name: CollectiveVariable(variable.values[states], variable.unit, variable.period)
            for name, variable in ensemble.variables.items()
        },
        mask=mask.values.numpy(),
        queries=queries,
        card={
            "name": recipe.name,
            "title": recipe.title,
            "description": recipe.description,
            "heterogeneity": recipe.heterogeneity,
            "citation": recipe.citation,
            "sources": recipe.sources,
            "plan": dict(plan),
            "snr": snr,
            "mask": {"sha256": mask.sha256, **mask.recipe},
            "states": [
                {
                    "state": result.state,
                    "images": result.n_images,
                    "mass_kda": result.mass / 1000,
                    "noise_variance": result.noise_variance,
                }
                for result in results
            ],
        },
        hashes={stack_path(result.state).as_posix(): result.stack_sha256 for result in results},
    )
    shutil.rmtree(folder / "simulation")
    return dataset
