"""``Importer``: base class that turns files of another program into parts of a reconstruction."""

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
    """Parts found, with rows in the order of the data set's particles; a part that is None was not found."""

    tool: str
    """Program and version, as far as its files state."""
    latents: np.ndarray | None = None
    """(n, d); NaN rows for particles that the program left out."""
    posteriors: np.ndarray | None = None
    """(n, k) class probabilities; NaN rows likewise."""
    rotations: np.ndarray | None = None
    """(n, 3, 3), particle from reference."""
    shifts: np.ndarray | None = None
    """(n, 2) Å, which centre the images."""
    volumes: VolumeSource | None = None
    """One for each query particle, on the data set's grid."""
    model: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Arrays for the decoder named by ``decodes_by``."""
    decodes_by: str | None = None
    box: int | None = None
    """Box size of the model's training images, if not the data set's."""
    poses: Literal["given", "estimated", "unknown"] = "unknown"
    """Whether the program was given the poses."""
    atomic_model: str = "unknown"
    """An atomic model that the program was given; "none" if it uses none."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the program, as far as its files state."""
    files: tuple[Path, ...] = ()
    """Every file that was read."""
    notes: tuple[str, ...] = ()
    """Assumptions, conversions and ignored values, in sentences."""
    missing: tuple[str, ...] = ()
    """Parts that were looked for and not found."""


class Importer(ABC):
    """Reader of one program's output. Subclasses are made from the options of the command line."""

    name: ClassVar[str]
    title: ClassVar[str]
    """One line: which program, which versions."""
    reads: ClassVar[Mapping[str, str]]
    """Files, and the content taken from each: for docs/importers.md."""

    @classmethod
    def recognise(cls, path: Path) -> str | None:
        """Sign, in words, by which a folder is recognised as this program's; None if it is not."""
        return None

    @classmethod
    @abstractmethod
    def open(cls, path: Path | None, options: Mapping[str, Any]) -> Importer:
        """An importer of a folder. ValueError if an option is unknown to this importer, or options conflict."""

    @abstractmethod
    def read(self, dataset: Dataset) -> Found:
        """Results of the program on the particles of a data set.

        Raises
        ------
        FormatError
            If a file is missing, damaged or of another format, or its rows cannot match the particles.
        """


def check_options(importer: type[Importer], options: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """Options that were given. ValueError if one is unknown to an importer."""
    given = {name: value for name, value in options.items() if value is not None}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(
            f"import {importer.name} has no option --{unknown[0].replace('_', '-')}: it takes "
            f"{', '.join('--' + name.replace('_', '-') for name in known)}."
        )
    return given
