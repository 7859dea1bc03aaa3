"""``Importer``: how files of another program become parts of a reconstruction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from cryobench.data import Dataset, VolumeSource


@dataclass(frozen=True, eq=False)
class Found:
    """What lay there, its rows in the order of the data set's particles; a part that is None was not found."""

    tool: str
    """Program and version, as far as its files tell."""
    latents: np.ndarray | None = None
    """(n, d); NaN rows for particles that the program left out."""
    posteriors: np.ndarray | None = None
    """(n, k) class probabilities; NaN rows likewise."""
    rotations: np.ndarray | None = None
    """(n, 3, 3), from the reference to the particle."""
    shifts: np.ndarray | None = None
    """(n, 2) Å, which centre the images."""
    volumes: VolumeSource | None = None
    """One for each query particle, on the data set's grid."""
    model: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Arrays for the decoder named by ``decodes_by``."""
    decodes_by: str | None = None
    box: int | None = None
    """Side of the images that the model was trained on, where it is not the data set's."""
    poses: Literal["given", "estimated", "unknown"] = "unknown"
    """Whether the program was given the poses."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the program, as its files tell."""
    files: tuple[Path, ...] = ()
    """Every file that was read."""
    notes: tuple[str, ...] = ()
    """What was assumed, converted or set aside, in sentences."""
    missing: tuple[str, ...] = ()
    """What was looked for and not found."""


class Importer(ABC):
    """Reads what one program leaves behind. Subclasses are made from the options of the command line."""

    name: ClassVar[str]
    title: ClassVar[str]
    """One line: which program, which versions."""
    reads: ClassVar[Mapping[str, str]]
    """Files, and what is taken from each: for docs/importers.md."""

    @classmethod
    def recognise(cls, path: Path) -> str | None:
        """By what a folder is known as this program's, in words; None if it is not."""
        return None

    @classmethod
    @abstractmethod
    def open(cls, path: Path | None, options: Mapping[str, Any]) -> Importer:
        """An importer of a folder. ValueError if an option is none of this importer's, or options do not go "
        "together."""

    @abstractmethod
    def read(self, dataset: Dataset) -> Found:
        """What the program found of the particles of a data set.

        Raises
        ------
        FormatError
            If a file is missing, damaged or of another form, or its rows cannot be those of the particles.
        """


def check_options(importer: type[Importer], options: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """Options that were given. ValueError if one is not among those that an importer knows."""
    given = {name: value for name, value in options.items() if value is not None}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(
            f"import {importer.name} has no option --{unknown[0].replace('_', '-')}: it takes "
            f"{', '.join('--' + name.replace('_', '-') for name in known)}."
        )
    return given
