"""``cryobench show``: summary of a data set in the terminal."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from cryobench.cli.layout import plain_table
from cryobench.data import Dataset
from cryobench.report.card.command import changed_settings, make_command
from cryobench.report.card.facts import Facts, describe_dataset
from cryobench.report.card.state_list import list_states

MOST_ROWS = 24
"""Maximum number of states listed individually; more are shown as a histogram."""
_MOST_COLUMNS = 8
_BINS = 12
_BAR = 36
_LOOKS = {"padding": (0, 2, 0, 0), "header_style": "dim"}


def print_summary(dataset: Dataset) -> None:
    """Print name, facts in groups, states, settings that differ from their defaults, and the command."""
    console = Console()
    console.print(dataset.name, style="bold", highlight=False, markup=False)
    groups = describe_dataset(dataset)
    for title, facts in groups.items():
        _heading(console, title)
        _print_facts(console, facts)
        if title == "Truth":
            _print_states(console, dataset)
    settings = changed_settings(dataset.card)
    if settings:
        _heading(console, "Settings that differ from their defaults")
        rows = [(name, _text(value), _text(default), words) for name, value, default, words in settings]
        table = plain_table("setting", "value", "default", "description", rows=rows, **_LOOKS)
        console.print(table, highlight=False, markup=False)
    command = make_command(dataset.card)
    if command is not None:
        _heading(console, "Command to make it again")
        console.print(command, highlight=False, markup=False, soft_wrap=True)


def _heading(console: Console, title: str) -> None:
    console.print()
    console.print(title, style="bold", highlight=False, markup=False)


def _print_facts(console: Console, facts: Facts) -> None:
    table = plain_table(show_header=False, **_LOOKS)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(name, text)
    console.print(table, highlight=False, markup=False)


def _print_states(console: Console, dataset: Dataset) -> None:
    truth, states = dataset.truth, list_states(dataset)
    if truth is None or states is None or not len(states):
        return
    console.print()
    if len(states) <= MOST_ROWS:
        columns = [name for name in states.columns if name != "name" or truth.state_names is not None]
        shown = states[columns].dropna(axis="columns", how="all")
        if "mass / kDa" in shown.columns:
            shown = shown.drop(columns="mass", errors="ignore")
        hidden = len(shown.columns) - _MOST_COLUMNS
        shown = shown.iloc[:, :_MOST_COLUMNS]
        table = plain_table(**_LOOKS)
        for name in shown.columns:
            justify = "left" if name == "name" else "right"
            table.add_column("mass / kDa" if name == "mass" else str(name), justify=justify, overflow="fold")
        for row in shown.itertuples(index=False):
            table.add_row(*(_text(value) for value in row))
        console.print(table, highlight=False, markup=False)
        if hidden > 0:
            console.print(f"and {hidden} more collective variables", style="dim", highlight=False)
        return
    for column, title in (("particles", "particles per state"), ("mass", "mass per state / kDa")):
        values = states[column].to_numpy(dtype=np.float64)
        if np.isfinite(values).any():
            _print_histogram(console, title, values[np.isfinite(values)])


def _print_histogram(console: Console, title: str, values: np.ndarray) -> None:
    """Print the number of states in equal bins of a value, or one line if all values are equal."""
    if values.min() == values.max():
        console.print(f"{title}: {_text(float(values.min()))} in every state", highlight=False, markup=False)
        return
    whole = bool((values == np.round(values)).all())
    steps = min(_BINS, int(np.ptp(values)) + 1) if whole else _BINS
    counts, edges = np.histogram(values, bins=steps)
    table = plain_table(title, "states", "", **_LOOKS)
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        bar = "█" * round(_BAR * int(count) / max(int(counts.max()), 1)) or ("▏" if count else "")
        table.add_row(f"{low:,.4g} to {high:,.4g}", f"{count:,}", bar)
    console.print(table, highlight=False, markup=False)


def _text(value: object) -> str:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{int(value):,}"
    if isinstance(value, (float, np.floating)):
        return "unknown" if np.isnan(value) else f"{float(value):.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_text, value))
    return "none" if value is None else str(value)
