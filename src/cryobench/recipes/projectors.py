"""Where the projections come from: slices of a state's volume, or the atoms themselves.

Many images of one state are cheapest as slices of its volume, one image of each of many states as projections of
their atoms. Both give the same half-spectra, band-limited to the disc of radius (n − 1) // 2, in the unit of the
truth volumes (a projection is the sum over z of a volume's voxels); a test holds them together.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from cryobench._types import ImagesFT, Rotations
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.solvent import make_layers
from cryobench.fourier import fft_images, fourier_crop, frequency_grid
from cryobench.imaging.atoms_projection import project_atoms
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.slices import extract_slices
from cryobench.recipes.settings import SimulationSettings


@runtime_checkable
class Projector(Protocol):
    """Projections of the states it knows."""

    def project(self, states: np.ndarray, rotations: Rotations) -> ImagesFT:
        """Half-spectra (n, y, h) of the centred projection of ``states[i]`` at ``rotations[i]``."""
        ...


class SliceProjector:
    """Slices of one volume, whatever state is asked for. The volume's transform must be made for the wide kernel."""

    def __init__(self, volume_ft: FourierVolume) -> None:
        self._volume_ft = volume_ft

    def project(self, states: np.ndarray, rotations: Rotations) -> ImagesFT:
        return extract_slices(self._volume_ft, rotations)


class AtomProjector:
    """Projections of the atoms of consecutive states from ``first_state`` on.

    Parameters
    ----------
    models
        One model per state; or one model alone, with ``positions`` (states, a, 3) in Å of its atoms in each state.
    """

    def __init__(
        self,
        settings: SimulationSettings,
        models: Sequence[AtomicModel],
        *,
        first_state: int = 0,
        positions: np.ndarray | None = None,
    ) -> None:
        self._settings = settings
        self._first_state = first_state
        self._positions = [model.positions for model in models] if positions is None else positions
        layers = [make_layers(model, settings.resolution, settings.solvent_density) for model in models]
        self._layers = layers if positions is None else layers * len(positions)

    def project(self, states: np.ndarray, rotations: Rotations) -> ImagesFT:
        settings = self._settings
        spectra = [
            self._project_one(int(state) - self._first_state, rotations[row : row + 1])
            for row, state in enumerate(states)
        ]
        if not spectra:
            return torch.zeros((0, settings.box_size, settings.box_size // 2 + 1), dtype=torch.complex64)
        return torch.cat(spectra)

    def _project_one(self, state: int, rotation: Rotations) -> ImagesFT:
        settings = self._settings
        fine = sum(
            project_atoms(
                self._positions[state],
                layer.weights,
                rotation,
                settings.fine_box_size,
                settings.fine_pixel_size,
                layer.resolution,
            )
            for layer in self._layers[state]
        )
        # project_atoms integrates along z; a sum over voxels of the images' size is that divided by their size.
        images = fourier_crop(torch.as_tensor(fine), settings.box_size, dimensions=2) / settings.pixel_size
        return fft_images(images) * _disc(settings.box_size)


def _disc(box_size: int) -> torch.Tensor:
    radius = frequency_grid(box_size, 2).norm(dim=-1) * box_size
    return (radius <= (box_size - 1) // 2 + 1e-3).float()
