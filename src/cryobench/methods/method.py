"""What a method is: settings in, a reconstruction out. It sees particles, never the truth."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict

from cryobench._progress import Progress
from cryobench.data import Particles, Reconstruction


@runtime_checkable
class Workers(Protocol):
    """What is asked of a ``dask.distributed.Client``; importing that takes longer than a small run."""

    def submit(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """A future of ``func(*args)``."""
        ...

    def scatter(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Futures of data sent to workers."""
        ...

    def gather(self, futures: Any, *args: Any, **kwargs: Any) -> Any:
        """Results of futures."""
        ...

    def scheduler_info(self, *args: Any, **kwargs: Any) -> Any:
        """Which workers there are."""
        ...


class MethodSettings(BaseModel):
    """Settings of a method: frozen, no unknown names. Every field says its unit, default and where that is from."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Method(ABC):
    """A reconstruction method. The class docstring's first line is what ``cryobench list`` shows."""

    name: ClassVar[str]
    poses: ClassVar[Literal["given", "estimated"]]
    """Whether it takes the poses as they are given or finds its own."""
    spreads: ClassVar[bool] = False
    """Whether it can spread its particles over the workers of a Dask client."""
    Settings: ClassVar[type[MethodSettings]] = MethodSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        self.settings = settings if settings is not None else self.Settings()

    @abstractmethod
    def reconstruct(
        self,
        particles: Particles,
        *,
        queries: np.ndarray,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        workers: Workers | None = None,
    ) -> Reconstruction:
        """Estimate what varies, and the volume of each query particle.

        Parameters
        ----------
        particles
            All that is known.
        queries
            (q,) particles whose volumes are asked for.
        seed
            Of every random choice: same seed, same result (on the CPU to the bit).
        device
            "cpu" or "cuda".
        progress
            Shows how far it is.
        checkpoint
            Folder in which work may be kept, so that the same call after an interruption goes on from there.
        workers
            Dask client over whose workers the particles are spread, if the method ``spreads``; None: this process.

        Raises
        ------
        ValueError
            If the particles lack what the method needs, or a setting does not fit them.
        """

    def decode(self, model: Path, latents: np.ndarray, *, particles: Particles | None = None) -> Iterator[np.ndarray]:
        """Volumes (z, y, x) at latents (m, d), one at a time, from the model a finished run left in a folder.

        Parameters
        ----------
        model
            RUN/model of a finished run.
        latents
            (m, d), or class probabilities (m, k).
        particles
            Those the run was made from. Images are read when asked for, so handing them over costs nothing; most
            methods have no use for them.

        Raises
        ------
        ValueError
            If this method has nothing to decode from, the latents have another width, or it decodes from the
            images and was given none.
        """
        raise ValueError(
            f"{self.name} has no generative model to decode from: its query volumes are all there is ({model})."
        )


def require_poses(particles: Particles, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and shifts of the particles. ValueError if they are withheld."""
    if particles.rotations is None or particles.shifts is None:
        raise ValueError(
            f"{method} works at given poses, and these particles come without: choose an ab initio method."
        )
    return particles.rotations, particles.shifts
