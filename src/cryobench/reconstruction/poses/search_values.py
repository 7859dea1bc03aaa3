"""Values of a search for poses: images as it compares them, orientations under consideration, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Compared(Protocol):
    """Images on a half-disc, without poses: ``images.Spectra``, or those that networks compare."""

    @property
    def indices(self) -> np.ndarray:
        """(b,) which particles."""
        ...

    @property
    def data(self) -> Tensor:
        """(b, p) complex64."""
        ...

    @property
    def ctf(self) -> Tensor:
        """(b, p) float32."""
        ...


@dataclass(frozen=True)
class Nodes:
    """A list of orientations under consideration, of images in ascending order."""

    images: np.ndarray
    """(n,) positions in the batch."""
    volumes: np.ndarray
    """(n,)."""
    pixels: np.ndarray
    """(n,) of the level's grid."""
    angles: np.ndarray
    """(n,) of the level's grid."""
    shifts: np.ndarray
    """(n, 2) px, the best found."""
    scores: np.ndarray
    """(n,) at that shift."""

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: np.ndarray) -> Nodes:
        """Some of them."""
        return Nodes(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Matched:
    """Images as a search compares them: weighed by CTF and noise."""

    indices: np.ndarray
    """(b,) which particles."""
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

    def select(self, rows: np.ndarray) -> Matched:
        """Images at some positions."""
        chosen = torch.from_numpy(rows).to(self.data.device)
        return Matched(self.indices[rows], self.data[chosen], self.weights[chosen])

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Leaves:
    """The last level of a search, with the score of every shift."""

    images: Matched
    """The images (b,) that the nodes are of."""
    nodes: Nodes
    """At least one of each image, with the best shift of each."""
    rotations: np.ndarray
    """(n, 3, 3)."""
    centres: np.ndarray
    """(n, 2) px about which shifts were searched."""
    scores: Tensor
    """(n, t, t) of every shift about its centre, along x and along y."""
    slices: Tensor
    """(n, p) predicted, without CTF."""


@dataclass(frozen=True)
class FoundPoses:
    """The best pose of each image."""

    rotations: np.ndarray
    """(b, 3, 3), particle from reference."""
    shifts: np.ndarray
    """(b, 2) px that centre the particle."""
    volumes: np.ndarray
    """(b,) which volume."""
    scores: np.ndarray
    """(b,) log-likelihood minus that of noise alone."""


def join_nodes(parts: Sequence[Nodes]) -> Nodes:
    """Nodes of several lists, one after the other."""
    return Nodes(*(np.concatenate([getattr(part, name) for part in parts]) for name in Nodes.__dataclass_fields__))
