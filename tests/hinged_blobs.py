"""Two bodies of Gaussian blobs on a hinge, imaged at random angles by plain NumPy: sums of Gaussians, CTF, noise.

As in ``toy``, nothing of the package's renderer, projector or noise has made it.
"""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from cryobench.data import ArrayImages, CollectiveVariable, Dataset, GroundTruth, IndexedVolumes, Particles
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.rotations import rotations_from_quaternions

PIXEL_SIZE = 4.0
REACH = 30.0
N_STATES = 13
_BODY = np.array(
    [[0, 0, 0], [-3, 1, 0], [-5, -2, 2], [-4, 3, -3], [-7, 1, 1], [-6, -3, -3], [-2, -3, 1], [-3, 4, 3], [-6, 4, 0]]
)
_ARM = np.array([[3, 0, 0], [5, 1, 1], [7, -1, 0], [8, 2, -1], [6, 2, 2], [5, -2, -1], [9, 0, 1]])


def hinged_dataset(*, size=24, n=600, snr=1.0, seed=0, vanishing=False, with_mask=True):
    """Data set whose arm is turned about z by -30 to 30 degrees, or, ``vanishing``, has more or less density.

    The truth has 13 states.
    """
    generator = np.random.default_rng(seed)
    unit, width = size / 24, 1.2 * size / 24
    axis = np.arange(size) - size // 2
    states = generator.permutation(np.arange(n) % N_STATES)
    angles = np.linspace(-REACH, REACH, N_STATES)
    share = np.linspace(0, 2, N_STATES) if vanishing else np.ones(N_STATES)
    turns = Rotation.from_euler("z", 0 * angles[:, None] if vanishing else angles[:, None], degrees=True).as_matrix()
    blobs = unit * np.concatenate([np.repeat(_BODY[None], N_STATES, 0), _ARM @ turns.transpose(0, 2, 1)], axis=1)
    heights = np.concatenate([np.ones((N_STATES, len(_BODY))), np.repeat(share[:, None], len(_ARM), 1)], axis=1)
    rotations = rotations_from_quaternions(generator.standard_normal((n, 4)))
    shifts = generator.uniform(-1.5, 1.5, (n, 2)) * PIXEL_SIZE

    def gauss(centres):
        return np.exp(-((axis - centres[..., None]) ** 2) / (2 * width**2))

    volumes = np.einsum("sb,sbz,sby,sbx->szyx", heights, *(gauss(blobs[..., along]) for along in (2, 1, 0)))
    placed = np.einsum("nij,nbj->nbi", rotations, blobs[states])[..., :2] - shifts[:, None] / PIXEL_SIZE
    seen = gauss(placed[..., 1]) * heights[states][..., None]
    clean = np.einsum("nby,nbx->nyx", seen, gauss(placed[..., 0])) * width * np.sqrt(2 * np.pi)
    defocus = generator.uniform(6_000, 20_000, n)
    ctf = Ctf.from_columns(n, defocus_u=defocus + 150, defocus_v=defocus - 150, defocus_angle=0.4)
    full, half = np.fft.fftfreq(size, PIXEL_SIZE), np.fft.rfftfreq(size, PIXEL_SIZE)
    grid = torch.from_numpy(np.stack(np.meshgrid(half, full, indexing="xy"), axis=-1))
    images = np.fft.irfft2(np.fft.rfft2(clean) * evaluate_ctf(ctf, grid).numpy(), s=(size, size))
    images += generator.normal(0, np.sqrt(images.var() / snr), images.shape)
    union = volumes.max(axis=0) > 0.05
    truth = GroundTruth(
        states=states,
        volumes=IndexedVolumes(volumes.astype(np.float32), np.arange(N_STATES)),
        rotations=rotations,
        shifts=shifts,
        variables={"angle": CollectiveVariable(share[states] if vanishing else angles[states], "deg")},
    )
    particles = Particles(
        images=ArrayImages(images.astype(np.float32)),
        pixel_size=PIXEL_SIZE,
        ctf=ctf,
        rotations=rotations,
        shifts=shifts,
        mask=union.astype(np.float32) if with_mask else None,
    )
    return Dataset(particles, truth, queries=np.arange(N_STATES), card={"name": "hinge"})
