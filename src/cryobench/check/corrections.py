"""Correct the tables of particles by the change of a hypothesis.

Flipped phases are not corrected in tables: images are unflipped when read, as if the table stated the flip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cryobench._errors import UnknownName
from cryobench.check.hypotheses.catalogue import CTF, GEOMETRY, HAND, Hypothesis
from cryobench.check.hypotheses.reading import Stated
from cryobench.data import Particles
from cryobench.io.programs.phase_flips import UnflippedImages, stacks_of


def list_mendable() -> dict[str, Hypothesis]:
    """Hypotheses that are corrected by another reading of tables or images, by name."""
    everything = (*GEOMETRY, *CTF, HAND)
    return {each.name: each for each in everything if each.mending is not None or each.form == "flipped"}


def mend_particles(particles: Particles, names: Sequence[str]) -> Particles:
    """Particles whose CTFs and poses are changed as the hypotheses state, one after the other.

    Raises
    ------
    UnknownName
        If no hypothesis about tables has such a name.
    ValueError
        If the particles have no poses, and the mend is of more than their CTF or pixel size; if phases are to be
        unflipped in images that do not come from MRC stacks.
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
        stated = stated if change is None else change(stated)
    mended = replace(particles, ctf=stated.ctf, pixel_size=stated.pixel_size)
    if any(known[name].form == "flipped" for name in names):
        mended = replace(mended, images=_turn_phases_back(mended))
    return replace(mended, rotations=stated.rotations, shifts=stated.shifts) if posed else mended


def _turn_phases_back(particles: Particles) -> UnflippedImages:
    stacks = stacks_of(particles.images)
    if stacks is None:
        raise ValueError("phases can be unflipped in MRC stacks only: write these images to a stack and adopt it.")
    return UnflippedImages(stacks, particles.ctf, particles.pixel_size, np.ones(len(particles), dtype=bool))
