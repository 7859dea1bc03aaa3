"""Matching of the rows of a foreign table to the particles of the data set.

In order of trust:

1. a column of the table that names particles, images or uids (``io.adoption.row_order``);
2. the table of images that the program read, row by row (STAR or .cs), and the file that selected some of them;
3. indices of the rows alone;
4. the order of the particles, where the numbers are equal, which is reported.

A source of the first kind must agree with one of the second or third. Particles without a row have row −1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import Dataset
from cryobench.io.adoption.image_keys import rows_of_images
from cryobench.io.adoption.row_order import Column, Items, find_rows
from cryobench.io.atomic import read_array
from cryobench.io.formats.npy import to_numbers
from cryobench.io.formats.pickles import read_pickle
from cryobench.io.formats.star import read_tables
from cryobench.io.programs.cryosparc import read_cs_uids
from cryobench.io.programs.phase_flips import stacks_of


@dataclass(frozen=True)
class Rows:
    """Rows of a table by particle."""

    of: np.ndarray
    """(n,) row of each particle, −1 where there is none."""
    source: str
    """Source of the matching, in words."""

    @property
    def count(self) -> int:
        """Number of particles that have a row."""
        return int((self.of >= 0).sum())

    def place(self, values: np.ndarray) -> np.ndarray:
        """Values (rows, ...) in the order of the particles, NaN where there is no row."""
        placed = np.full((len(self.of), *values.shape[1:]), np.nan, dtype=np.result_type(values, np.float32))
        placed[self.of >= 0] = values[self.of[self.of >= 0]]
        return placed

    def describe(self) -> str:
        """Source of the matching, and number of particles left out, as a sentence."""
        left = len(self.of) - self.count
        return f"rows are particles by {self.source}" + (f"; {left:,} particles have none." if left else ".")


def find_particles(
    n_rows: int,
    path: Path,
    dataset: Dataset,
    *,
    columns: Mapping[str, Column] | None = None,
    images: Path | None = None,
    indices: Path | None = None,
) -> Rows:
    """Particle of each of ``n_rows`` rows of a file.

    Parameters
    ----------
    path
        The file with the rows, for messages.
    columns
        Columns of the file, where it has named ones.
    images
        STAR or .cs file that the program read; None if it is unknown or no longer exists.
    indices
        File with the rows of ``images``, or with the particles if that is None, that the program used.

    Raises
    ------
    FormatError
        If a file cannot be read, the numbers of rows do not match, or two sources contradict one another.
    """
    particles = dataset.particles
    by_column = None if columns is None else find_rows(columns, items_of(dataset), path)
    chosen = None if indices is None else read_indices(indices)
    if chosen is not None and len(chosen) != n_rows:
        raise FormatError(
            f"{indices} selects {len(chosen):,} particles, and {path} has {n_rows:,} rows: it is not the selection "
            "that this run was made with."
        )
    other = None
    if images is not None:
        selected = "" if indices is None else f", of which {indices.name} selects some"
        by_table = _by_table(images, chosen, n_rows, path, dataset)
        other = Rows(by_table, f"the images that {images.name} names{selected}")
    elif indices is not None and chosen is not None:
        other = Rows(_by_indices(chosen, indices, len(particles)), indices.name)
    if by_column is not None and other is not None and not np.array_equal(by_column, other.of):
        first = int(np.argmax(by_column != other.of))
        raise FormatError(
            f"{path} and {images or indices} contradict one another: particle {first} is row {by_column[first]} by "
            f"the first's own column, and row {other.of[first]} by the second (-1: none). Which is right?"
        )
    if by_column is not None:
        return Rows(by_column, f"a column of {path.name}")
    if other is not None:
        return other
    if n_rows != len(particles):
        raise FormatError(
            f"{path} has {n_rows:,} rows, and {dataset.name} has {len(particles):,} particles: no match. Give "
            "the indices of the particles used (--indices FILE), or the STAR or .cs file that the program read "
            "(--images FILE)."
        )
    return Rows(np.arange(n_rows), f"their order alone, there being {n_rows:,} of both")


def read_indices(path: Path) -> np.ndarray:
    """(m,) indices from 0, each once, from a .pkl, .npy or text file. FormatError if it holds anything else."""
    path = Path(path)
    if path.suffix.lower() == ".pkl":
        found = read_pickle(path)
    elif path.suffix.lower() == ".npy":
        found = read_array(path)
    else:
        try:
            found = np.loadtxt(path, ndmin=1)
        except (OSError, ValueError) as error:
            raise FormatError(f"{path} cannot be read as indices, one a line ({error}).") from error
    if isinstance(found, np.ndarray) and found.dtype.kind == "b":
        raise FormatError(f"{path} holds True and False, expected indices of particles: save its numpy.flatnonzero.")
    values = to_numbers(found, path, "indices of particles")
    if values.ndim != 1 or not ((values >= 0) & (values == np.floor(values))).all():
        raise FormatError(f"{path} must hold indices of particles, counted from 0, in one row.")
    if len(np.unique(values)) < len(values):
        raise FormatError(f"{path} names a particle twice: indices of particles must all be different.")
    return values.astype(np.int64)


def items_of(dataset: Dataset) -> Items:
    """The particles of a data set, by all that rows may name them by."""
    table = None if dataset.path is None else dataset.path / "particles.cs"
    uids = read_cs_uids(table) if table is not None and table.exists() else None
    return Items(len(dataset.particles), images=dataset.particles.images, uids=uids)


def _by_table(images: Path, chosen: np.ndarray | None, n_rows: int, path: Path, dataset: Dataset) -> np.ndarray:
    """(n,) rows, by the images or uids named in a table in the order of the rows."""
    by_uid, names = images.suffix.lower() == ".cs", _name_images(images)
    if chosen is not None:
        if chosen.max(initial=-1) >= len(names):
            raise FormatError(f"the selection names row {chosen.max()} of {images}, which has {len(names):,}.")
        names = names[chosen]
    if len(names) != n_rows:
        raise FormatError(
            f"{images} lists {len(names):,} images, and {path} has {n_rows:,} rows: give the selection that this run "
            "was made with (--indices FILE)."
        )
    if by_uid:
        _check_uids(names, dataset, images)
        found = find_rows({"uid": names}, items_of(dataset), images)
        assert found is not None
        return found
    named = [str(each) for each in names]
    _check_stacks(named, dataset, images)
    return rows_of_images(named, dataset.particles.images, images)


def _check_uids(uids: np.ndarray, dataset: Dataset, table: Path) -> None:
    """Raise FormatError if no uid of a .cs file is one of the data set's."""
    own = items_of(dataset).uids
    if own is not None and not np.isin(uids, own).any():
        raise FormatError(
            f"no uid of {table} is in particles.cs of {dataset.name}: cryoSPARC numbers particles anew when it "
            "imports a STAR file. Import particles.csg instead, or give a STAR file that names the images."
        )


def _check_stacks(names: Sequence[str], dataset: Dataset, table: Path) -> None:
    """Raise FormatError if a stack next to a table differs from the one of the same name in the data set.

    Names match by their ends, since data are moved; so do those of two data sets with the same numbering.
    """
    stacks = stacks_of(dataset.particles.images)
    own: dict[str, list[Path]] = {}
    for path in dict.fromkeys(stacks.paths if stacks is not None else ()):
        own.setdefault(path.name, []).append(path)
    for name in dict.fromkeys(each.partition("@")[2] for each in names):
        theirs, candidates = table.parent / name, own.get(Path(name).name, [])
        if len(candidates) != 1 or not theirs.is_file() or theirs.samefile(candidates[0]):
            continue
        if theirs.stat().st_size != candidates[0].stat().st_size:
            raise FormatError(
                f"{table} names images of {theirs}, which is another stack than {candidates[0]} of {dataset.name}: "
                "the results belong to another data set."
            )


def _name_images(path: Path) -> np.ndarray:
    """(rows,) uids of a .cs file, or image names of a STAR file."""
    if path.suffix.lower() == ".cs":
        uids = read_cs_uids(path)
        if uids is None:
            raise FormatError(f"{path} has no uids to identify particles.")
        return uids
    for table in read_tables(path, text_columns=("rlnImageName",)).values():
        if "rlnImageName" in table:
            return table["rlnImageName"].to_numpy()
    raise FormatError(f"{path} has no column _rlnImageName to identify particles.")


def _by_indices(chosen: np.ndarray, indices: Path, n: int) -> np.ndarray:
    """(n,) row of each particle, from the particles of the rows that a file selects."""
    if chosen.max(initial=-1) >= n:
        raise FormatError(
            f"{indices} selects particle {chosen.max()}, and the data set has {n:,}, 0 to {n - 1}: it is for another "
            "set of particles."
        )
    rows = np.full(n, -1, dtype=np.int64)
    rows[chosen] = np.arange(len(chosen))
    return rows
