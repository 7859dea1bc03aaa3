"""The molecules of the recipes, read once: 1HZH and 6VXX, which are part of the package."""

from functools import lru_cache

from cryobench.atoms import AtomicModel, find_entry, read_structure


@lru_cache(maxsize=1)
def read_antibody() -> AtomicModel:
    """1HZH, 10,576 atoms with its glycans."""
    return read_structure(find_entry("1HZH").path)


@lru_cache(maxsize=1)
def read_spike() -> AtomicModel:
    """6VXX, 22,812 atoms, protein alone, about the origin."""
    return read_structure(find_entry("6VXX").path).centred()
