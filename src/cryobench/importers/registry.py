"""Importers by name, and by the files of their programs; other packages add theirs through the entry-point group."""

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
"""Name of each importer -> where it is defined."""

GROUP = "cryobench.importers"
"""Entry-point group by which other packages add theirs."""

BASE = "cryobench.importers.importer:Importer"
"""Base class of importers."""


def list_importers() -> list[str]:
    """Names of all importers, of this package and of other installed packages."""
    return list_names(IMPORTERS, GROUP, BASE)


def get_importer(name: str) -> "type[Importer]":
    """Class of an importer. UnknownName, with similar names, if there is none."""
    return load_named("importer", name, IMPORTERS, GROUP, BASE)


def recognise(path: Path) -> tuple[str, str]:
    """Name of the importer that recognises a folder, and the sign by which it does.

    Raises
    ------
    FormatError
        If none recognises it, or several do.
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
        raise FormatError(f"{path} could be of several programs: {signs}. Give the name of one.")
    for own, what in (("run.json", "run of cryobench, which is scored as it is"), ("dataset.json", "data set")):
        if (path / own).exists():
            raise FormatError(f"{path} is a {what}, by its {own}: expected the folder of another program's job.")
    jobs = [each.name for each in sorted(path.iterdir()) if each.is_dir() and _find_signs(each)]
    if jobs:
        raise FormatError(
            f"{path} is not a job itself but contains some ({', '.join(jobs[:6])}{' …' if jobs[6:] else ''}): give "
            f"the folder of one, such as {path / jobs[0]}."
        )
    tools = ", ".join(name for name in list_importers() if name != "files")
    raise FormatError(
        f"{path} is not of a known program ({tools}). Give its files one by one: cryobench import files "
        "--latents … --volumes … --labels … --poses …"
    )


def _find_signs(path: Path) -> dict[str, str]:
    """Importers that recognise a folder, and their signs."""
    return {name: sign for name in list_importers() if (sign := get_importer(name).recognise(path)) is not None}
