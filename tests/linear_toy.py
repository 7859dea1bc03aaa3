"""A data set of a known linear model, made by plain NumPy: V = mean + Σ_k z_k V_k, imaged with CTF, shift and noise.

Mean and components are sums of the same few Gaussian blobs, the components orthonormal as volumes (their overlaps
are known in closed form) and z normal with descending deviations. As in ``toy``, nothing of the package's renderer,
projector or noise has made it.
"""

from dataclasses import dataclass

import numpy as np
import torch

from cryobench.data import ArrayImages, Dataset, GroundTruth, Particles
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.rotations import rotations_from_quaternions

PIXEL_SIZE = 4.0
VARIATION = 0.6
"""Norm of the first component's deviation over that of the mean; the k-th has 0.8^k of it."""


@dataclass(frozen=True)
class LinearTruth:
    """What a linear data set was made from."""

    mean: np.ndarray
    """(z, y, x)."""
    components: np.ndarray
    """(k, z, y, x), orthonormal."""
    latents: np.ndarray
    """(n, k) z."""
    deviations: np.ndarray
    """(k,) standard deviations of z."""
    noise_variance: float
    """Of a pixel; the power of the unnormalised transform is this times the number of pixels."""
    contrasts: np.ndarray
    """(n,) factor of each clean image."""


def linear_dataset(
    *,
    size: int = 24,
    n: int = 2000,
    k: int = 2,
    snr: float = 0.5,
    seed: int = 0,
    contrast_deviation: float = 0.0,
    extent: float = 1.0,
    n_queries: int = 6,
) -> tuple[Dataset, LinearTruth]:
    """``n`` particles of ``size`` px with ``k`` (at most 4) latent dimensions, and what they were made from.

    ``snr`` is the variance of the clean images over that of the noise, before contrast factors of mean 1;
    ``extent`` scales the molecule within the box.
    """
    generator = np.random.default_rng(seed)
    unit, axis = extent * size / 24, np.arange(size) - size // 2
    width = 1.15 * unit
    centres = unit * _blob_centres()
    overlap = (np.sqrt(np.pi) * width) ** 3 * np.exp(
        -((centres[:, None] - centres[None]) ** 2).sum(-1) / (4 * width**2)
    )
    of_mean = np.ones(len(centres))
    of_components = _contrasting_blobs()[:k]
    factor = np.linalg.cholesky(of_components @ overlap @ of_components.T)
    of_components = np.linalg.solve(factor, of_components)
    deviations = VARIATION * np.sqrt(of_mean @ overlap @ of_mean) * 0.8 ** np.arange(k)
    latents = generator.standard_normal((n, k)) * deviations

    def gauss(positions: np.ndarray) -> np.ndarray:
        return np.exp(-((axis - positions[..., None]) ** 2) / (2 * width**2))

    blobs = np.einsum("bz,by,bx->bzyx", gauss(centres[:, 2]), gauss(centres[:, 1]), gauss(centres[:, 0]))
    rotations = rotations_from_quaternions(generator.standard_normal((n, 4)))
    shifts = generator.uniform(-1.5, 1.5, (n, 2)) * PIXEL_SIZE
    placed = (np.einsum("nij,bj->nbi", rotations, centres) - np.pad(shifts, ((0, 0), (0, 1)))[:, None] / PIXEL_SIZE)[
        ..., :2
    ]
    weights = (of_mean + latents @ of_components) * width * np.sqrt(2 * np.pi)
    clean = np.einsum("nb,nby,nbx->nyx", weights, gauss(placed[..., 1]), gauss(placed[..., 0]))
    defocus = generator.uniform(6_000, 20_000, n)
    ctf = Ctf.from_columns(n, defocus_u=defocus + 150, defocus_v=defocus - 150, defocus_angle=0.4)
    half, full = np.fft.rfftfreq(size, PIXEL_SIZE), np.fft.fftfreq(size, PIXEL_SIZE)
    grid = torch.from_numpy(np.stack(np.meshgrid(half, full, indexing="xy"), axis=-1))
    images = np.fft.irfft2(np.fft.rfft2(clean) * evaluate_ctf(ctf, grid).numpy(), s=(size, size))
    noise_variance = float(images.var() / snr)
    contrasts = 1 + contrast_deviation * generator.standard_normal(n)
    images = contrasts[:, None, None] * images + generator.normal(0, np.sqrt(noise_variance), images.shape)
    reach = float(np.linalg.norm(centres, axis=1).max()) + 3 * width
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    particles = Particles(
        images=ArrayImages(images.astype(np.float32)),
        pixel_size=PIXEL_SIZE,
        ctf=ctf,
        rotations=rotations,
        shifts=shifts,
        mask=np.clip((reach - distance) / 2 + 0.5, 0, 1).astype(np.float32),
    )
    mean, components = (np.tensordot(weight, blobs, axes=1) for weight in (of_mean, of_components))
    # The states of a linear model are as many as its particles; their volumes follow from the truth that is given.
    truth = GroundTruth(np.full(n, -1), rotations=rotations, shifts=shifts, embedding=latents)
    queries = np.sort(generator.permutation(n)[:n_queries])
    dataset = Dataset(particles, truth, queries=queries, card={"name": "linear toy"})
    return dataset, LinearTruth(mean, components, latents, deviations, noise_variance, contrasts)


def subspace_angles_deg(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Principal angles (k,) in degrees between the spans of volumes (k, z, y, x), ascending."""
    one, other = (np.linalg.qr(volumes.reshape(len(volumes), -1).T.astype(float))[0] for volumes in (found, true))
    return np.rad2deg(np.arccos(np.clip(np.linalg.svd(one.T @ other)[1], -1, 1)))


def embedding_correlations(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(k,) correlation of each true latent with its best affine fit by the found latents (n, d)."""
    design = np.column_stack([np.ones(len(found)), found])
    fitted = design @ np.linalg.lstsq(design, true, rcond=None)[0]
    return np.array([np.corrcoef(fit, column)[0, 1] for fit, column in zip(fitted.T, true.T, strict=True)])


def _blob_centres() -> np.ndarray:
    """(b, 3) in px of a box of 24, ordered (x, y, z): no two nearer than 3 px, none farther out than 6."""
    return np.array(
        [
            [0, 0, 0],
            [4, 1, 0],
            [-2, 3, 2],
            [0, -4, -1],
            [1, 2, -4],
            [-4, -1, -2],
            [2, -2, 4],
            [-3, -3, 3],
            [4, 4, 1],
            [3, -3, -4],
        ],
        dtype=float,
    )


def _contrasting_blobs() -> np.ndarray:
    """(4, b) what each component adds to the blobs, before these are made orthonormal."""
    return np.array(
        [
            [0, 1, 0, 0, 0, -1, 0, 0, 0.5, 0],
            [0, 0, 1, -1, 0, 0, 0, 0.5, 0, 0],
            [0, 0, 0, 0, 1, 0, -1, 0, 0, 0.5],
            [0.5, 0, 0, 0, 0, 0, 0, -1, 0, 1],
        ],
        dtype=float,
    )
