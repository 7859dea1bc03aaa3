"""How long work will take, measured on its first steps and said once, if that is long."""

import time

from cryobench._progress import Progress, find_advice

LONG = 600.0
"""Seconds of a forecast above which it is said."""


class Forecast:
    """Watches steps of equal work.

    Parameters
    ----------
    label
        The work, in words.
    total
        Steps in all.
    measured
        Seconds of steps that a forecast takes at the least.
    """

    def __init__(self, label: str, total: int, progress: Progress, *, measured: float = 0.0) -> None:
        self._label, self._total, self._progress, self._measured = label, total, progress, measured
        self._began: float | None = None
        self._first = 0
        self._said = False

    def look(self, done: int) -> None:
        """After a step, with the number of those done. The first, which compiles, is not counted."""
        now = time.monotonic()
        if self._began is None:
            self._first, self._began = done, now
            return
        if self._said or done == self._first or now - self._began < self._measured:
            return
        self._said = True
        seconds = (now - self._began) / (done - self._first) * (self._total - done)
        if seconds > LONG:
            said = (
                f"{self._label}: about {seconds / 60:.0f} minutes to go, measured on the first steps. What is done is"
                " kept: after an interruption the same command goes on."
            )
            self._progress.note(f"{said} {find_advice(self._progress)}".rstrip())
