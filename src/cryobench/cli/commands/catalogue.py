"""``cryobench list``: what there is to choose from."""

from typing import Annotated, Optional

import typer


def list_(
    kind: Annotated[
        Optional[str],
        typer.Argument(
            metavar="[KIND|NAME]", help="recipes, methods, metrics or importers; or a name of any of them."
        ),
    ] = None,
    name: Annotated[Optional[str], typer.Argument(help="One of them, for its settings, card or page.")] = None,
) -> None:
    """Show the recipes, methods, metrics and importers; with a name, its settings, page, or the files it reads.

    Examples: **cryobench list methods**, **cryobench list 3d-class**
    """
    from cryobench.cli.catalogue import show_catalogue

    show_catalogue(kind, name)
