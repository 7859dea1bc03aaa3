"""How long work says where it is. The command line passes a bar; in Python the default says nothing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

MEGABYTE = 1_000_000


@runtime_checkable
class Task(Protocol):
    """One piece of work under way."""

    def advance(self, steps: int = 1, **shown: object) -> None:
        """Say that ``steps`` more are done; ``shown`` are values worth reading beside the bar."""
        ...


@runtime_checkable
class Progress(Protocol):
    """Something that shows tasks."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Context manager that announces a task of ``total`` steps (None if unknown) and yields it."""
        ...

    def note(self, text: str) -> None:
        """Say a sentence that is worth reading while work is under way."""
        ...


class Named:
    """A progress whose tasks and notes say what they belong to, such as the folder of a run.

    ``advice`` is a sentence on how that could take less, for who finds out that it takes long.
    """

    def __init__(self, progress: Progress, name: str, *, advice: str = "") -> None:
        self._progress, self._name, self.advice = progress, name, advice

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """The task under its name."""
        return self._progress.task(f"{self._name}: {label}", total)

    def note(self, text: str) -> None:
        """The sentence under the name."""
        self._progress.note(f"{self._name}: {text}")


def find_advice(progress: Progress) -> str:
    """How the work could take less, in a sentence; empty where nothing is known of it."""
    return progress.advice if isinstance(progress, Named) else ""


class _SilentTask:
    def advance(self, steps: int = 1, **shown: object) -> None:
        """Say nothing."""


class Silent:
    """Progress that nobody sees."""

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        """A task that says nothing."""
        yield _SilentTask()

    def note(self, text: str) -> None:
        """Say nothing."""


class Megabytes:
    """Bytes of a piece of work, shown as whole megabytes."""

    def __init__(self, task: Task) -> None:
        self._task, self._done, self._shown = task, 0, 0

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """So many bytes are done in all; fewer than before if the work began again, which is not shown."""
        self._done = done
        if done // MEGABYTE > self._shown:
            self._task.advance(done // MEGABYTE - self._shown)
            self._shown = done // MEGABYTE


@contextmanager
def show_megabytes(progress: Progress | None, label: str, total: int) -> Iterator[Megabytes]:
    """A task of ``total`` bytes; without a progress it says nothing."""
    with (progress or Silent()).task(f"{label} (MB)", total=total // MEGABYTE) as task:
        yield Megabytes(task)
