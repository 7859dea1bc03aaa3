"""Finished runs in the forms of other programs, by name. An exporter writes a folder and says how it is used."""

from collections.abc import Callable, Sequence
from pathlib import Path

from cryobench._registry import Entry, list_names, load_named
from cryobench.data import Dataset, Reconstruction
from cryobench.io.atomic import atomic_folder
from cryobench.io.store import load_reconstruction
from cryobench.runs.score import find_dataset

EXPORTS = {"cryodrgn": Entry("cryobench.runs.exports.cryodrgn:export_cryodrgn")}
"""Name of each form and the function that writes it."""

GROUP = "cryobench.exports"
"""Entry-point group by which other packages add theirs."""

_BASE = "types:FunctionType"

Exporter = Callable[[Reconstruction, Dataset, Path, Path], Sequence[str]]
"""``exporter(run, data set, folder to write in, folder where it will be)``: lines that say how it is used.

ValueError, saying what the run has, if it cannot be written in that form.
"""


def list_exports() -> list[str]:
    """Names of all forms: those of this package and those that installed packages add."""
    return list_names(EXPORTS, GROUP, _BASE)


def export_run(run: Path, folder: Path, *, to: str, dataset: Path | None = None) -> Sequence[str]:
    """Write a finished run in the form of another program into a new folder; lines that say how it is used.

    Parameters
    ----------
    run
        RUN folder of a finished run.
    folder
        New folder; it appears when all files are in it.
    to
        Name of the form, see ``list_exports``.
    dataset
        The data set's folder, if it is not where the run record says.

    Raises
    ------
    UnknownName
        No such form.
    ValueError
        The run does not hold what the form takes.
    FormatError
        The run did not finish or is damaged, or the data set is another one.
    FileExistsError
        The folder exists.
    """
    exporter: Exporter = load_named("export form", to, EXPORTS, GROUP, _BASE)
    reconstruction = load_reconstruction(run)
    data = find_dataset(reconstruction, dataset)
    with atomic_folder(folder) as partial:
        return exporter(reconstruction, data, partial, Path(folder).absolute())
