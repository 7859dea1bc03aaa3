"""Export of finished runs to the formats of other programs, by name. An exporter writes a folder and usage notes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from cryobench._registry import Entry, load_named
from cryobench.data import Dataset, Reconstruction
from cryobench.io.atomic import atomic_folder
from cryobench.io.store import load_reconstruction
from cryobench.runs.score import find_dataset

EXPORTS = {"cryodrgn": Entry("cryobench.runs.exports.cryodrgn:export_cryodrgn")}
"""Name of each format and the function that writes it."""

GROUP = "cryobench.exports"
"""Entry-point group for exporters of other packages."""

_BASE = "types:FunctionType"

Exporter = Callable[[Reconstruction, Dataset, Path, Path], Sequence[str]]
"""``exporter(run, data set, folder to write in, final folder)``: lines on how to use the files.

ValueError, naming the contents of the run, if it cannot be written in that format.
"""


def export_run(run: Path, folder: Path, *, to: str, dataset: Path | None = None) -> Sequence[str]:
    """Write a finished run in the format of another program into a new folder; return lines on how to use it.

    Parameters
    ----------
    run
        RUN folder of a finished run.
    folder
        New folder; it appears once all files are in it.
    to
        Name of the format, see ``EXPORTS``.
    dataset
        The data set's folder, if it is not at the path in the run record.

    Raises
    ------
    UnknownName
        No such format.
    ValueError
        The run lacks what the format needs.
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
