"""Forecast of the duration of long work, measured on its first steps and shown once."""

import time

from cryobench._progress import Progress, find_advice

LONG = 600.0
"""Seconds above which a forecast is shown."""


class Forecast:
    """Timer of steps of equal work.

    Parameters
    ----------
    label
        Description of the work.
    total
        Total number of steps.
    measured
        Least seconds of steps before a forecast.
    """

    def __init__(self, label: str, total: int, progress: Progress, *, measured: float = 0.0) -> None:
        self._label, self._total, self._progress, self._measured = label, total, progress, measured
        self._began: float | None = None
        self._first = 0
        self._said = False

    def look(self, done: int) -> None:
        """Called after a step, with the number of steps done. The first, which compiles, is not counted."""
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
                f"{self._label}: about {seconds / 60:.0f} minutes left, measured on the first steps. Finished work is"
                " kept: after an interruption the same command resumes."
            )
            self._progress.note(f"{said} {find_advice(self._progress)}".rstrip())
