"""Values of a pose search: images as it compares them, candidate orientations, and found poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Complex, Float, Int, Shaped
from torch import Tensor


@runtime_checkable
class Compared(Protocol):
    """Images on a half-disc, without poses: ``images.Spectra``, or those that networks compare."""

    @property
    def indices(self) -> Int[np.ndarray, " b"]:
        """(b,) indices of the particles."""
        ...

    @property
    def data(self) -> Complex[Tensor, "b p"]:
        """(b, p) complex64."""
        ...

    @property
    def ctf(self) -> Float[Tensor, "b p"]:
        """(b, p) float32."""
        ...


@dataclass(frozen=True)
class Nodes:
    """List of candidate orientations, of images in ascending order."""

    images: np.ndarray
    """(n,) positions in the batch."""
    volumes: np.ndarray
    """(n,) index of the volume."""
    pixels: np.ndarray
    """(n,) HEALPix pixel on the level's grid."""
    angles: np.ndarray
    """(n,) in-plane index on the level's grid."""
    shifts: np.ndarray
    """(n, 2) px, the best shift found."""
    scores: np.ndarray
    """(n,) score at that shift."""

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: Shaped[np.ndarray, " r"]) -> Nodes:
        """Nodes at some positions."""
        return Nodes(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Matched:
    """Images as a search compares them: weighted by CTF and noise."""

    indices: np.ndarray
    """(b,) indices of the particles."""
    data: Tensor
    """(b, p) complex64, 2 w c y / σ²."""
    weights: Tensor
    """(b, p) w c² / σ²."""

    def cut(self, count: int) -> Matched:
        """The first entries."""
        return replace(self, data=self.data[:, :count].contiguous(), weights=self.weights[:, :count].contiguous())

    def tile(self, first: int, last: int) -> Matched:
        """Some images."""
        return Matched(self.indices[first:last], self.data[first:last], self.weights[first:last])

    def select(self, rows: Shaped[np.ndarray, " r"]) -> Matched:
        """Images at some positions."""
        chosen = torch.from_numpy(rows).to(self.data.device)
        return Matched(self.indices[rows], self.data[chosen], self.weights[chosen])

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Leaves:
    """The last level of a search, with the score of every shift."""

    images: Matched
    """Images (b,) of the nodes."""
    nodes: Nodes
    """At least one per image, with the best shift of each."""
    rotations: np.ndarray
    """(n, 3, 3)."""
    centres: np.ndarray
    """(n, 2) px, centres of the searched shifts."""
    scores: Tensor
    """(n, t, t) score of every shift about its centre, along x and along y."""
    slices: Tensor
    """(n, p) predicted slices, without CTF."""


@dataclass(frozen=True)
class FoundPoses:
    """The best pose of each image."""

    rotations: np.ndarray
    """(b, 3, 3), particle from reference."""
    shifts: np.ndarray
    """(b, 2) px, shift that centres the particle."""
    volumes: np.ndarray
    """(b,) index of the volume."""
    scores: np.ndarray
    """(b,) log-likelihood minus that of noise alone."""


def join_nodes(parts: Sequence[Nodes]) -> Nodes:
    """Nodes of several lists, one after the other."""
    return Nodes(*(np.concatenate([getattr(part, name) for part in parts]) for name in Nodes.__dataclass_fields__))
