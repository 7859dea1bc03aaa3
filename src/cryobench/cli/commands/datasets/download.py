"""``cryobench download``: a published data set."""

from pathlib import Path
from typing import Annotated, get_args

import typer


def download(
    name: Annotated[str, typer.Argument(metavar="SET", help="igg-1d, igg-rl, ribosembly, tomotwin-100 or spike-md.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New folder for the data set; default: its title.")
    ] = None,
    what: Annotated[str, typer.Option(help="images, volumes (the truth, without images) or all.")] = "all",
    file: Annotated[
        list[str] | None,
        typer.Option(help="File name in the Zenodo record, if not found automatically; repeat for more."),
    ] = None,
    keep_archive: Annotated[
        bool, typer.Option("--keep-archive", help="Keep the archive next to the folder.")
    ] = False,
) -> None:
    """Download a published data set from Zenodo and unpack it. If interrupted, the same command resumes.

    All commands read the folder directly. Example: **cryobench download igg-1d -o IgG-1D**
    """
    from cryobench._errors import UnknownName
    from cryobench.cli.progress import Bars
    from cryobench.cli.tables import print_dataset
    from cryobench.io.published.download import Part, download_set
    from cryobench.io.published.zenodo_layout import list_image_folders
    from cryobench.io.store import load_dataset
    from cryobench.recipes.published import PUBLISHED

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
        names=file or (),
        part=part,
        keep_archive=keep_archive,
        progress=Bars(),
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
