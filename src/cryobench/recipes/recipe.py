"""What a recipe is: a published data set as data, to be carried out by ``simulate``.

A recipe gives an *ensemble*: the atomic model of every state, how many images each has, and the truth about it.
Everything else (imaging, noise, files) is the same for all recipes and lives in ``simulate``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from cryobench.atoms.model import AtomicModel
from cryobench.data import CollectiveVariable, Components


class SimulationSettings(BaseModel):
    """Every knob of the imaging, with its unit. Recipes add the knobs of their ensemble."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    box_size: int = Field(128, ge=8, le=1024, description="side of the images, px")
    pixel_size: float = Field(3.0, gt=0, description="Å per pixel of the images")
    oversampling: int = Field(
        2, ge=1, le=8, description="atoms are rendered on a grid this much finer, then Fourier-cropped"
    )
    resolution: float = Field(3.0, gt=0, description="of the density in Å, as ChimeraX's molmap defines it")
    snr: float = Field(0.1, gt=0, description="variance of the noise-free images / variance of the noise")
    snr_pixel_size: float | None = Field(
        None, gt=0, description="Å per pixel at which the SNR is defined; default: that of the images"
    )
    n_queries: int = Field(100, ge=1, description="query particles, evenly spaced over the stack")
    shift_extent: float = Field(30.0, ge=0, description="shifts are uniform in ± this many Å along x and y")
    defocus_mean: float = Field(14_000.0, description="mean of the defocus in Å; positive is underfocus")
    defocus_deviation: float = Field(4_000.0, ge=0, description="standard deviation of the defocus in Å")
    defocus_min: float = Field(5_000.0, description="defocus is drawn again below this, Å")
    defocus_max: float = Field(25_000.0, description="defocus is drawn again above this, Å")
    astigmatism: float = Field(400.0, ge=0, description="mean of |defocus U − V| (half-normal) in Å")
    voltage_kv: float = Field(300.0, gt=0, description="acceleration voltage, kV")
    cs_mm: float = Field(2.7, description="spherical aberration, mm")
    amplitude_contrast: float = Field(0.1, ge=0, le=1, description="fraction of amplitude contrast")
    b_factor: float = Field(100.0, ge=0, description="envelope exp(−B s² / 4) of the images, Å²")

    @field_validator("snr_pixel_size")
    @classmethod
    def _check_finer(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and value > info.data.get("pixel_size", value):
            raise ValueError(f"it must not exceed the images' pixel_size, {info.data['pixel_size']} Å")
        return value


class Ensemble(ABC):
    """The states of a recipe. Must be picklable: states are made in worker processes."""

    @property
    @abstractmethod
    def counts(self) -> np.ndarray:
        """(states,) images of each state."""

    @abstractmethod
    def model(self, state: int) -> AtomicModel:
        """Atoms of one state, placed as they are to be imaged: the origin is the centre of the box."""

    @property
    def variables(self) -> Mapping[str, CollectiveVariable]:
        """Collective variables with one value per *state*."""
        return {}

    @property
    def embedding(self) -> np.ndarray | None:
        """(states, d) coordinates in which distance means difference in conformation, or None."""
        return None

    @property
    def state_names(self) -> Sequence[str] | None:
        """What each state is called, such as a PDB entry; unique. None: they have numbers only."""
        return None

    @property
    def components(self) -> Components | None:
        """Which parts are present in each state, if that is what states differ in."""
        return None


class FrameEnsemble(Ensemble):
    """One structure per state, so many that their truth is kept as a trajectory and volumes are made on demand."""

    @property
    @abstractmethod
    def topology(self) -> AtomicModel:
        """Names and elements of the atoms of every frame."""

    @abstractmethod
    def positions(self, start: int, stop: int) -> np.ndarray:
        """Frames ``start`` to ``stop``: (m, atoms, 3) float64 in Å, placed as they are to be imaged.

        A frame depends on its own number alone, not on which others are asked for with it.
        """

    def model(self, state: int) -> AtomicModel:
        return self.topology.with_positions(self.positions(state, state + 1)[0])


@dataclass(frozen=True)
class Recipe:
    """A published data set.

    ``presets`` map a size ("tiny", "lite", "paper") to the settings that differ from the defaults of
    ``settings``. ``ensemble`` builds the states from the settings and the structure files given by the user
    (none: the embedded default).
    """

    name: str
    title: str
    description: str
    heterogeneity: str
    citation: str
    sources: str
    settings: type[SimulationSettings]
    presets: Mapping[str, Mapping[str, object]]
    ensemble: Callable[[SimulationSettings, Sequence[Path]], Ensemble] = field(repr=False)
    version: int = 1
