"""Base class of methods: from settings and particles to a reconstruction, without access to the truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cryobench._errors import UnknownName
from cryobench.compute.compute import Precision
from cryobench.data import PaddedVolumes, Particles, Reconstruction, RunRecord
from cryobench.reconstruction.decoders import DecodedVolumes, latent_rows, open_decoder
from cryobench.reconstruction.engine import RunContext


class MethodSettings(BaseModel):
    """Settings of a method: frozen, scientific only, unknown names refused; each with unit, default and source.

    Paths are absolute: a run is the same from any folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    box: int | None = Field(
        None,
        ge=4,
        description="px, box to which images are Fourier-cropped; volumes return to the data set's grid. None for "
        "that of the images",
    )

    @field_validator("*")
    @classmethod
    def _resolve_path(cls, value: Any) -> Any:
        return value.resolve() if isinstance(value, Path) else value


@dataclass(frozen=True)
class Preset:
    """Named settings, and their source."""

    source: str
    """One sentence: publication, or changes made for speed."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that differ from the defaults. ``box`` is an upper limit here: smaller images keep theirs."""
    by_recipe: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Additional settings for the data sets of a recipe."""

    def expand(self, particles: Particles, recipe: str | None) -> dict[str, Any]:
        """Settings for given particles, of a recipe's data set or of none."""
        settings = {**self.settings, **self.by_recipe.get(recipe or "", {})}
        if settings.get("box") is not None and settings["box"] >= particles.box_size:
            settings["box"] = None
        return settings


Chosen = TypeVar("Chosen", bound=MethodSettings)


class Method(ABC, Generic[Chosen]):
    """A reconstruction method. ``cryobench list`` shows the first line of the class docstring."""

    name: ClassVar[str]
    poses: ClassVar[Literal["given", "estimated"]]
    """Whether it uses the given poses or estimates its own. Poses to be estimated are withheld from it."""
    precisions: ClassVar[tuple[Precision, ...]] = ("float32",)
    """Precisions in which it can compute."""
    spreads: ClassVar[bool] = True
    """Whether it computes on several workers; False where one process does all on its threads or its device."""
    uses_mask: bool = True
    """Whether a mask of the molecule changes the result at these settings."""
    trains: ClassVar[bool] = False
    """Whether it trains in passes over the particles, as many as its setting ``epochs``, by ``iterate``: a
    finished run can then be continued to more epochs."""
    Settings: ClassVar[type[MethodSettings]] = MethodSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset("The defaults, each with its own source."),
        "laptop": Preset("The defaults in a box of at most 64 px.", {"box": 64}),
    }
    """Presets by name: "paper", those of the benchmark, and "laptop", for two cores."""
    permutes: ClassVar[bool] = True
    """Whether reordered particles give the same result, reordered; False where random draws depend on the
    position in the table."""
    repeats: ClassVar[float] = 0.9
    """Least fraction of the variance of latents that a run on reordered particles explains, at the
    ``small`` settings: lower where these settings stop a training before it has converged."""
    compared_on: ClassVar[int] = 120
    """Particles of the toy on which conformance tests compare reconstructions that agree, but not to rounding: more
    where at the ``small`` settings the result on few depends on chance."""
    small: ClassVar[Mapping[str, Any]] = {}
    """Settings that run in less than a second on 120 images of 24 px, for conformance tests."""

    def __init__(self, settings: Chosen | None = None) -> None:
        self.settings: Chosen = settings if settings is not None else self.Settings()  # pyright: ignore
        if not isinstance(self.settings, self.Settings):
            raise TypeError(f"{self.name} takes {self.Settings.__name__}, got {type(self.settings).__name__}.")

    @classmethod
    def with_settings(cls, changes: Mapping[str, Any]) -> Method:
        """The method with its default settings, some changed. UnknownName or ValueError names a wrong one."""
        fields = cls.Settings.model_fields
        for name in changes:
            if name not in fields:
                raise UnknownName(f"setting of {cls.name}", name, fields)
        try:
            return cls(cls.Settings(**changes))  # pyright: ignore[reportArgumentType]
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "settings"
            hint = (
                f" A list is written in brackets: {name}=[1,2]."
                if first["type"].startswith(("tuple", "list"))
                else ""
            )
            raise ValueError(f"setting {name} cannot be {first['input']!r}: {first['msg'].lower()}.{hint}") from error

    def reconstruct(
        self, particles: Particles, queries: Int[np.ndarray, " q"], context: RunContext | None = None
    ) -> Reconstruction:
        """Estimate the heterogeneity, and the volume of each query particle.

        Parameters
        ----------
        particles
            Particles, with poses only if the method uses given ones.
        queries
            Particles whose volumes are requested.
        context
            Seed, machine, progress and checkpoint; None for seed 0 in this process.

        Returns
        -------
        A reconstruction whose volumes are on the grid of the particles. Same seed, same kind of device, same number
        of threads and workers: same bits, also after an interruption and for any memory budget. Otherwise equal up to
        rounding. Volumes may be read from the context's checkpoint on demand: save them before it is removed.

        Raises
        ------
        ValueError
            If the particles lack what the method needs, or a setting does not fit them.
        MemoryShortage
            If it does not fit in the memory budget.
        FormatError
            If the checkpoint is of another call, or damaged.
        """
        context = context or RunContext()
        if self.poses == "given" and particles.rotations is None:
            raise ValueError(
                f"{self.name} needs given poses, and these particles come without: choose an ab initio method."
            )
        if context.compute.precision not in self.precisions:
            raise ValueError(
                f"{self.name} computes in {' or '.join(self.precisions)}, and precision {context.compute.precision} "
                f"was requested: leave --precision out, or give --precision {self.precisions[0]}."
            )
        if context.compute.workers is not None and not self.spreads:
            raise ValueError(
                f"{self.name} computes in one process, on all its threads or on a GPU: leave --workers and "
                "--scheduler out."
            )
        queries = np.asarray(queries, dtype=np.int64)
        found = self.estimate(particles.at_box(self.settings.box or particles.box_size), queries, context)
        if not found.record.settings:
            found = replace(found, record=RunRecord(method=self.name, settings=self.settings.model_dump(mode="json")))
        if found.volumes is not None and found.volumes.box_size < particles.box_size:
            return replace(found, volumes=PaddedVolumes(found.volumes, particles.box_size))
        if found.volumes is not None or found.decodes_by is None:
            return found
        decoder = open_decoder(found, particles, context)
        return replace(found, volumes=DecodedVolumes(decoder, latent_rows(found)[queries]))

    def start_from(self, volumes: Float[np.ndarray, "k z y x"], n_iterations: int) -> Method:
        """The method started from given volumes instead of its own start, as many classes as there are volumes.

        Parameters
        ----------
        volumes
            In the box of the particles, each in its own frame.
        n_iterations
            Iterations from there, at full resolution.

        Raises
        ------
        NotImplementedError
            If the method cannot start from volumes.
        """
        raise NotImplementedError(f"{self.name} cannot start from given volumes.")

    @abstractmethod
    def estimate(self, particles: Particles, queries: Int[np.ndarray, " q"], context: RunContext) -> Reconstruction:
        """Implementation of the method, on particles already in the box of the settings.

        Volumes may be left to the decoder that the reconstruction names. ``reconstruct`` adds the record.
        """
