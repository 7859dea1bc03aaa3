"""Projection in real space: of atoms, of volumes, and of voxels moved by a mesh."""
