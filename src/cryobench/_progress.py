"""Progress of long work. The command line passes a bar; in Python the default is silent."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

MEGABYTE = 1_000_000


@runtime_checkable
class Task(Protocol):
    """One running piece of work."""

    def advance(self, steps: int = 1, **shown: object) -> None:
        """Report ``steps`` more as done; ``shown`` are values displayed next to the bar."""
        ...


@runtime_checkable
class Progress(Protocol):
    """Display of tasks."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Context manager that announces a task of ``total`` steps (None if unknown) and yields it."""
        ...

    def note(self, text: str) -> None:
        """Show a sentence worth reading while work is running."""
        ...


class Named:
    """Progress whose tasks and notes are labelled with their owner, such as the folder of a run.

    ``advice`` is a sentence on how to make the work shorter, shown when it turns out to be long.
    """

    def __init__(self, progress: Progress, name: str, *, advice: str = "") -> None:
        self._progress, self._name, self.advice = progress, name, advice

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """The task, labelled."""
        return self._progress.task(f"{self._name}: {label}", total)

    def note(self, text: str) -> None:
        """The sentence, labelled."""
        self._progress.note(f"{self._name}: {text}")


def find_advice(progress: Progress) -> str:
    """Advice on how to make the work shorter, in a sentence; empty if there is none."""
    return progress.advice if isinstance(progress, Named) else ""


class _SilentTask:
    def advance(self, steps: int = 1, **shown: object) -> None:
        """Do nothing."""


class Silent:
    """Silent progress."""

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        """A silent task."""
        yield _SilentTask()

    def note(self, text: str) -> None:
        """Do nothing."""


class Megabytes:
    """Bytes of a piece of work, shown as whole megabytes."""

    def __init__(self, task: Task) -> None:
        self._task, self._done, self._shown = task, 0, 0

    def add(self, count: int) -> None:
        """Report that many more bytes as done."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """Report the total of bytes done; a smaller one, if the work started again, is not shown."""
        self._done = done
        if done // MEGABYTE > self._shown:
            self._task.advance(done // MEGABYTE - self._shown)
            self._shown = done // MEGABYTE


@contextmanager
def show_megabytes(progress: Progress | None, label: str, total: int) -> Iterator[Megabytes]:
    """A task of ``total`` bytes; silent without a progress."""
    with (progress or Silent()).task(f"{label} (MB)", total=total // MEGABYTE) as task:
        yield Megabytes(task)
