"""Run a recipe: make its parts one by one, in this process or on Dask workers, then the tables.

A part's stack, truth and marker appear under their final names only when complete. While some are missing the
folder holds ``simulation/plan.json`` and no ``dataset.json``; the same command resumes, and another one is refused.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Num
from pydantic import ValidationError

from cryobench._errors import FormatError, UnknownName
from cryobench._one_thread import one_blas_thread
from cryobench._progress import Progress, Silent
from cryobench.atoms.sources import resolve_structures
from cryobench.compute.workers import open_workers
from cryobench.data import CollectiveVariable, Dataset, GroundTruth, Particles, VolumeSource
from cryobench.io.atomic import check_free_space, read_json, remove_partial_files, write_json
from cryobench.io.digest import hash_file
from cryobench.io.folders.dataset_store import compare_plans, is_finished
from cryobench.io.folders.trajectory_volumes import (
    FrameRendering,
    TrajectoryVolumes,
    write_rendering,
    write_topology,
)
from cryobench.io.formats.mrc import MrcFolder, MrcStacks
from cryobench.io.formats.xtc import BYTES_PER_ATOM
from cryobench.io.lock import lock_folder
from cryobench.io.store import load_dataset, write_dataset
from cryobench.recipes.draws import (
    Junk,
    assign_states,
    check_ctf_table,
    choose_queries,
    draw_ctf,
    draw_given_ctf,
    draw_given_poses,
    draw_junk,
    draw_poses,
    set_populations,
)
from cryobench.recipes.imaging.images import SIGN, make_part
from cryobench.recipes.imaging.job import Job, PartResult, StateResult
from cryobench.recipes.imaging.measure import measure_level, measure_snr, union_mask
from cryobench.recipes.recipe import FrameEnsemble, Recipe
from cryobench.recipes.registry import get_recipe
from cryobench.recipes.settings import SimulationSettings
from cryobench.recipes.spread import spread_evenly
from cryobench.volumes.render import check_inside

CHUNK = 128
PLAN = Path("simulation", "plan.json")


@one_blas_thread()
def simulate(
    recipe: str,
    folder: str | Path,
    *,
    preset: str = "lite",
    structures: Sequence[str | Path] = (),
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    particles: tuple[int, int] | None = None,
    workers: int = 1,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Dataset:
    """Make a data set with known truth, or finish an interrupted one.

    Parameters
    ----------
    recipe
        Name, as ``cryobench list recipes`` shows.
    folder
        Folder of the data set: new, or left unfinished by the same call.
    preset
        "tiny", "lite" or "paper": the size; or "realistic", lite with imperfections.
    structures
        PDB or mmCIF files, folders of them, or "rcsb:ID"; none for those of the recipe.
    seed
        Seed of all random draws. The same recipe, settings, structure and seed give the same data set: on one machine
        to the byte, whatever the threads and workers; elsewhere to rounding, under the same ``sha256``.
    settings
        Settings that differ from the preset's, by name.
    particles
        (first, stop): make only these particles of the whole data set, bit-identical to those of the whole. None for
        all.
    workers
        1: this process, with all its threads. More: that many single-threaded Dask worker processes.
    chunk
        Images in memory at a time, per worker; the result does not depend on it.
    progress
        Reports progress.

    Raises
    ------
    UnknownName
        No such recipe, preset or setting.
    ValueError
        A setting out of range, or a structure that the recipe cannot use.
    FormatError
        The folder holds something else: another data set, or an unfinished one of another call.
    FolderBusy
        Another process is simulating or adopting into the folder.
    """
    chosen = get_recipe(recipe)
    progress = progress or Silent()
    target = Path(folder)
    full = build_settings(chosen, preset, settings or {})
    if workers < 1 or chunk < 1:
        raise ValueError(f"workers and chunk must be at least 1, got {workers} and {chunk}.")
    paths = chosen.choose_structures(resolve_structures(structures))
    plan = {
        "recipe": chosen.name,
        "recipe_version": chosen.version,
        "preset": preset,
        "settings": full.model_dump(mode="json") | {name: path.name for name, path in full.files.items()},
        "seed": seed,
        "structures": [{"name": path.name, "sha256": hash_file(path)} for path in paths],
        "files": {name: hash_file(path) for name, path in full.files.items()},
        "particles": None if particles is None else list(particles),
        "cryobench": version("cryobench"),
    }
    if is_finished(target, plan) and not (target / PLAN.parent).exists():
        progress.note(f"{target}: already finished, nothing was simulated.")
        return load_dataset(target)
    with progress.task("states"):
        ensemble = chosen.ensemble(full, paths)
    counts = set_populations(ensemble.counts, full, seed)
    selection = _select(particles, int(counts.sum()))
    _check_junk(full, seed, selection)
    check_ctf_table(full, int(counts.sum()))
    job = Job(ensemble, full, seed, target, counts, assign_states(counts, full, seed), selection, chunk)
    with lock_folder(target, doing=f"simulate {chosen.name}"):
        if not is_finished(target, plan):
            return _make(job, chosen, plan, workers, progress)
        # A process killed after writing everything has left its markers.
        shutil.rmtree(target / PLAN.parent, ignore_errors=True)
    return load_dataset(target)


def _make(job: Job, recipe: Recipe, plan: dict[str, Any], workers: int, progress: Progress) -> Dataset:
    """The finished data set, with its missing parts made."""
    _check_states(job)
    _open_folder(job, plan)
    job = _set_level(job, progress)
    with progress.task(f"simulating {recipe.name}", total=len(job.selection)) as task:
        results: list[PartResult] = []
        for result in _make_parts(job, workers=workers):
            results.append(result)
            task.advance(result.n_images)
    return _finish(job, recipe, plan, sorted(results, key=lambda result: result.part), progress)


def build_settings(recipe: Recipe, preset: str, changes: Mapping[str, Any]) -> SimulationSettings:
    """Settings of a recipe at a preset with some changed. UnknownName or ValueError name the wrong one."""
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


def _select(particles: tuple[int, int] | None, n_particles: int) -> range:
    if particles is None:
        return range(n_particles)
    first, stop = particles
    if not 0 <= first < stop <= n_particles:
        raise ValueError(
            f"particles {first}:{stop} cannot be made: the data set has {n_particles:,}, counted from 0; "
            "give FIRST:STOP with FIRST below STOP, STOP not included."
        )
    return range(first, stop)


def _check_junk(settings: SimulationSettings, seed: int, selection: range) -> None:
    """Refuse a selection without any proper particle, which could have neither queries nor an SNR."""
    if not any(draw_junk(settings, seed, [particle])[0] == Junk.PARTICLE for particle in selection):
        raise ValueError(
            f"all {len(selection):,} particles would be junk: make more of them, or lower junk_noise, junk_wrong and "
            "junk_pair."
        )


def _check_states(job: Job) -> None:
    """Refuse, before anything is written, a structure without the moving parts or one that leaves the box.

    At most 20 states, evenly spread, are checked.
    """
    states = len(job.counts)
    for state in spread_evenly(states, 20):
        check_inside(job.model(int(state)).positions, job.settings.fine_box_size, job.settings.fine_pixel_size)


def _set_level(job: Job, progress: Progress) -> Job:
    """Job with the measurements of the whole set that are needed before any image is made."""
    if job.settings.noise_level == "structure" and job.settings.structural_snr is None:
        if job.projection == "slices":
            return job
        raise ValueError(
            "noise_level 'structure' needs many images of each structure: these are projected from atoms, which have "
            "one noise level. Set noise_level to 'data set', or projection to 'slices'."
        )
    with progress.task("signal variance", total=None):
        return measure_level(job)


def _open_folder(job: Job, plan: dict[str, Any]) -> None:
    folder = job.folder
    plan_path = folder / PLAN
    if plan_path.exists():
        found = read_json(plan_path)
        if found != plan:
            same_recipe = found.get("recipe") == plan["recipe"]
            versions = ("cryobench", "recipe_version") if same_recipe else ("cryobench",)
            outdated = any(found.get(key) != plan[key] for key in versions)
            how = "Only the version that began it can finish it" if outdated else "Repeat that call to finish it"
            raise FormatError(
                f"{folder} holds an unfinished simulation of another call (they differ in "
                f"{compare_plans(found, plan)}). {how}; or choose another folder, or remove this one first."
            )
    else:
        # A process stopped before the plan was written may have left its folder, and hidden files.
        others = (path for path in folder.rglob("*") if path != plan_path.parent and not path.name.startswith("."))
        if folder.exists() and (not folder.is_dir() or any(others)):
            raise FormatError(f"{folder} exists and is not a cryobench data set: choose another folder.")
        check_free_space(folder, _bytes_needed(job))
        write_json(plan_path, plan)
    remove_partial_files(folder)
    frames = isinstance(job.ensemble, FrameEnsemble)
    for sub in ("particles", "truth/trajectory" if frames else "truth/volumes"):
        (folder / sub).mkdir(parents=True, exist_ok=True)


def _bytes_needed(job: Job) -> int:
    images = len(job.selection) * job.settings.box_size**2 * 4
    if isinstance(job.ensemble, FrameEnsemble):
        return images + len(job.counts) * len(job.ensemble.topology) * BYTES_PER_ATOM
    return images + len(job.counts) * job.settings.box_size**3 * 4


def _make_parts(job: Job, *, workers: int) -> Iterator[PartResult]:
    """Results of all parts: first those already on disk, then the others as they are made."""
    missing = []
    for part in range(job.n_parts):
        mark = job.folder / job.mark_path(part)
        if mark.exists():
            found = read_json(mark)
            yield PartResult(**{**found, "states": [StateResult(**state) for state in found["states"]]})
        else:
            missing.append(part)
    if workers == 1:
        with ThreadPoolExecutor(1) as builder:
            for part, upcoming in zip_longest(missing, missing[1:]):
                # The next part's atoms are prepared in Python while this one's images are made in compiled code.
                built = None if upcoming is None else builder.submit(_build_models, job, upcoming)
                yield make_part(job, part)
                if built is not None:
                    built.result()
    elif missing:
        with open_workers(workers) as pool:
            assert pool is not None  # for more than one worker there is one
            yield from pool.map_unordered(_make_part_alone, replace(job, folder=job.folder.resolve()), missing)


def _build_models(job: Job, part: int) -> None:
    if not isinstance(job.ensemble, FrameEnsemble):
        for state in job.states_of(part):
            job.model(state)


@one_blas_thread()
def _make_part_alone(job: Job, part: int) -> PartResult:
    """``make_part`` in a worker, with linear algebra on one thread as in this process."""
    return make_part(job, part)


def _finish(
    job: Job, recipe: Recipe, plan: Mapping[str, Any], results: Sequence[PartResult], progress: Progress
) -> Dataset:
    """Write mask, tables and card, then remove the markers of the unfinished simulation."""
    folder, settings = job.folder, job.settings
    states = [state for result in results for state in result.states]
    volumes = _finish_truth(job)
    with progress.task("mask and signal-to-noise ratio", total=2) as task:
        mask = union_mask(job)
        task.advance()
        snr = measure_snr(job, states, volumes, mask)
        task.advance()
    particles = _gather_particles(job, results, mask.values.numpy())
    truth = _gather_truth(job, states, volumes)
    dataset = write_dataset(
        folder,
        particles,
        truth,
        queries=choose_queries(truth.states, settings.n_queries),
        card={
            "name": recipe.name,
            "title": recipe.title,
            "description": recipe.description,
            "heterogeneity": recipe.heterogeneity,
            "citation": recipe.citation,
            "sources": recipe.describe_sources([each["sha256"] for each in plan["structures"]]),
            "plan": dict(plan),
            "snr": snr,
            "mask": {"sha256": mask.sha256, **mask.recipe},
            **({"notes": list(job.ensemble.notes)} if job.ensemble.notes else {}),
        },
        hashes={
            job.stack_path(result.part).as_posix(): result.stack_sha256
            for result in results
            if result.stack_sha256 is not None
        },
        follows_from_plan=True,
    )
    shutil.rmtree(folder / PLAN.parent)
    return dataset


def _finish_truth(job: Job) -> VolumeSource:
    """True volumes of all states: stored in files, or rendered from stored frames."""
    settings = job.settings
    if not isinstance(job.ensemble, FrameEnsemble):
        return MrcFolder([job.folder / job.volume_path(state) for state in range(len(job.counts))])
    write_topology(job.folder, job.model(0))
    rendering = FrameRendering(
        n_frames=len(job.counts),
        box_size=settings.box_size,
        pixel_size=settings.pixel_size,
        resolution=settings.resolution,
        oversampling=settings.oversampling,
        solvent_density=settings.solvent_density,
    )
    write_rendering(job.folder, rendering)
    return TrajectoryVolumes(job.folder)


def _gather_particles(job: Job, results: Sequence[PartResult], mask: Float[np.ndarray, "z y x"]) -> Particles:
    """Particles as given to methods, in the order of the table."""
    selected = np.arange(job.selection.start, job.selection.stop)
    made = [result for result in results if result.n_images]
    stored = np.concatenate([job.particles_of(result.part) for result in made])
    files = np.repeat(np.arange(len(made)), [result.n_images for result in made])
    image_indices = np.concatenate([np.arange(result.n_images) for result in made])
    in_order = np.argsort(stored)
    images = MrcStacks(
        [job.folder / job.stack_path(result.part) for result in made],
        file_index=files[in_order],
        image_index=image_indices[in_order],
    )
    return Particles(
        images,
        job.settings.pixel_size,
        draw_given_ctf(job.settings, job.seed, selected),
        *draw_given_poses(job.settings, job.seed, selected),
        sign=SIGN,
        mask=mask,
    )


def _gather_truth(job: Job, results: Sequence[StateResult], volumes: VolumeSource) -> GroundTruth:
    """Truth of the selected particles; junk has no state and no collective variables."""
    selected = np.arange(job.selection.start, job.selection.stop)
    ensemble, nominal = job.ensemble, job.states[selected]
    junk = draw_junk(job.settings, job.seed, selected)
    proper = junk == Junk.PARTICLE

    def of_particles(values: Num[np.ndarray, "k *d"]) -> Num[np.ndarray, "n *d"]:
        if proper.all():
            return values[nominal]
        spread = np.array(values[nominal], dtype=np.float64)
        spread[~proper] = np.nan
        return spread

    variables = {
        name: CollectiveVariable(of_particles(variable.values), variable.unit, variable.period)
        for name, variable in ensemble.variables.items()
    }
    if job.settings.junk_fraction:
        variables["junk"] = CollectiveVariable(junk.astype(np.float64), "")
    rotations, shifts = draw_poses(job.settings, job.seed, selected)
    facts = {
        "images": [result.n_images for result in results],
        "mass_kda": [result.mass / 1000 for result in results],
        "signal_variance": [result.signal_variance for result in results],
        "noise_variance": [result.noise_variance for result in results],
    }
    exact_ctf = job.settings.defocus_error == 0 and job.settings.astigmatism_angle_error_deg == 0
    return GroundTruth(
        np.where(proper, nominal, -1),
        volumes,
        rotations,
        shifts,
        None if ensemble.embedding is None else of_particles(ensemble.embedding),
        variables,
        components=ensemble.components,
        state_names=None if ensemble.state_names is None else tuple(ensemble.state_names),
        state_facts=pd.DataFrame(facts),
        ctf=None if exact_ctf else draw_ctf(job.settings, job.seed, selected),
    )
