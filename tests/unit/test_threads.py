"""One setting governs all work on the CPU: torch's threads, as OMP_NUM_THREADS says. No kernel changes it."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cryobench import _threads
from cryobench._threads import map_torch, run_parts, run_ranges

_SOURCE = Path(__file__).parents[2] / "src" / "cryobench"
_WORK = """
import numba, numpy, torch
from cryobench.fourier import fft_images, shell_power
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.noise import draw_white_noise
from cryobench.imaging.shift import shift_images
from cryobench.imaging.ctf_and_shift import apply_transfer

images = draw_white_noise(0, numpy.arange(8), 16)
spectra = fft_images(torch.from_numpy(images))
shift_images(spectra, torch.ones(8, 2), 16, pixel_size=2.0)
apply_transfer(spectra, Ctf.from_columns(8, defocus_u=1e4, defocus_v=1e4), torch.ones(8, 2), pixel_size=2.0)
shell_power(torch.from_numpy(draw_white_noise(0, numpy.arange(16), 16)))
print(torch.get_num_threads())
try:
    print(numba.threading_layer())
except ValueError:
    print("no layer")
"""


def test_kernels_leave_the_number_of_threads_alone():
    """Numba's own threads would start OpenMP anew, with as many as there are cores, for torch too."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    found = subprocess.run([sys.executable, "-c", _WORK], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[:2] == ["1", "no layer"]


def test_no_kernel_runs_on_threads_of_numba():
    kernels = [path for path in _SOURCE.rglob("*.py") if "njit" in path.read_text("utf-8")]
    assert kernels
    for path in kernels:
        assert "prange" not in path.read_text("utf-8"), path
        assert "parallel=True" not in path.read_text("utf-8"), path


@pytest.mark.parametrize("call", [map_torch, run_parts])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_nothing_is_begun_and_nothing_goes_on(monkeypatch, call, error):
    monkeypatch.setattr(_threads, "count_threads", lambda: 2)
    begun, ended = [], []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.05)
        if number == 0:
            raise error
        ended.append(number)

    with pytest.raises(error):
        call(work, [(number,) for number in range(100)])
    found = list(begun)
    time.sleep(0.2)
    assert begun == found
    assert len(found) < 10
    assert sorted(ended) == sorted(set(found) - {0})


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_ranges_cover_all_items_once(count):
    seen = np.zeros(count, int)

    def work(values: np.ndarray, first: int, last: int) -> None:
        values[first:last] += 1

    run_ranges(work, count, seen)
    assert (seen == 1).all()


@pytest.fixture
def two_threads():
    former = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(former)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_parts_have_one_thread_of_torch_each_unless_alone(count, two_threads):
    found = map_torch(lambda part: (part, torch.get_num_threads()), [(part,) for part in range(count)])
    assert found == [(part, 2 if count == 1 else 1) for part in range(count)]
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), later) == (2, [2])


def test_an_error_in_a_part_is_raised(two_threads):
    def fail(part: int) -> None:
        raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match="part"):
        map_torch(fail, [(0,), (1,)])
