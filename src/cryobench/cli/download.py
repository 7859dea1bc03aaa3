"""What ``cryobench download`` does: find the published set, download it, say what it holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import typer

from cryobench._errors import UnknownName
from cryobench._progress import Progress
from cryobench.cli.tables import print_dataset
from cryobench.io.download import Part, download_set
from cryobench.io.store import load_dataset
from cryobench.io.zenodo_layout import list_image_folders
from cryobench.recipes.published import PUBLISHED


def run_download(
    name: str, output: Path | None, *, what: str, files: Sequence[str], keep_archive: bool, progress: Progress
) -> None:
    """Download a published set by the name of its recipe, and print what it holds."""
    if name not in PUBLISHED:
        raise UnknownName("published set", name, PUBLISHED)
    part = next((known for known in get_args(Part) if known == what), None)
    if part is None:
        raise UnknownName("choice of --what", what, get_args(Part))
    chosen = PUBLISHED[name]
    alone = sum(other.record == chosen.record for other in PUBLISHED.values()) == 1
    folder = output or Path(chosen.title)
    download_set(
        chosen.record,
        folder,
        title=None if alone else chosen.title,
        names=files,
        part=part,
        keep_archive=keep_archive,
        progress=progress,
    )
    if part == "volumes":
        typer.echo(f"the truth of {chosen.title} -> {folder}")
        return
    images = list_image_folders(folder)
    if len(images) > 1:
        typer.echo(f"{chosen.title} -> {folder}, with {len(images)} sets of images; each is a data set:")
        for each in images:
            typer.echo(f"  {each}")
        return
    print_dataset(load_dataset(folder))
