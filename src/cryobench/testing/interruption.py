"""Progress that counts its steps and interrupts the work."""

from collections.abc import Iterator
from contextlib import contextmanager

from cryobench._progress import Task


class Interruption(KeyboardInterrupt):
    """Interruption, as by the user."""


class InterruptingProgress:
    """``Progress`` that raises at the first step after ``after`` steps; None only counts."""

    def __init__(self, after: int | None = None) -> None:
        self.seen = 0
        """Steps so far."""
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
        """Do nothing."""
