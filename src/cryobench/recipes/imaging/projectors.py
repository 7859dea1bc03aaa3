"""Sources of projections: slices of a state's volume, or the atoms themselves.

Many images of one state are cheapest as slices of its volume, one image each of many states as projections of
their atoms. Both give the same half-spectra, band-limited to the disc of radius (n − 1) // 2, in the unit of the
truth volumes (a projection is the sum over z of a volume's voxels), which a test verifies.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int

from cryobench._types import ImagesFT, Rotations
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.solvent import Layer, make_layers
from cryobench.fourier import fft_images, fourier_crop, frequency_grid
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.real_space.atoms import project_atoms
from cryobench.imaging.slices import extract_slices
from cryobench.recipes.settings import SimulationSettings

_BATCH = 16


class SliceProjector:
    """Slices of one volume, whatever the state. The volume must be transformed for the wide kernel.

    ``project`` of this and the other projectors gives half-spectra (n, y, h): the centred projection of ``states[i]``
    at ``rotations[i]``.
    """

    def __init__(self, volume_ft: FourierVolume) -> None:
        self._volume_ft = volume_ft

    def project(self, states: Int[np.ndarray, "n"], rotations: Rotations) -> ImagesFT:
        return extract_slices(self._volume_ft, rotations)


class AtomProjector:
    """Projections of the atoms of consecutive states, one model each, from ``first_state`` on."""

    def __init__(self, settings: SimulationSettings, models: Sequence[AtomicModel], *, first_state: int = 0) -> None:
        self._settings = settings
        self._models = models
        self._first_state = first_state

    def project(self, states: Int[np.ndarray, "n"], rotations: Rotations) -> ImagesFT:
        spectra = _empty(len(states), self._settings.box_size)
        for state in np.unique(states):
            rows = np.flatnonzero(states == state)
            model = self._models[int(state) - self._first_state]
            layers = make_layers(model, self._settings.resolution, self._settings.solvent_density)
            for some in _batches(rows):
                spectra[some] = _project(self._settings, model.positions, layers, rotations[some])
        return spectra


class FrameProjector:
    """Projections of consecutive frames, in Å, of one topology, from ``first_state`` on."""

    def __init__(
        self,
        settings: SimulationSettings,
        topology: AtomicModel,
        positions: Float[np.ndarray, "m a 3"],
        *,
        first_state: int = 0,
    ) -> None:
        self._settings = settings
        self._layers = make_layers(topology, settings.resolution, settings.solvent_density)
        self._positions = positions
        self._first_state = first_state

    def project(self, states: Int[np.ndarray, "n"], rotations: Rotations) -> ImagesFT:
        spectra = _empty(len(states), self._settings.box_size)
        for some in _batches(np.arange(len(states))):
            frames = self._positions[states[some] - self._first_state]
            spectra[some] = _project(self._settings, frames, self._layers, rotations[some])
        return spectra


Projector: TypeAlias = SliceProjector | AtomProjector | FrameProjector
"""Source of projections of its states."""


def _project(
    settings: SimulationSettings,
    positions: Float[np.ndarray, "*m a 3"],
    layers: Sequence[Layer],
    rotations: Rotations,
) -> ImagesFT:
    """Spectra of atoms in one conformation, or with another one in each image."""
    fine = torch.zeros(len(rotations), settings.fine_box_size, settings.fine_box_size)
    for layer in layers:
        fine += project_atoms(
            positions,
            layer.weights,
            rotations,
            settings.fine_box_size,
            settings.fine_pixel_size,
            layer.resolution,
        )
    # project_atoms integrates along z; the sum over voxels is that divided by the voxel size.
    images = fourier_crop(fine, settings.box_size, dimensions=2) / settings.pixel_size
    return fft_images(images) * _disc(settings.box_size)


def _batches(rows: Int[np.ndarray, "n"]) -> list[Int[np.ndarray, "_"]]:
    """Batches of rows, small enough for the fine grid to stay in cache."""
    return [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]


def _empty(n: int, box_size: int) -> ImagesFT:
    return torch.zeros((n, box_size, box_size // 2 + 1), dtype=torch.complex64)


@lru_cache(maxsize=2)
def _disc(box_size: int) -> Float[torch.Tensor, "y h"]:
    radius = frequency_grid(box_size, 2).norm(dim=-1) * box_size
    return (radius <= (box_size - 1) // 2 + 1e-3).float()
