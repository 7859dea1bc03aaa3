"""The toy on disk: a data set, and a finished run on it, as commands leave them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from cryobench.data import Dataset, DatasetIdentity, IndexedVolumes, Reconstruction, RunCost, RunRecord
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.store import save_reconstruction, write_dataset
from toy import PIXEL_SIZE


def store_dataset(dataset: Dataset, folder: Path) -> Dataset:
    """Write a data set whose images are in memory."""
    particles = dataset.particles
    with begin_stack(folder / "particles.mrcs", len(particles), particles.box_size, particles.pixel_size) as writer:
        writer.append(particles.images.read(np.arange(len(particles))))
    stored = replace(particles, images=MrcStacks(folder / "particles.mrcs"))
    return write_dataset(folder, stored, dataset.truth, queries=dataset.queries, card={"name": "toy"})


def store_run(
    dataset: Dataset,
    folder: Path,
    method: str = "toy method",
    *,
    noise: float = 0.02,
    decodes_by: str | None = None,
) -> None:
    """Write a run: the truth with noise, some latents, class volumes as its model."""
    generator = np.random.default_rng(5)
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    states, n_states = dataset.truth.states, dataset.truth.n_states
    volumes = np.stack([dataset.truth.volumes.read(state) for state in range(n_states)])
    volumes = (volumes + noise * generator.standard_normal(volumes.shape)).astype(np.float32)
    run = Reconstruction(
        dataset.queries,
        IndexedVolumes(volumes, states[dataset.queries]),
        latents=dataset.truth.embedding + 0.1 * generator.standard_normal(dataset.truth.embedding.shape),
        posteriors=np.eye(n_states)[states],
        model={"volumes": volumes},
        decodes_by=decodes_by,
        record=RunRecord(
            method,
            dataset=DatasetIdentity("toy", str(dataset.path), dataset.card["sha256"]),
            cost=RunCost(wall_seconds=1.0),
        ),
    )
    save_reconstruction(run, folder, pixel_size=PIXEL_SIZE)


def edit_json(path: Path, **entries: object) -> None:
    """Set entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | entries), encoding="utf-8")
