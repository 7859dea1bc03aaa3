"""Mending what tables say: the change of a hypothesis, made to the particles themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cryobench._errors import UnknownName
from cryobench.check.hypotheses import CTF, GEOMETRY, Hypothesis
from cryobench.check.reading import Stated
from cryobench.data import Particles


def list_mendable() -> dict[str, Hypothesis]:
    """Hypotheses about tables, which can be mended when they are read, by name."""
    return {each.name: each for each in (*GEOMETRY, *CTF) if each.tables is not None}


def mend_particles(particles: Particles, names: Sequence[str]) -> Particles:
    """Particles whose CTFs and poses are read as hypotheses say, one after the other.

    Raises
    ------
    UnknownName
        If no hypothesis about tables has such a name.
    ValueError
        If the particles have no poses.
    """
    known = list_mendable()
    for name in names:
        if name not in known:
            raise UnknownName("mend", name, sorted(known))
    if not names:
        return particles
    stated = Stated.of(particles)
    for name in names:
        change = known[name].tables
        assert change is not None
        stated = change(stated)
    return replace(
        particles,
        ctf=stated.ctf,
        rotations=stated.rotations,
        shifts=stated.shifts,
        pixel_size=stated.pixel_size,
    )
