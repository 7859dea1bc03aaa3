"""Bytes shown as megabytes: small pieces add up, and work that begins again is not shown twice."""

from collections.abc import Iterator
from contextlib import contextmanager

from cryobench._progress import Progress, Task, show_megabytes


class Recorded:
    """Steps of each task by its label, and the total that it was announced with."""

    def __init__(self) -> None:
        self.steps: dict[str, list[int]] = {}
        self.totals: dict[str, int | None] = {}

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        counted = self.steps[label] = []
        self.totals[label] = total

        class Steps:
            def advance(self, steps: int = 1, **shown: object) -> None:
                counted.append(steps)

        yield Steps()

    def note(self, text: str) -> None:
        raise AssertionError(text)


def test_pieces_of_less_than_a_megabyte_add_up() -> None:
    progress = Recorded()
    assert isinstance(progress, Progress)
    with show_megabytes(progress, "reading", 2_500_000) as shown:
        for _ in range(5):
            shown.add(500_000)
    assert progress.steps == {"reading (MB)": [1, 1]}
    assert progress.totals == {"reading (MB)": 2}


def test_work_that_begins_again_is_shown_once() -> None:
    progress = Recorded()
    with show_megabytes(progress, "downloading", 9_000_000) as shown:
        for done in (3_000_000, 1_000_000, 3_500_000, 5_000_000):
            shown.reach(done)
    assert progress.steps == {"downloading (MB)": [3, 2]}


def test_without_a_progress_nothing_is_shown(capfd) -> None:
    with show_megabytes(None, "reading", 10) as shown:
        shown.add(10)
    assert capfd.readouterr() == ("", "")
