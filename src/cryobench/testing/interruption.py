"""Progress that interrupts the work it is shown, and counts."""

from collections.abc import Iterator
from contextlib import contextmanager

from cryobench._progress import Task


class Interruption(KeyboardInterrupt):
    """As a person would."""


class InterruptingProgress:
    """A ``Progress`` that raises at the n-th step that it is shown; None only counts."""

    def __init__(self, after: int | None = None) -> None:
        self.seen = 0
        """Steps shown until now."""
        self._after = after

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        """A task that counts."""
        yield self

    def advance(self, steps: int = 1, **shown: object) -> None:
        """Count, or interrupt."""
        self.seen += 1
        if self._after is not None and self.seen > self._after:
            raise Interruption

    def note(self, text: str) -> None:
        """Say nothing."""
