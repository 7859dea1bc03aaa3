"""Tables and sentences in the terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table


def plain_table(*columns: str, rows: Iterable[Iterable[str]] = (), **looks: Any) -> Table:
    """Table without lines, whose long words are broken; ``looks`` as of ``rich.table.Table``."""
    table = Table(box=None, pad_edge=False, **looks)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a sentence: wrapped between words on a terminal, on one line in a file."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=not console.is_terminal)
