"""Annotated shapes and types are checked at run time in every test; random numbers come from its name."""

import hashlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
from jaxtyping import install_import_hook
from threadpoolctl import threadpool_limits

import typechecker

_REPORT = Path(__file__).parent / "unit" / "report"
_UNCHECKED = (
    "cryobench.imaging.kernels",
    "cryobench.cli",
    # What does not fit is refused by errors of their own, which tests ask for.
    "cryobench.atoms.model",
    "cryobench.metrics.evaluate",
    "cryobench.metrics.volumes.frames",
    "cryobench.metrics.volumes.fsc_curve",
    "cryobench.metrics.volumes.map_distances",
    "cryobench.reconstruction.decoders.kernel_regression.regression",
    "cryobench.volumes.alignment.transform",
    "cryobench.volumes.rotate",
)


def _checked_modules() -> list[str]:
    """Every module that annotates shapes, but those with compiled functions (numba needs them undecorated).

    Read from the folders: asking Python for them would import packages, and what is imported is not hooked any more.
    A package's name would take all its modules along, so only modules proper are named. The type checker sees the
    types of all others, without their import taking five times as long.
    """
    source = Path(__file__).parents[1] / "src"
    paths = [path for path in sorted(source.rglob("*.py")) if path.name != "__init__.py"]
    texts = {".".join(path.relative_to(source).with_suffix("").parts): path.read_text("utf-8") for path in paths}
    return [
        name
        for name, text in texts.items()
        if "jaxtyping" in text
        and not name.startswith(_UNCHECKED)
        and not re.search(r"^\s*@(numba\.)?njit\b", text, re.MULTILINE)
    ]


def _share_cores(processes: int) -> None:
    """Give this process its part of the cores: threads of several processes would wait for one another, and spin.

    What depends on the number of threads is tested at numbers of its own.
    """
    import torch

    threads = max(1, (os.cpu_count() or 1) // processes)
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    # Of processes that tests start, and of libraries that are loaded later.
    for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
        os.environ.setdefault(f"{library}_NUM_THREADS", str(threads))


if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    _share_cores(int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))

# The hook decorates by this name whatever is in a module.
jaxtyping.jaxtyped = typechecker.jaxtyped
install_import_hook(_checked_modules(), "typechecker.check")

# A shell starts background jobs with interrupts ignored, and their children inherit that: tests of Ctrl-C would fail.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of a file stay together, where nothing else is asked for: what they share is made and compiled once."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A process more than there are cores, as many tests wait for programs that they have started."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with Dask workers come first: one process of pytest-xdist has them all, and starts the workers once.

    They also run every method. So that not two processes compile the same kernels at the same time, the other
    processes, each of which begins with its part of the list, begin with tests of the report, which need almost none.
    """
    starts = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) - 1
    items.sort(key=lambda item: "two_workers" not in getattr(item, "fixturenames", ()))
    report = [item for item in items if item.path.is_relative_to(_REPORT)]
    others = [item for item in items if not item.path.is_relative_to(_REPORT)]
    for start in range(starts, 0, -1):
        share = report[len(report) * (start - 1) // starts : len(report) * start // starts]
        at = len(others) * start // (starts + 1)
        others[at:at] = share
    items[:] = others if starts else items


@pytest.fixture(scope="session")
def two_workers() -> Iterator[Any]:
    """Two Dask workers (`compute.Workers`), started once, as that takes seconds: every test leaves them idle."""
    from cryobench.compute.workers import open_workers

    with open_workers(2) as workers:
        yield workers


@pytest.fixture
def quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of reports as empty SVG files, for tests of other parts of a page: drawing them is most of its time."""

    def write_empty(figure: Any, path: Path) -> None:
        path.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")

    monkeypatch.setattr("cryobench.report.drawing.draw.save_svg", write_empty)


@pytest.fixture(autouse=True)
def check_first_calls() -> None:
    """Annotated shapes are checked anew in every test."""
    typechecker.calls.clear()


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """Threads as they were: bits of methods depend on their number."""
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    seed = int.from_bytes(hashlib.sha256(request.node.nodeid.encode()).digest()[:8], "little")
    return np.random.default_rng(seed)
