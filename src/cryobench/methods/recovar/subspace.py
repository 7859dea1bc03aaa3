"""Subspace of the columns, the covariance within it and its principal volumes (steps i to k).

The columns' real volumes span it: a randomised singular value decomposition. The covariance within it is a
least-squares fit of second moments. With whitened slices of the basis, G_i = (A_i U)ᴴ Γ⁻¹ (A_i U) and
b_i = (A_i U)ᴴ Γ⁻¹ (y_i − A_i μ), both real,

    E b_i b_iᵀ = G_i S G_i + G_i      =>      Σ_i G_i S G_i = Σ_i (b_i b_iᵀ − G_i),   S symmetric.

In the entries of S this is a linear system whose matrix holds the sums Σ_i G_ac G_db: nothing but the second moment
matrix of the entries of G, one matrix product per batch of particles. A direct solver is used up to
``MOST_DIRECT`` components, conjugate gradients beyond. S = Q Λ Qᵀ turns the basis into principal volumes U Q.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

from cryobench.imaging.grid import FourierVolume, volume_to_fourier
from cryobench.imaging.layout import GridLayout
from cryobench.methods.recovar.whitened import Whitening, small_batches, whitened_products
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import PosedSpectra, subtract_volume
from cryobench.rng import stream

MOST_DIRECT = 100
"""Largest number of components whose system is solved by factorisation (at 100: 5,050 unknowns, 0.2 GB)."""

_RIDGE = 1e-6
OVERSAMPLING = 20
"""Probes beyond the rank of the randomised decomposition."""

_POWER_ROUNDS = 3


def find_subspace(
    columns: Float[np.ndarray, "c v"], n_components: int, seed: int
) -> tuple[Float[Tensor, "k v"], Float[np.ndarray, "k"]]:
    """Orthonormal volumes (k, v) that best span columns (c, v), and their singular values (k,), descending.

    By a randomised range finder with power iterations (Halko, Martinsson & Tropp, SIAM Review 53 (2011) 217,
    algorithms 4.4 and 5.1) on the real volumes of the columns; k is at most c.
    """
    matrix = torch.from_numpy(columns)
    rank = min(n_components, *matrix.shape)
    probes = min(rank + OVERSAMPLING, *matrix.shape)
    test = stream(seed, "randomised SVD").standard_normal((len(matrix), probes)).astype(np.float32)
    basis = torch.linalg.qr(matrix.T @ torch.from_numpy(test)).Q
    for _ in range(_POWER_ROUNDS):
        basis = torch.linalg.qr(matrix.T @ torch.linalg.qr(matrix @ basis).Q).Q
    small = matrix @ basis
    _, values, right = torch.linalg.svd(small, full_matrices=False)
    return (right[:rank] @ basis.T).contiguous(), values[:rank].numpy()


def with_mean_first(basis: Float[Tensor, "k v"], mean: Float[Tensor, "v"]) -> Float[Tensor, "k+1 v"]:
    """Orthonormal volumes (k + 1, v) of which the first is along the mean."""
    stacked = torch.cat([mean[None] / torch.linalg.norm(mean), basis])
    return torch.linalg.qr(stacked.T).Q.T.contiguous()


def project_covariance(
    passes: Passes, mean_ft: FourierVolume, basis_ft: FourierVolume, noise: Float[np.ndarray, "s"]
) -> Float[Tensor, "k k"]:
    """S (k, k) float64, symmetric, possibly indefinite. ``basis_ft`` holds k volumes."""
    sums, _ = passes.run(_sum_moments, mean_ft, basis_ft, noise)
    return solve_moments(sums["moments"], sums["right"])


def _sum_moments(
    spectra: PosedSpectra, mean_ft: FourierVolume, basis_ft: FourierVolume, noise: Float[np.ndarray, "s"]
) -> tuple[Sums, Rows]:
    k, device = basis_ft.n_volumes, spectra.device
    mean_ft, basis_ft = mean_ft.to(device), basis_ft.to(device)
    rows, columns = torch.triu_indices(k, k, device=device)
    moments = torch.zeros(len(rows), len(rows), device=device)
    right = torch.zeros(k, k, dtype=torch.float64, device=device)
    whitening = Whitening(spectra.disc, noise, device)
    for batch in spectra.batches():
        entries, first = torch.empty(len(batch), len(rows), device=device), 0
        for part in small_batches(batch, spectra.disc, k):
            residual = subtract_volume(part, mean_ft, spectra.disc).data
            gram, match = whitened_products(whitening.rows(basis_ft, part), whitening.data(residual))
            entries[first : first + len(part)] = gram[:, rows, columns]
            right += (match.T @ match).double() - gram.double().sum(0)
            first += len(part)
        moments.addmm_(entries.T, entries)
    return {"moments": moments.cpu(), "right": right.cpu()}, {}


def solve_moments(moments: Float[Tensor, "m m"], right: Float[Tensor, "k k"]) -> Float[Tensor, "k k"]:
    """S (k, k) from Σ G_ab G_cd over the pairs a ≤ b (m, m), as upper triangles list them, and Σ (b bᵀ − G)."""
    k = len(right)
    rows, columns = torch.triu_indices(k, k)
    entry = torch.zeros(k, k, dtype=torch.long)
    entry[rows, columns] = entry[columns, rows] = torch.arange(len(rows))
    scale = torch.where(rows == columns, 1.0, 2.0**0.5).double()
    direct = k <= MOST_DIRECT
    system = torch.empty(len(rows), len(rows), dtype=torch.float64 if direct else torch.float32)
    for line in range(len(rows)):
        a, b = rows[line], columns[line]
        both = moments[entry[a, rows], entry[columns, b]] + moments[entry[a, columns], entry[rows, b]]
        system[line] = both.double() * scale[line] * scale / 2
    wanted = right[rows, columns] * scale
    ridge = _RIDGE * float(system.diagonal().double().sum()) / len(system)
    if direct:
        system.diagonal().add_(ridge)
        found = torch.cholesky_solve(wanted[:, None], torch.linalg.cholesky(system))[:, 0]
    else:

        def apply(vector: Float[np.ndarray, "m"]) -> Float[np.ndarray, "m"]:
            return (system @ torch.from_numpy(vector).float()).double().numpy() + ridge * vector

        operator = LinearOperator((len(system),) * 2, apply, dtype=np.float64)  # pyright: ignore[reportCallIssue]
        found = torch.from_numpy(cg(operator, wanted.numpy(), rtol=1e-5, maxiter=500)[0])
    result = torch.zeros(k, k, dtype=torch.float64)
    result[rows, columns] = result[columns, rows] = found / scale
    return result


def principal_volumes(
    basis: Float[Tensor, "k v"], covariance: Float[Tensor, "k k"]
) -> tuple[Float[Tensor, "k v"], Float[np.ndarray, "k"]]:
    """Principal volumes (k, v) and variances (k,), descending; those not positive are set to 1e-6 of the first."""
    values, vectors = torch.linalg.eigh(covariance)
    order = torch.argsort(values, descending=True)
    values = values[order].clamp(min=1e-6 * float(values.max().clamp(min=1e-30)))
    volumes = vectors[:, order].T.float() @ basis
    signs = torch.sign((volumes**3).sum(1))
    return volumes * torch.where(signs == 0, 1.0, signs)[:, None], values.numpy()


def spread_inside(volumes: Float[Tensor, "k v"], mask: Float[Tensor, "z y x"]) -> Float[Tensor, "k z y x"]:
    """Volumes (k, z, y, x) of values (k, v) inside a mask, 0 outside."""
    full = torch.zeros(len(volumes), *mask.shape)
    full[:, mask > 0] = volumes
    return full


def spectra_inside(volumes: Float[Tensor, "k v"], mask: Float[Tensor, "z y x"]) -> FourierVolume:
    """Spectra, ready for slicing, of k volumes of values (k, v) inside a mask, of which one at a time is spread."""
    layout = GridLayout(mask.shape[-1])
    spectra = torch.empty(*layout.shape, len(volumes), dtype=torch.complex64)
    for index in range(len(volumes)):
        spectra[..., index] = volume_to_fourier(spread_inside(volumes[index : index + 1], mask)[0]).values
    return FourierVolume(spectra, layout.box_size)
