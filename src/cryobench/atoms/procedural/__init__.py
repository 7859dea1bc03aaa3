"""Structures made without any file: an antibody."""

from cryobench.atoms.procedural.antibody import procedural_antibody

__all__ = ["procedural_antibody"]
