"""The toy as a data set of our own: what its particles are adopted from, in any form."""

import dataclasses
from pathlib import Path

import numpy as np

from cryobench.data import Dataset
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.store import write_dataset
from toy import toy_dataset

N, SIZE, STATES = 90, 16, 3


def write_home(folder: Path) -> Path:
    """FOLDER/toy: two stacks, particles in no order. Gives the folder."""
    toy = toy_dataset(size=SIZE, n=N, n_states=STATES, n_queries=9)
    generator = np.random.default_rng(0)
    order = generator.permutation(N)
    images = np.empty((N, SIZE, SIZE), dtype=np.float32)
    images[order] = -toy.particles.read(np.arange(N))  # particle i is image order[i]
    stacks = [folder / "toy" / "particles" / f"{i}.mrcs" for i in range(2)]
    for stack, part in zip(stacks, (images[:50], images[50:]), strict=True):
        with begin_stack(stack, len(part), SIZE, toy.particles.pixel_size) as writer:
            writer.append(part)
    source = MrcStacks(
        stacks, file_index=(order >= 50).astype(int), image_index=np.where(order >= 50, order - 50, order)
    )
    particles = dataclasses.replace(toy.particles, images=source, sign=-1)
    write_dataset(folder / "toy", particles, toy.truth, queries=toy.queries, card={"name": "toy"})
    return folder


def true_states(dataset: Dataset) -> np.ndarray:
    """State of each particle."""
    assert dataset.truth is not None
    return np.array(dataset.truth.states)
