"""Projection in real space: of atoms, of volumes, and of voxels that a mesh moves."""
