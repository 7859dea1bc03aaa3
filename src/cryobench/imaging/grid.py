"""Volumes prepared for slicing (``FourierVolume``), and volumes from inserted slices.

    volume --- / φ̂, zero-pad, FFT, copy borders ---> FourierVolume --- extract_slices ---> slices
    slices --- insert, friedel_symmetrise, / weight ---> FourierVolume --- FFT⁻¹, crop, / φ̂ ---> volume

Both directions divide by the interpolation kernel's transform φ̂: the first because extraction multiplies by it,
the second because insertion and division by the inserted weight do. So ``fourier_to_volume`` is the gridding
estimate from slices, *not* the algebraic inverse of ``volume_to_fourier``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex64, Float, Float32, Int
from torch import Tensor

from cryobench.fourier import fft_volume, ifft_volume
from cryobench.imaging.interpolation import Kernel, kernel_transform
from cryobench.imaging.layout import GridLayout, fill, fold, read


@dataclass(frozen=True, eq=False)
class FourierVolume:
    """Spectrum of one or K volumes on the bordered half-grid described in ``imaging.layout``.

    Raises
    ------
    ValueError
        If ``values`` does not have the grid's shape.
    """

    values: Complex64[Tensor, "z y x *k"] | Float32[Tensor, "z y x *k"]
    """(z, y, x) for one volume, (z, y, x, k) for K, interleaved per voxel. Real for accumulated weights."""
    box_size: int
    """Box size of the volume, before padding."""
    padding: int = 1
    """The volume was zero-padded to ``padding * box_size`` voxels."""
    kernel: Kernel = "trilinear"
    """Interpolation kernel for which the values are prepared."""

    def __post_init__(self) -> None:
        if tuple(self.values.shape[:3]) != self.layout.shape or self.values.ndim not in (3, 4):
            raise ValueError(
                f"the grid of a box of {self.box_size} with padding {self.padding} and the {self.kernel} kernel "
                f"has shape {self.layout.shape}, for several volumes followed by their number; "
                f"got {tuple(self.values.shape)}."
            )

    @property
    def layout(self) -> GridLayout:
        """Position of each frequency in memory."""
        return GridLayout(self.box_size, self.padding, self.kernel)

    @property
    def is_stack(self) -> bool:
        """Whether there is an axis of volumes, even of length one."""
        return self.values.ndim == 4

    @property
    def n_volumes(self) -> int:
        """Number of volumes, 1 without an axis of volumes."""
        return self.values.shape[3] if self.is_stack else 1

    def to(self, device: torch.device | str) -> "FourierVolume":
        """Copy on another device."""
        return replace(self, values=self.values.to(device))

    def with_values(self, values: Tensor) -> "FourierVolume":
        """Copy with other values on the same grid."""
        return replace(self, values=values)

    def __getitem__(self, index: int | slice) -> "FourierVolume":
        """One volume of a stack, or some of them."""
        if not self.is_stack:
            raise TypeError("this FourierVolume holds a single volume without an axis to index.")
        return replace(self, values=self.values[..., index].contiguous())

    def radii(self) -> Float[Tensor, "z y x"]:
        """Radius |k| of every stored entry, in index units of the unpadded box."""
        full, along_x = (torch.as_tensor(axis, device=self.values.device) for axis in self.layout.frequencies)
        squared = full[:, None, None] ** 2 + full[:, None] ** 2 + along_x**2
        return squared.double().sqrt().float() / self.padding

    def shell_indices(self) -> Int[Tensor, "z y x"]:
        """Shell (|k| rounded, as ``fourier.shell_indices``) of every stored entry."""
        return (self.radii() + 0.5).floor().long()

    def multiplicities(self) -> Float[Tensor, "z y x"]:
        """Number of occurrences of each stored entry in the full spectrum: 2, 1 on the x = 0 plane, 0 for copies.

        ``(multiplicities() * |values|²).sum()`` is the power of the full padded spectrum within the stored
        band, and sums over shells follow in the same way.
        """
        size = self.layout.padded_size
        full, along_x = (torch.as_tensor(axis, device=self.values.device) for axis in self.layout.frequencies)
        once = ((full >= -(size // 2)) & (full < (size + 1) // 2)).float()
        counts = torch.where((along_x == 0) | (2 * along_x == size), 1.0, 2.0)
        counts[(along_x < 0) | (along_x > size // 2)] = 0.0
        return once[:, None, None] * once[:, None] * counts

    def shell_sums(self, values: Tensor) -> Float[Tensor, "s *k"]:
        """Sums over the full spectrum, shell by shell, of real values on this grid, in float64.

        Parameters
        ----------
        values
            (z, y, x) or (z, y, x, k).

        Returns
        -------
        (n // 2 + 1,) or (n // 2 + 1, k); entries in shells beyond n // 2 are left out.
        """
        return next(self.sum_shells([values]))

    def sum_shells(self, arrays: Iterable[Tensor]) -> Iterator[Tensor]:
        """``shell_sums`` of several arrays on this grid in turn, with one look-up of their shells."""
        last = self.box_size // 2
        shells = self.shell_indices().flatten().clamp(max=last + 1)
        multiplicities = self.multiplicities()
        for values in arrays:
            counted = values.double() * multiplicities.reshape(*self.layout.shape, *[1] * (values.ndim - 3))
            totals = torch.zeros(last + 2, *values.shape[3:], dtype=torch.float64, device=values.device)
            yield totals.index_add_(0, shells, counted.flatten(0, 2))[:-1]

    def shell_means(self) -> Float[Tensor, "s *k"]:
        """Means of the volume's own values, which are real, over each shell of the full spectrum."""
        ones = torch.ones(self.layout.shape, device=self.values.device)
        sums, counts = self.sum_shells([self.values, ones])
        return sums / counts.clamp(min=1).reshape(-1, *[1] * (sums.ndim - 1))

    def spread_shells(self, per_shell: Float[Tensor, "s *k"]) -> Float[Tensor, "z y x *k"]:
        """Values (s,) or (s, k) of shells at every entry of this grid, float32; beyond the last shell, its value."""
        return per_shell[self.shell_indices().clamp(max=len(per_shell) - 1)].float()


def volume_to_fourier(
    volumes: Float[Tensor, "*k z y x"], *, kernel: Kernel = "trilinear", padding: int = 1
) -> FourierVolume:
    """Prepare one volume (z, y, x), or K of them (k, z, y, x), for ``extract_slices``.

    Parameters
    ----------
    volumes
        Centred on ``n // 2``, even or odd size, converted to float32.
    kernel
        ``"wide"`` for simulation, ``"trilinear"`` for reconstruction: see ``imaging.interpolation``.
    padding
        Zero-pad to ``padding`` times the box: less interpolation error, ``padding``³ times the memory.

    Returns
    -------
    Values are those of the unnormalised transform (sums over voxels), phase origin at the centre voxel, divided
    by the kernel's transform in real space.

    Raises
    ------
    ValueError
        If the volumes are not cubes, the kernel is unknown, or ``padding`` is below 1.
    """
    size = volumes.shape[-1]
    if volumes.ndim not in (3, 4) or tuple(volumes.shape[-3:]) != (size,) * 3:
        raise ValueError(f"expected cubes of shape (z, y, x) or (k, z, y, x), got {tuple(volumes.shape)}.")
    layout = GridLayout(size, padding, kernel)
    grid = _grid_transform(layout, volumes.device)
    before = layout.padded_size // 2 - size // 2
    after = layout.padded_size - size - before

    def transform(volume: Tensor) -> Tensor:
        return fill(fft_volume(torch.nn.functional.pad(volume.float() / grid, (before, after) * 3)), layout)

    if volumes.ndim == 3:
        values = transform(volumes)
    else:  # one by one in place: a stack of all would take the memory twice
        values = torch.empty(*layout.shape, len(volumes), dtype=torch.complex64, device=volumes.device)
        for index, volume in enumerate(volumes):
            values[..., index] = transform(volume)
    return FourierVolume(values.contiguous(), size, padding, kernel)


def fourier_to_volume(volume_ft: FourierVolume) -> Float[Tensor, "*k z y x"]:
    """Volume (z, y, x), or (k, z, y, x) for K, from a normalised sum of slices F / (W + 1/τ²).

    Transforms back, crops the padding and divides by the kernel's transform (gridding correction). Entries of
    the spectrum beyond the largest slice radius are zero. Only the Hermitian part of the x = 0 plane counts.
    """
    layout = volume_ft.layout
    size = layout.box_size
    start = layout.padded_size // 2 - size // 2
    crop = slice(start, start + size)
    values = volume_ft.values
    stacked = values if volume_ft.is_stack else values[..., None]
    volumes = [
        ifft_volume(read(stacked[..., index], layout), layout.padded_size)[crop, crop, crop]
        for index in range(stacked.shape[-1])
    ]
    grid = _grid_transform(layout, values.device)
    return torch.stack(volumes) / grid if volume_ft.is_stack else volumes[0] / grid


def friedel_symmetrise(volume_ft: FourierVolume) -> FourierVolume:
    """Turn a sum of inserted *half*-slices into the sum of the full slices, on every stored entry.

    Every point of the full slice is a point of the half-slice or the Friedel mate of one, so F(g) = H(g) +
    conj H(−g), including copies in the border and across the period. For that the half-slices' x = 0 column,
    which holds both mates, must have been inserted with weight ½. Linear, so applying it once
    after the last batch is enough; not idempotent. ``SliceAccumulator`` does both steps.
    """
    layout, values = volume_ft.layout, volume_ft.values
    if not volume_ft.is_stack:
        return volume_ft.with_values(fill(fold(values, layout), layout))
    symmetric = torch.empty_like(values, memory_format=torch.contiguous_format)
    for index in range(volume_ft.n_volumes):
        symmetric[..., index] = fill(fold(values[..., index], layout), layout)
    return volume_ft.with_values(symmetric)


def gridding_correction(box_size: int) -> Float[Tensor, "z y x"]:
    """φ̂ of the trilinear kernel on the voxels of an unpadded box: volumes from inserted slices are divided by it."""
    return _grid_transform(GridLayout(box_size), torch.device("cpu"))


def _grid_transform(layout: GridLayout, device: torch.device) -> Tensor:
    """The kernel's transform on the voxels of the unpadded box."""
    axis = torch.as_tensor(kernel_transform(layout.kernel, layout.box_size, layout.padding))
    grid = axis[:, None, None] * axis[:, None] * axis
    return grid.float().to(device)
