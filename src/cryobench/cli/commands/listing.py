"""``cryobench list``: recipes, methods, metrics and importers."""

from typing import Annotated

import typer


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND|NAME]", help="recipes, methods, metrics or importers; or the name of one."),
    ] = None,
    name: Annotated[str | None, typer.Argument(help="Name whose settings, card or page is shown.")] = None,
) -> None:
    """List the recipes, methods, metrics and importers; with a name, show its settings, page or input files.

    Examples: **cryobench list methods**, **cryobench list 3d-class**
    """
    from cryobench.cli.catalogue import show_catalogue

    show_catalogue(kind, name)
