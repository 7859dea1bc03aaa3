"""Where the classes start: at random, or from the principal variation of the particles at low resolution.

cryoSPARC's "PCA" start reconstructs many small random subsets, takes the principal components of their volumes and
clusters them. Ours clusters the *particles* in the same space, which finds it more sharply: the principal volumes
V_j of y_i = C_i P_i (μ + Σ_j z_ij V_j) + ε_i are found by subspace iteration from random subset differences,

    z_i = (G_i + I)⁻¹ b_i,    G_i = Re ⟨C P V_j, C P V_l⟩ / σ²,    b_i = Re ⟨C P V_j, y_i − C P μ⟩ / σ²
    V_j = Σ_i z'_ij P*(C (y_i − C P μ) / σ²) / Σ_i P*(C² / σ²),    z' = z whitened over the particles

(probabilistic PCA with the second moments of z taken as independent of the pose), and k-means on z, measured by how
much the images tell differences in z apart, gives the labels. All of it happens in a box cut to the radius.
"""

import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.imaging.slices import extract_slices
from cryobench.methods._shared.backprojection import regularise
from cryobench.methods._shared.spectra import HalfDisc, Packed, ParticleSpectra
from cryobench.rng import stream
from cryobench.volumes.mask import make_sphere_mask

ROUNDS = 6
_DAMPING = 0.1
_CLUSTERED = 20_000
_RESTARTS = 30


def assign_at_random(n: int, n_classes: int, seed: int) -> np.ndarray:
    """Labels (n,) of random subsets of equal size, to one particle."""
    return stream(seed, "random subsets").permutation(np.arange(n) % n_classes)


def assign_by_variation(
    spectra: ParticleSpectra,
    n_classes: int,
    n_components: int,
    radius: int,
    seed: int,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> np.ndarray:
    """Labels (n,) from k-means on the particles' principal coordinates at low resolution."""
    coordinates = principal_coordinates(spectra, n_components, radius, seed, device=device, progress=progress)
    generator = stream(seed, "k-means")
    chosen = np.sort(generator.permutation(len(coordinates))[:_CLUSTERED])
    clustering = KMeans(
        n_classes,
        n_init=_RESTARTS,  # pyright: ignore[reportArgumentType]
        random_state=int(generator.integers(2**31)),
    )
    with warnings.catch_warnings():
        # Fewer distinct points than clusters: some classes start empty and are reseeded.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(clustering.fit(coordinates[chosen]).predict(coordinates), dtype=np.int64)


def principal_coordinates(
    spectra: ParticleSpectra,
    n_components: int,
    radius: int,
    seed: int,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> np.ndarray:
    """Coordinates (n, d) of the particles along the principal volumes up to ``radius``, see above.

    Scaled so that the squared distance of two particles is the mean of the squared difference of their images
    over the noise power.
    """
    search = _Search(spectra, radius, n_components, device)
    coordinates = stream(seed, "principal volumes").standard_normal((len(spectra), n_components)).astype(np.float32)
    gram = np.eye(n_components)
    with (progress or Silent()).task("principal volumes", total=ROUNDS + 2) as task:
        volumes = search.volumes_from(coordinates)
        task.advance()
        for last in [False] * ROUNDS + [True]:
            coordinates, gram, sums, moment = search.project(volumes, insert=not last)
            volumes = volumes if last else search.solve(sums, moment)
            task.advance()
    return coordinates @ np.linalg.cholesky(gram + 1e-6 * np.trace(gram) * np.eye(len(gram))).astype(np.float32)


def largest_sphere(box_size: int, diameter: float = 1.0) -> Tensor:
    """Soft sphere (z, y, x) that fits the box, or of ``diameter`` boxes, its edge a tenth of the radius wide.

    The correction for the interpolation kernel raises noise towards the corners, where no particle is.
    """
    radius = diameter * box_size / 2
    return make_sphere_mask(box_size, 1.0, 0.9 * radius, edge=0.1 * radius).values.float()


class _Search:
    """Subspace iteration in a small box: mean volume, noise and the sums of a round."""

    def __init__(self, spectra: ParticleSpectra, radius: int, n_components: int, device: str) -> None:
        self._spectra, self._device, self._components = spectra, device, n_components
        self._disc = HalfDisc(2 * radius + 2, radius)
        self._sphere = largest_sphere(self._disc.box_size).to(device)
        inside = (spectra.disc.frequencies**2).sum(axis=1) <= radius**2
        self._inside = torch.from_numpy(np.flatnonzero(inside)).to(device)
        self._index = torch.from_numpy(self._disc.index).to(device)
        self._noise = spectra.mean_power[: radius + 1]
        # Once with the power of the images for that of the noise, then with what the mean leaves over.
        for _ in range(2):
            self._mean = self._estimate_mean()
            self._noise = self._residual_power()

    def _parts(self, packed: Packed) -> tuple[Tensor, Tensor]:
        """Data and CTF of a batch on the small disc."""
        return packed.data[:, self._inside], packed.ctf[:, self._inside]

    def _slices(self, volume_ft: FourierVolume, rotations: Tensor) -> Tensor:
        """Packed slices (m, p) or (m, k, p)."""
        return extract_slices(volume_ft, rotations).flatten(-2)[..., self._index]

    @property
    def _inverse(self) -> Tensor:
        return torch.from_numpy((1 / self._noise)[self._disc.shells]).float().to(self._device)

    def _estimate_mean(self) -> FourierVolume:
        sums = SliceAccumulator(self._disc.box_size, device=self._device)
        for packed in self._spectra.batches():
            data, ctf = self._parts(packed)
            scaled = ctf * self._inverse
            sums.add(self._disc.unpack(scaled * data), self._disc.unpack(scaled * ctf), packed.rotations)
        return volume_to_fourier(fourier_to_volume(regularise(*sums.totals())) * self._sphere)

    def _residual_power(self) -> np.ndarray:
        total = np.zeros(self._disc.radius + 1)
        for packed in self._spectra.batches():
            data, ctf = self._parts(packed)
            residual = data - ctf * self._slices(self._mean, packed.rotations)
            total += self._disc.sum_shells(residual.abs().square()).sum(0).cpu().numpy()
        power = total / (len(self._spectra) * self._disc.shell_weights)
        return np.maximum(power, 1e-3 * self._spectra.mean_power[: self._disc.radius + 1])

    def volumes_from(self, coordinates: np.ndarray) -> FourierVolume:
        """Principal volumes, ready for slicing, from coordinates (n, d) of all particles."""
        sums, moment = self._new_sums(), torch.zeros(self._components, self._components, dtype=torch.float64)
        for packed in self._spectra.batches():
            own = torch.from_numpy(coordinates[packed.indices]).to(self._device)
            data, ctf = self._parts(packed)
            self._add(sums, data - ctf * self._slices(self._mean, packed.rotations), ctf, packed.rotations, own)
            moment += (own.T @ own).double().cpu()
        return self.solve(sums, moment)

    def project(
        self, volumes: FourierVolume, *, insert: bool
    ) -> tuple[np.ndarray, np.ndarray, SliceAccumulator, Tensor]:
        """Coordinates under given volumes, the mean Gram matrix of their images, and, with ``insert``, the sums
        and second moments from which the next volumes follow."""
        d = self._components
        coordinates = np.empty((len(self._spectra), d), dtype=np.float32)
        gram_total = torch.zeros(d, d, dtype=torch.float64)
        sums, moment = self._new_sums(), torch.zeros(d, d, dtype=torch.float64)
        # In the log-likelihood an entry and its mate count together: twice the real inner product.
        scale = 2 * torch.from_numpy(self._disc.weights).to(self._device) * self._inverse
        # Mean and principal volumes in one gather.
        together = volumes.with_values(torch.cat([self._mean.values[..., None], volumes.values], dim=-1).contiguous())
        for packed in self._spectra.batches():
            data, ctf = self._parts(packed)
            predicted = self._slices(together, packed.rotations) * ctf[:, None]
            residual, images = data - predicted[:, 0], predicted[:, 1:]
            weighted = torch.view_as_real(images * scale).flatten(-2)
            gram = weighted @ torch.view_as_real(images).flatten(-2).mT
            match = weighted @ torch.view_as_real(residual).flatten(-2)[..., None]
            own = torch.linalg.solve(gram + torch.eye(d, device=self._device), match)[..., 0]
            coordinates[packed.indices] = own.cpu().numpy()
            gram_total += gram.double().sum(0).cpu()
            moment += (own.T @ own).double().cpu()
            if insert:
                self._add(sums, residual, ctf, packed.rotations, own)
        return coordinates, (gram_total / len(self._spectra)).numpy(), sums, moment

    def _new_sums(self) -> SliceAccumulator:
        return SliceAccumulator(self._disc.box_size, n_volumes=self._components, n_weights=1, device=self._device)

    def _add(self, sums: SliceAccumulator, residual: Tensor, ctf: Tensor, rotations: Tensor, own: Tensor) -> None:
        scaled = ctf * self._inverse
        sums.add(
            self._disc.unpack(scaled * residual),
            self._disc.unpack(scaled * ctf),
            rotations,
            class_weights=own,
            weight_factors=torch.ones(len(own), 1, device=self._device),
            threshold=0.0,
        )

    def solve(self, sums: SliceAccumulator, moment: Tensor) -> FourierVolume:
        """Principal volumes of whitened coordinates, from sums over coordinates of second moment ``moment``."""
        numerator, weight = sums.totals()
        count = weight.multiplicities()
        shells = weight.shell_indices().flatten()
        total = torch.zeros(int(shells.max()) + 1, device=self._device).index_add_(0, shells, count.flatten())
        summed = torch.zeros_like(total).index_add_(0, shells, (weight.values[..., 0] * count).flatten())
        typical = (summed / total.clamp(min=1))[shells].reshape(count.shape)
        denominator = weight.values + _DAMPING * typical[..., None]
        values = torch.where(denominator > 0, numerator.values / denominator.clamp(min=1e-30), 0)
        moment = moment / len(self._spectra)
        jitter = 1e-6 * moment.trace() * torch.eye(len(moment), dtype=moment.dtype)
        # Z' = Z L⁻ᵀ has ZᵀZ / n = 1; the sums Σ z' … are the given ones times L⁻ᵀ.
        whitening = torch.linalg.inv(torch.linalg.cholesky(moment + jitter)).T
        values = values @ whitening.to(self._device, values.dtype)
        return volume_to_fourier(fourier_to_volume(numerator.with_values(values)) * self._sphere)
