"""Slices of a coordinate network for a pose search, each image at its own latent."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryobench.imaging.half_disc import HalfDisc
from cryobench.reconstruction.networks import CoordinateNetwork, SliceEncoder, evaluate_slices, evaluate_spectrum


class NetworkSlices:
    """Slices of the volumes that a network gives for latents.

    The zero frequency, which the loss does not see, is zero.

    Parameters
    ----------
    network
        In its current state; float32.
    disc
        Half-disc of the packed images.
    indices
        (b,) particles.
    latents
        (b, k) their latents.
    """

    n_volumes = 1

    def __init__(
        self,
        network: CoordinateNetwork,
        disc: HalfDisc,
        indices: Int[np.ndarray, " b"],
        latents: Float[Tensor, "b k"],
    ) -> None:
        self._network, self._disc = network, disc
        self._order = np.argsort(indices)
        self._indices, self._latents = indices[self._order], latents.detach()

    def own(
        self,
        images: Int[np.ndarray, " n"],
        volumes: Int[np.ndarray, " n"],
        rotations: Float[Tensor, "n 3 3"],
        radius: int,
    ) -> Complex[Tensor, "n p"]:
        """Slices (n, p); there is one volume only."""
        encoder = SliceEncoder(self._network.frequencies, self._disc, self._disc.count(radius))
        found = evaluate_slices(self._network, encoder, rotations, self._latents_of(images))
        return torch.nn.functional.pad(torch.view_as_complex(found), (1, 0))

    def at(self, images: Int[np.ndarray, " b"], points: Float[Tensor, "p 3"]) -> Complex[Tensor, "b p"]:
        """Spectra (b, p) at points."""
        parts = evaluate_spectrum(self._network, points, self._latents_of(images))
        return torch.cat([torch.view_as_complex(found) for _, found in parts], dim=1)

    def _latents_of(self, images: Int[np.ndarray, " n"]) -> Float[Tensor, "n k"]:
        rows = self._order[np.searchsorted(self._indices, images)]
        return self._latents[torch.from_numpy(rows).to(self._latents.device)]
