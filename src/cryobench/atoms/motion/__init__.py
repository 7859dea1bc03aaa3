"""Motions that make conformations: turns about an axis, hinged domains, slow modes, and superposition."""
