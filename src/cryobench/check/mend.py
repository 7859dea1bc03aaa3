"""Mending what tables say: the change of a hypothesis, made to the particles themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cryobench._errors import UnknownName
from cryobench.check.hypotheses import CTF, GEOMETRY, HAND, Hypothesis
from cryobench.check.reading import Stated
from cryobench.data import Particles


def list_mendable() -> dict[str, Hypothesis]:
    """Hypotheses that are mended by reading tables otherwise, by name."""
    return {each.name: each for each in (*GEOMETRY, *CTF, HAND) if each.mending is not None}


def mend_particles(particles: Particles, names: Sequence[str]) -> Particles:
    """Particles whose CTFs and poses are read as hypotheses say, one after the other.

    Raises
    ------
    UnknownName
        If no hypothesis about tables has such a name.
    ValueError
        If the particles have no poses, and more than their CTF or pixel size is to be mended.
    """
    known = list_mendable()
    for name in names:
        if name not in known:
            raise UnknownName("mend", name, sorted(known))
    if not names:
        return particles
    posed = particles.rotations is not None or not all(known[name].fine for name in names)
    stated = Stated.of(particles, posed=posed)
    for name in names:
        change = known[name].mending
        assert change is not None
        stated = change(stated)
    mended = replace(particles, ctf=stated.ctf, pixel_size=stated.pixel_size)
    return replace(mended, rotations=stated.rotations, shifts=stated.shifts) if posed else mended
