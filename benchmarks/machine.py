"""Name of the machine of a benchmark, in one line."""

import os
import platform
from pathlib import Path

import numba
import torch


def describe_machine() -> str:
    """Processor, cores in use, and the versions that matter for speed."""
    information = Path("/proc/cpuinfo")
    processor = platform.processor() or platform.machine()
    if information.exists():
        names = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return f"{processor}, {os.cpu_count()} cores, torch {torch.__version__}, numba {numba.__version__}"
