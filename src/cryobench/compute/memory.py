"""Memory budgets: how much a process may use, and whether a method fits.

A budget never changes the result. Required memory fits or raises an error that states what would fit; the rest
keeps images in memory, which only makes passes faster.
"""

import re
from collections.abc import Callable
from pathlib import Path

import psutil

from cryobench._errors import CryobenchError

DEFAULT_SHARE = 0.7
"""Fraction of the memory that the process may use."""
_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class MemoryShortage(CryobenchError, ValueError):
    """The requested sizes do not fit in the memory budget; the message states what would."""


def parse_memory(amount: str | float) -> int:
    """Bytes of an amount such as "8GB", "500 MiB" or 8e9. ValueError if it is invalid or not positive."""
    if isinstance(amount, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:[eE]\d+)?)\s*([kmgt]?i?)b?\s*", amount, flags=re.IGNORECASE)
        if match is None or match[2].lower() not in _UNITS:
            raise ValueError(f"memory must be an amount such as 8GB or 500MB, got {amount!r}.")
        amount = float(match[1]) * _UNITS[match[2].lower()]
    number = float(amount)
    if not number >= 1:
        raise ValueError(f"memory must be positive, got {amount!r}.")
    return int(number)


def format_bytes(amount: float) -> str:
    """Number of bytes as text, in a suitable unit: "350 MB", "8.24 GB"."""
    value, unit = float(amount), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def usable_memory() -> int:
    """Bytes this process may use: what it has and what is available now, within the limit of its control group."""
    limits = [psutil.virtual_memory().available + psutil.Process().memory_info().rss]
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(limits)


def default_budget() -> int:
    """Default budget in bytes: a fraction of what the process may use."""
    return int(DEFAULT_SHARE * usable_memory())


def reserve(
    budget: float,
    needed: Callable[[int], float],
    count: int,
    *,
    items: str,
    setting: str | None,
    advice: str = "",
    n_workers: int = 1,
) -> float:
    """Bytes of a budget that are left after ``count`` items.

    Parameters
    ----------
    needed
        Bytes of that many items in total, growing with their number.
    items
        Description, such as "classes of 128 px".
    setting
        Setting of their number, as the user types it: "n_classes"; None if the data determine it.
    advice
        Further ways out, as a sentence.
    n_workers
        Number of processes that each take that much, where ``budget`` is that of one of them.

    Raises
    ------
    MemoryShortage
        If they do not fit. The message states how much memory would suffice, and how many of them would fit.
    """
    wanted = needed(count)
    if wanted <= budget:
        return budget - wanted
    low, high = 0, count  # the largest number that fits is in low … high − 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if needed(middle) <= budget else (low, middle)
    fitting = "not even one would fit"
    if low > 0:
        fitting = f"{low} would fit" if setting is None else f"{setting}={low} would fit"
    whose = f" of each of {n_workers} workers" if n_workers > 1 else ""
    raise MemoryShortage(
        f"{count} {items} take {format_bytes(wanted)}, and the budget{whose} is {format_bytes(budget)}: {fitting}. "
        f"Or give --memory {_round_up(wanted * n_workers)}, if the machine has it.{' ' + advice if advice else ''}"
    )


def _round_up(amount: float) -> str:
    return f"{int(-(-amount // 1e9))}GB" if amount > 2e9 else f"{int(-(-amount // 1e7)) * 10}MB"
