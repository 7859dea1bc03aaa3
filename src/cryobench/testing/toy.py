"""Toy data set in memory: three states of a few blobs, imaged by plain NumPy sums of Gaussians, CTF and noise.

Made without the package's projector, renderer or noise, so that it is independent of the code under test.
"""

from dataclasses import replace

import numpy as np
import torch

from cryobench.data import ArrayImages, CollectiveVariable, Dataset, GroundTruth, IndexedVolumes, Particles
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.rotations import rotations_from_quaternions

PIXEL_SIZE = 4.0


def toy_blobs(n_states: int, size: int) -> np.ndarray:
    """(n_states, blobs, 3) centres in px, ordered (x, y, z): a body, and an arm at another angle in each."""
    unit = size / 24
    body = unit * np.array([[0, 0, 0], [3, 1, 0], [-2, 2, 3], [0, -3, -2], [1, 2, -4]], dtype=float)
    angles = 2 * np.pi * np.arange(n_states) / n_states
    along = np.array([3.5, 6.0])
    arms = np.stack(
        [np.stack([along * np.cos(a), along * np.sin(a), np.array([3.0, 4.5])], axis=1) * unit for a in angles]
    )
    return np.concatenate([np.repeat(body[None], n_states, axis=0), arms], axis=1)


def toy_dataset(
    *,
    size: int = 24,
    n: int = 360,
    n_states: int = 3,
    snr: float = 0.5,
    seed: int = 0,
    with_poses: bool = True,
    n_queries: int = 9,
) -> Dataset:
    """Data set of ``n`` particles, the states in random order, with truth, mask and query particles."""
    generator = np.random.default_rng(seed)
    blobs = toy_blobs(n_states, size)
    width = 1.1 * size / 24
    axis = np.arange(size) - size // 2
    states = generator.permutation(np.arange(n) % n_states)
    rotations = rotations_from_quaternions(generator.standard_normal((n, 4)))
    shifts = generator.uniform(-1.5, 1.5, (n, 2)) * PIXEL_SIZE

    def gauss(centres: np.ndarray) -> np.ndarray:
        return np.exp(-((axis - centres[..., None]) ** 2) / (2 * width**2))

    volumes = np.stack([np.einsum("bz,by,bx->zyx", gauss(b[:, 2]), gauss(b[:, 1]), gauss(b[:, 0])) for b in blobs])
    placed = np.einsum("nij,nbj->nbi", rotations, blobs[states])[..., :2] - shifts[:, None] / PIXEL_SIZE
    clean = np.einsum("nby,nbx->nyx", gauss(placed[..., 1]), gauss(placed[..., 0])) * width * np.sqrt(2 * np.pi)
    defocus = generator.uniform(6_000, 20_000, n)
    ctf = Ctf.from_columns(n, defocus_u=defocus + 150, defocus_v=defocus - 150, defocus_angle=0.4)
    full = np.fft.fftfreq(size, PIXEL_SIZE)
    half = np.fft.rfftfreq(size, PIXEL_SIZE)
    grid = torch.from_numpy(np.stack(np.meshgrid(half, full, indexing="xy"), axis=-1))
    images = np.fft.irfft2(np.fft.rfft2(clean) * evaluate_ctf(ctf, grid).numpy(), s=(size, size))
    images += generator.normal(0, np.sqrt(images.var() / snr), images.shape)
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    particles = Particles(
        images=ArrayImages(images.astype(np.float32)),
        pixel_size=PIXEL_SIZE,
        ctf=ctf,
        rotations=rotations if with_poses else None,
        shifts=shifts if with_poses else None,
        mask=np.clip(0.46 * size - distance, 0, 1).astype(np.float32),
    )
    angle = 2 * np.pi * states / n_states
    truth = GroundTruth(
        states=states,
        volumes=IndexedVolumes(volumes.astype(np.float32), np.arange(n_states)),
        rotations=rotations,
        shifts=shifts,
        embedding=np.stack([np.cos(angle), np.sin(angle)], axis=1),
        variables={"angle": CollectiveVariable(angle, "rad", 2 * np.pi)},
    )
    queries = np.sort(generator.permutation(n)[:n_queries])
    return Dataset(particles, truth, queries=queries, card={"name": "toy"})


def permuted(dataset: Dataset, order: np.ndarray) -> Dataset:
    """The same particles in another order: new particle i is old particle ``order[i]``; queries follow."""
    truth = dataset.truth
    assert truth is not None
    columns = ("states", "rotations", "shifts", "embedding")
    parts = {name: values[order] for name in columns if (values := getattr(truth, name)) is not None}
    variables = {name: replace(each, values=each.values[order]) for name, each in truth.variables.items()}
    return Dataset(
        dataset.particles.select(order),
        replace(truth, **parts, variables=variables),
        queries=np.argsort(order)[dataset.queries],
        card=dataset.card,
    )
