"""Plain files: latents, maps, labels and poses of any other program, each given separately."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import Dataset, most_probable
from cryobench.importers.importer import Found, Importer, check_options
from cryobench.importers.maps import TABLE, ForeignMaps, choose_by_class, choose_by_query, place_maps
from cryobench.importers.poses import place_poses, read_foreign_poses
from cryobench.importers.rows import Rows, find_particles, items_of
from cryobench.importers.tables import Table, read_table
from cryobench.io.adoption.labels import read_labels

_SOURCES = ("latents", "volumes", "labels", "poses")
_PLAIN = (".txt", ".npz")
"""Files of labels without names of columns, in addition to those that ``adopt`` reads."""
_OPTIONS = (*_SOURCES, "method", "images", "indices", "shift_unit", "voxel_size", "invert", "mirror", "volumes_of")


@dataclass
class Files(Importer):
    """Files given one by one; each is optional, but at least one is needed."""

    name = "files"
    title = "Plain files of any program: latents, maps, labels or class probabilities, poses."
    reads: ClassVar[Mapping[str, str]] = {
        "--latents .npy .npz .csv .parquet .pkl .txt": "a row of numbers for each particle; NaN for one left out",
        "--volumes FOLDER": "maps (.mrc, .map) of the query particles, or of classes (--volumes-of classes)",
        "--labels .csv .npy .npz .pkl .parquet .star .txt": "the class of each particle; −1 for one left "
        "out; or class probabilities, a column for each class",
        "--poses .star .cs .pkl .npy": "poses found by the program: rotations, and shifts that centre the images",
    }

    options: dict[str, Any]

    @classmethod
    def open(cls, path: Path | None, options: Mapping[str, Any]) -> Files:
        """As ``Importer.open``."""
        if path is not None:
            raise ValueError(
                f"import files takes no folder: give {path} as --latents, --volumes, --labels or --poses."
            )
        given = check_options(cls, options, _OPTIONS)
        if str(given.get("poses")) == "none":
            del given["poses"]
        if not any(name in given for name in _SOURCES):
            raise ValueError("import files needs one of --latents, --volumes, --labels and --poses.")
        if given.get("volumes_of", "queries") not in ("queries", "classes"):
            raise ValueError(f"--volumes-of is queries or classes, got {given['volumes_of']!r}.")
        if given.get("shift_unit", "fraction") not in ("fraction", "pixel"):
            raise ValueError(f"--shift-unit is fraction or pixel, got {given['shift_unit']!r}.")
        return cls(given)

    def read(self, dataset: Dataset) -> Found:
        """As ``Importer.read``."""
        notes: list[str] = []
        latents = None
        if "latents" in self.options:
            path = Path(self.options["latents"])
            latents = self._place(read_table(path, "latents"), path, dataset, notes).astype(np.float32)
        posteriors, classes = self._read_labels(dataset, notes)
        rotations, shifts = self._read_poses(dataset, notes)
        volumes = self._read_volumes(dataset, posteriors, classes, notes)
        names = ("latents", "labels", "poses", "images", "indices")
        files = [Path(self.options[name]) for name in names if name in self.options]
        if volumes is not None and self._volumes_of == "queries":
            files += [path for path in (Path(self.options["volumes"]) / TABLE,) if path.exists()]
        return Found(
            tool=str(self.options.get("method") or "files"),
            latents=latents,
            posteriors=posteriors,
            rotations=rotations,
            shifts=shifts,
            volumes=volumes,
            poses="unknown" if rotations is None else "estimated",
            files=(*files, *(() if volumes is None else dict.fromkeys(volumes.paths))),
            notes=tuple(notes),
            missing=tuple(f"no {name} were given" for name in _SOURCES if name not in self.options),
        )

    @property
    def _volumes_of(self) -> str:
        return str(self.options.get("volumes_of", "queries"))

    def _find(
        self, n_rows: int, path: Path, dataset: Dataset, columns: Any = None, images: Path | None = None
    ) -> Rows:
        table, indices = self.options.get("images", images), self.options.get("indices")
        return find_particles(
            n_rows,
            path,
            dataset,
            columns=columns,
            images=None if table is None else Path(table),
            indices=None if indices is None else Path(indices),
        )

    def _place(self, table: Table, path: Path, dataset: Dataset, notes: list[str]) -> np.ndarray:
        if table.values.shape[1] == len(dataset.particles) != len(table.values):
            raise FormatError(
                f"{path} holds an array of shape {table.values.shape}, and {dataset.name} has "
                f"{len(dataset.particles):,} particles: expected a row for each, not a column."
            )
        rows = self._find(len(table.values), path, dataset, table.keys)
        notes.append(f"{path.name}: {rows.describe()}")
        return rows.place(table.values)

    def _read_labels(self, dataset: Dataset, notes: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Posteriors (n, k), and the class of each particle, −1 for those left out."""
        if "labels" not in self.options:
            return None, None
        path = Path(self.options["labels"])
        named = path.suffix.lower() == ".star" and _names_images(path)
        if path.suffix.lower() != ".star":
            table = read_table(path, "labels or class probabilities")
            if table.values.shape[1] > 1:
                placed = self._place(table, path, dataset, notes)
                return placed, most_probable(placed)
            placed_here = "images" in self.options or "indices" in self.options or path.suffix.lower() in _PLAIN
            if not table.keys and placed_here:
                classes = self._place(table, path, dataset, notes)[:, 0]
                classes = np.where(np.isfinite(classes), classes, -1)
                if (broken := classes[classes != np.floor(classes)]).size:
                    raise FormatError(f"{path}: a label is {broken[0]:g}, expected whole numbers; -1 for left out.")
                return _one_hot(classes.astype(np.int64), path)
            named = bool(table.keys)
        labels = read_labels(path, dataset.particles, uids=items_of(dataset).uids)
        by = f"a column of {path.name}" if named else "their order alone"
        notes.append(f"{path.name}: rows are particles by {by}.")
        return _one_hot(labels, path)

    def _read_poses(self, dataset: Dataset, notes: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
        if "poses" not in self.options:
            return None, None
        path = Path(self.options["poses"])
        unit = str(self.options.get("shift_unit", "fraction"))
        rotations, shifts = read_foreign_poses(path, dataset.particles, unit)
        names = path if path.suffix.lower() == ".cs" or _names_images(path) else None
        rows = self._find(len(rotations), path, dataset, images=names)
        notes.append(f"{path.name}: {rows.describe()}")
        if path.suffix.lower() == ".pkl":
            unit = "pixels" if unit == "pixel" else "fractions of the box"
            notes.append(f"{path.name}: shifts were taken as {unit}.")
        if not shifts.any():
            notes.append(f"{path.name}: it has no shifts, or all are 0, and is scored as such.")
        return place_poses(rotations, shifts, rows, path)

    def _read_volumes(
        self, dataset: Dataset, posteriors: np.ndarray | None, classes: np.ndarray | None, notes: list[str]
    ) -> ForeignMaps | None:
        if "volumes" not in self.options:
            return None
        folder = Path(self.options["volumes"])
        if self._volumes_of == "queries":
            paths = choose_by_query(folder, dataset.queries, notes)
        else:
            if classes is None or posteriors is None:
                raise ValueError("maps of classes need the class of each particle: give --labels.")
            left = dataset.queries[classes[dataset.queries] < 0]
            if len(left):
                raise FormatError(f"query particle {left[0]} has no class, so it has no map.")
            labels, n_classes = np.unique(classes[classes >= 0]), posteriors.shape[1]
            labels = labels if len(labels) == n_classes else np.arange(n_classes)
            paths = choose_by_class(folder, classes[dataset.queries], labels, notes)
        return place_maps(
            paths,
            dataset.particles,
            notes,
            voxel_size=self.options.get("voxel_size"),
            inverted=bool(self.options.get("invert")),
            mirrored=bool(self.options.get("mirror")),
        )


def _names_images(path: Path) -> bool:
    return path.suffix.lower() == ".star" and "_rlnImageName" in path.read_text(errors="replace")


def _one_hot(classes: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Posteriors (n, k) of the classes that occur, NaN for −1; and the classes."""
    known = classes >= 0
    if not known.any():
        raise FormatError(f"{path} assigns no particle to a class: all are -1.")
    values, numbered = np.unique(classes[known], return_inverse=True)
    posteriors = np.full((len(classes), len(values)), np.nan, dtype=np.float32)
    posteriors[known] = np.eye(len(values), dtype=np.float32)[numbered]
    return posteriors, classes
