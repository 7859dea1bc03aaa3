"""Importers by name, and by what their programs leave; packages add their own through the entry-point group."""

from pathlib import Path
from typing import TYPE_CHECKING

from cryobench._errors import FormatError
from cryobench._registry import Entry, list_names, load_named

if TYPE_CHECKING:
    from cryobench.importers.importer import Importer

IMPORTERS = {
    "files": Entry(
        "cryobench.importers.files:Files",
        "Plain files of any program: latents, maps, labels or class probabilities, poses.",
    ),
    "cryodrgn": Entry(
        "cryobench.importers.cryodrgn.importer:Cryodrgn",
        "cryoDRGN 1 to 4 (train_vae, train_dec, abinit, abinit_het_old) and drgnai.",
    ),
}
"""Name of each importer and where it is."""

GROUP = "cryobench.importers"
"""Entry-point group by which other packages add theirs."""

BASE = "cryobench.importers.importer:Importer"
"""Class of which they all are."""


def list_importers() -> list[str]:
    """Names of all importers: those of this package and those that installed packages add."""
    return list_names(IMPORTERS, GROUP, BASE)


def get_importer(name: str) -> "type[Importer]":
    """Class of an importer. UnknownName, with near names, if there is none."""
    return load_named("importer", name, IMPORTERS, GROUP, BASE)


def recognise(path: Path) -> tuple[str, str]:
    """Name of the importer whose program left a folder, and by what it is known.

    Raises
    ------
    FormatError
        If none knows it, or more than one does.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(f"{path} does not exist, expected the folder of a job.")
    if path.is_file():
        raise FormatError(f"{path} is a file: give the folder of the job, {path.parent}.")
    known = _find_signs(path)
    if len(known) == 1:
        return next(iter(known.items()))
    if known:
        signs = "; ".join(f"{name}, by {sign}" for name, sign in known.items())
        raise FormatError(f"{path} could be of several programs: {signs}. Name the one that is meant.")
    for own, what in (("run.json", "run of cryobench, which is scored as it is"), ("dataset.json", "data set")):
        if (path / own).exists():
            raise FormatError(f"{path} is a {what}, by its {own}: expected the folder of another program's job.")
    jobs = [each.name for each in sorted(path.iterdir()) if each.is_dir() and _find_signs(each)]
    if jobs:
        raise FormatError(
            f"{path} is no job itself but holds some ({', '.join(jobs[:6])}{' …' if jobs[6:] else ''}): give the "
            f"folder of one, such as {path / jobs[0]}."
        )
    tools = ", ".join(name for name in list_importers() if name != "files")
    raise FormatError(
        f"{path} is of no program that is known here ({tools}). Give its files one by one: cryobench import files "
        "--latents … --volumes … --labels … --poses …"
    )


def _find_signs(path: Path) -> dict[str, str]:
    """Importers that know a folder, and by what."""
    return {name: sign for name in list_importers() if (sign := get_importer(name).recognise(path)) is not None}
