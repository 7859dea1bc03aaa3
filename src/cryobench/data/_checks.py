"""Checks of the arrays of values, made once, on construction."""

from typing import Any

import numpy as np


def freeze(owner: Any, name: str, values: np.ndarray) -> np.ndarray:
    """Store a read-only view of an array in a frozen dataclass."""
    view = values.view()
    view.flags.writeable = False
    object.__setattr__(owner, name, view)
    return view


def check_square(values: np.ndarray, rank: int, name: str) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != rank or len(set(values.shape[1:])) != 1:
        raise ValueError(f"{name} must have {rank} axes, all but the first of one size; got shape {values.shape}.")
    return values


def check_shape(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {values.shape}.")
    return values


def check_range(name: str, values: np.ndarray, low: int, high: int) -> None:
    bad = (values < low) | (values >= high)
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(f"{name} {values[first]} (entry {first}) is outside {low} to {high - 1}.")


def check_rotations(rotations: np.ndarray, n: int) -> np.ndarray:
    rotations = check_shape("rotations", rotations, (n, 3, 3))
    error = np.abs(rotations @ rotations.swapaxes(-1, -2) - np.eye(3)).max(axis=(1, 2), initial=0)
    with np.errstate(invalid="ignore"):  # a NaN is not a rotation and is reported below
        determinant = np.linalg.det(rotations)
    bad = ~(error < 1e-3) | ~(determinant > 0)
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"the rotation of particle {first} is not a proper rotation matrix (R Rᵀ off the identity by "
            f"{error[first]:.3g}, determinant {determinant[first]:.3g})."
        )
    return rotations
