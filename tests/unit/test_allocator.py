"""Memory that is used again: page faults of a process that makes and frees a large array many times."""

import platform
import subprocess
import sys

import pytest

from cryobench._allocator import KEEP_FREED_ENVIRONMENT

_ROUNDS = 20
_PROGRAM = """
import resource, sys
import numpy as np
from cryobench._allocator import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(int(sys.argv[2])):
    np.ones(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="options of glibc")
def test_a_large_array_is_put_where_a_freed_one_was():
    def count_faults(name: str, environment: dict[str, str]) -> int:
        command = [sys.executable, "-c", _PROGRAM, name, str(_ROUNDS)]
        return int(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)

    named = {name: str(value) for name, value in KEEP_FREED_ENVIRONMENT.items()}
    assert count_faults("fresh", {}) > 10 * _ROUNDS  # 32 huge pages each, or 16,384 small ones
    assert count_faults("kept", {}) < _ROUNDS
    assert count_faults("fresh", named) < _ROUNDS
