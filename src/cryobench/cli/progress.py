"""The progress bars of the command line, by rich: on a terminal a live bar, in a log one line per task."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from cryobench._progress import Task

_WORTH_SAYING = 1.0
"""Seconds above which a finished task is reported."""


class _Bar:
    def __init__(self, bars: RichProgress, identity: TaskID) -> None:
        self._bars, self._identity = bars, identity

    def advance(self, steps: int = 1, **shown: object) -> None:
        text = "  ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in shown.items())
        if shown:
            self._bars.update(self._identity, advance=steps, shown=text)
        else:
            self._bars.update(self._identity, advance=steps)


class Bars:
    """A ``Progress`` on standard error; nested tasks have one display."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._running = 0
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        start = monotonic()
        if self._running == 0:
            self._bars.start()
        self._running += 1
        identity = self._bars.add_task(label, total=total, shown="")
        try:
            yield _Bar(self._bars, identity)
        finally:
            self._bars.remove_task(identity)
            self._running -= 1
            if self._running == 0:
                self._bars.stop()
        seconds = monotonic() - start
        if seconds >= _WORTH_SAYING:
            self._console.print(f"{label}: {seconds:.1f} s", style="dim", highlight=False)

    def note(self, text: str) -> None:
        """Print a sentence above the bars."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
