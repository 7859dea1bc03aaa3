"""Forecast of the duration of long work, measured on its first steps; shown again where later ones take longer."""

import time

from cryobench._progress import Progress, find_advice

LONG = 600.0
"""Seconds above which a forecast is shown."""
_STRETCH = 60.0
"""Least seconds of steps on which a later forecast is measured."""
_WORSE = 1.5
"""Factor on the time left above which it is shown again."""


class Forecast:
    """Timer of steps of about equal work.

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
        self._end: float | None = None

    def look(self, done: int) -> None:
        """Called after a step, with the number of steps done. The first, which compiles, is not counted."""
        now = time.monotonic()
        if self._began is None:
            self._first, self._began = done, now
            return
        if done == self._first or now - self._began < self._measured:
            return
        left = (now - self._began) / (done - self._first) * (self._total - done)
        self._first, self._began, self._measured = done, now, _STRETCH
        if self._end is None:
            self._end = now + left
            self._say(
                left,
                "measured on the first steps. Finished work is kept: after an interruption the same command resumes."
                f" {find_advice(self._progress)}",
            )
        elif left > _WORSE * (self._end - now):
            self._end = now + left
            self._say(left, "as later steps take longer than the first.")

    def _say(self, left: float, why: str) -> None:
        if left > LONG:
            self._progress.note(f"{self._label}: about {left / 60:.0f} minutes left, {why}".rstrip())
