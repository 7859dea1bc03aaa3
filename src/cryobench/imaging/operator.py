"""The forward model of a batch of particles as one linear operator: CTF · shift · slice, and its adjoint.

    forward:  y_i(k) = CTF_i(k) · exp(+2πi k·t_i) · V(k R_i)

The pose's shift t *centres* the particle, so the forward model translates the centred projection by −t. Spectra are
half-spectra in native order, as everywhere in ``imaging``. Adjoint in the sense of ``slices``: in the plain real
inner product over stored entries.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex64, Float, Int
from torch import Tensor

from cryobench.fourier import frequency_grid
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.shift import shift_phases
from cryobench.imaging.slices import extract_slices, insert_slices


@dataclass(frozen=True, eq=False)
class ImagingOperator:
    """Imaging of n particles at known poses. Build it with ``from_poses``."""

    rotations: Float[Tensor, "n 3 3"]
    """Particle from reference."""
    transfer: Complex64[Tensor, "n y h"]
    """CTF times the phases of the shift by −t."""
    box_size: int
    """Box size of the images."""
    radius: float | None = None
    """Frequencies beyond it (index units) are left out; by default none below Nyquist."""

    @classmethod
    def from_poses(
        cls,
        rotations: Float[Tensor, "n 3 3"],
        shifts: Float[Tensor, "n 2"],
        ctf: Ctf,
        *,
        box_size: int,
        pixel_size: float,
        radius: float | None = None,
    ) -> "ImagingOperator":
        """Evaluate CTF and shift phases of n particles.

        Parameters
        ----------
        rotations
            (n, 3, 3), particle from reference; on the device of the computation.
        shifts
            (n, 2) in Å, (x, y): the displacement that centres each particle.
        ctf
            Parameters of the n particles.
        box_size, pixel_size
            Box size, and Å per pixel.
        radius
            Largest frequency used, in index units.

        Raises
        ------
        ValueError
            If the numbers of rotations, shifts and CTFs differ.
        """
        if not len(rotations) == len(shifts) == len(ctf):
            raise ValueError(
                f"one rotation, shift and CTF per particle expected, got {len(rotations)}, {len(shifts)} "
                f"and {len(ctf)}."
            )
        frequencies = frequency_grid(box_size, 2, pixel_size=pixel_size, device=rotations.device)
        phases = shift_phases(-shifts.float(), box_size, pixel_size=pixel_size)
        transfer = (evaluate_ctf(ctf, frequencies) * phases).to(torch.complex64)
        return cls(rotations, transfer, box_size, radius)

    def __len__(self) -> int:
        return len(self.rotations)

    def __getitem__(self, indices: slice | np.ndarray | Tensor) -> "ImagingOperator":
        """Operator of some of the particles, in the given order."""
        return ImagingOperator(self.rotations[indices], self.transfer[indices], self.box_size, self.radius)

    def forward(
        self, volume_ft: FourierVolume, *, volume_index: Int[Tensor, "n"] | None = None
    ) -> Complex64[Tensor, "n *k y h"]:
        """Noise-free image spectra (n, y, h), or (n, k, y, h) of K volumes at each pose. Differentiable."""
        slices = extract_slices(volume_ft, self.rotations, radius=self.radius, volume_index=volume_index)
        return slices * (self.transfer if slices.ndim == 3 else self.transfer[:, None])

    def adjoint(
        self,
        spectra: Complex64[Tensor, "n *k y h"],
        like: FourierVolume,
        *,
        volume_index: Int[Tensor, "n"] | None = None,
    ) -> FourierVolume:
        """Back-projection onto a grid ``like`` the given one: the exact adjoint of ``forward``. Differentiable."""
        conjugate = self.transfer.conj()
        return insert_slices(
            spectra * (conjugate if spectra.ndim == 3 else conjugate[:, None]),
            self.rotations,
            box_size=self.box_size,
            kernel=like.kernel,
            padding=like.padding,
            radius=self.radius,
            n_volumes=None if volume_index is None else like.n_volumes,
            volume_index=volume_index,
        )

    def normal(self, volume_ft: FourierVolume, *, volume_index: Int[Tensor, "n"] | None = None) -> FourierVolume:
        """``adjoint(forward(volume_ft))``, as needed in iterative reconstruction."""
        spectra = self.forward(volume_ft, volume_index=volume_index)
        return self.adjoint(spectra, volume_ft, volume_index=volume_index)

    def backprojected(
        self, spectra: Complex64[Tensor, "n y h"]
    ) -> tuple[Complex64[Tensor, "n y h"], Float[Tensor, "n y h"]]:
        """Numerator CTF · centred data and weight CTF², ready for ``SliceAccumulator.add``."""
        return spectra * self.transfer.conj(), self.transfer.real**2 + self.transfer.imag**2
