"""Motions that make conformations: rotation about an axis, hinged domains, slow modes, and superposition."""
