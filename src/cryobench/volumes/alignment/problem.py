"""Alignment problem: volumes and their references, within masks.

In the search each volume is masked by its own envelope. These differ slightly between a volume and its reference,
which biases the result by tenths of a degree; so for the last refinement and the score both are masked by one mask,
transformed from one frame to the other: the union of both envelopes, or the mask given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cryobench._types import Volume
from cryobench.fourier import fourier_crop
from cryobench.volumes.alignment.checks import AnyVolume, check_mask, check_volume, choose_band
from cryobench.volumes.alignment.envelope import carry
from cryobench.volumes.alignment.objective import Objective, make_objective
from cryobench.volumes.alignment.refine import Candidate
from cryobench.volumes.alignment.search import choose_bands
from cryobench.volumes.alignment.spectrum import Lattice, Prepared, make_lattice, make_spectrum, prepare_volume


@dataclass(frozen=True, eq=False)
class Problem:
    """Pairs of a volume and its reference, of one box, to be aligned by one transform.

    ``mask`` (z, y, x), in the references' frame, is on the grid of the prepared volumes; None for envelopes.
    """

    pairs: list[tuple[Prepared, Prepared]]
    mask: Volume | None
    lattice: Lattice

    @property
    def box_size(self) -> int:
        """Voxels per axis of the given volumes."""
        return self.pairs[0][0].box_size

    def make_search_objective(self) -> Objective:
        """Objective for a global search: every volume within its own envelope, references within the mask."""
        spectra = []
        for volume, reference in self.pairs:
            mask = reference.spread_envelope() if self.mask is None else self.mask
            spectra.append((make_spectrum(volume, volume.spread_envelope()), make_spectrum(reference, mask)))
        return make_objective(spectra, self.lattice)

    def make_final_objective(self, candidate: Candidate) -> Objective:
        """Objective near a candidate: both volumes of a pair within one mask."""
        forth = candidate.matrix, candidate.shift
        back = candidate.matrix.T, -candidate.matrix.T @ candidate.shift
        spectra = []
        for volume, reference in self.pairs:
            size = volume.values.shape[-1]
            if self.mask is None:
                own, other = volume.envelope.values, reference.envelope.values
                for_volume = torch.maximum(volume.spread_envelope(), carry(other, size, *back))
                for_reference = torch.maximum(reference.spread_envelope(), carry(own, size, *forth))
            else:
                for_volume, for_reference = carry(self.mask, size, *back), self.mask
            spectra.append((make_spectrum(volume, for_volume), make_spectrum(reference, for_reference)))
        return make_objective(spectra, self.lattice)


def pose_problem(
    volumes: Sequence[AnyVolume],
    references: Sequence[AnyVolume],
    pixel_size: float,
    mask: AnyVolume | None,
    resolution: float | None,
) -> Problem:
    """Problem of one transform for all pairs. ValueError if volumes cannot be aligned: see ``modes.align``."""
    moving = [check_volume("the volume", volume) for volume in volumes]
    still = [check_volume("the reference", reference) for reference in references]
    sizes = [volume.shape[-1] for volume in (*moving, *still)]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"volumes and references must have one box size: the volume has {sizes[0]} voxels an axis, another "
            f"{next(size for size in sizes if size != sizes[0])}. Resample one (fourier_crop, fourier_pad)."
        )
    band = choose_band(sizes[0], pixel_size, resolution)
    pairs = [
        (prepare_volume(volume, band), prepare_volume(reference, band))
        for volume, reference in zip(moving, still, strict=True)
    ]
    coarse = None if mask is None else fourier_crop(check_mask(mask, sizes[0]), len(pairs[0][0].values), dimensions=3)
    return Problem(pairs, coarse, make_lattice(choose_bands(band)))
