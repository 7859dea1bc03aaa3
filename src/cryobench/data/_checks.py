"""Checks of the arrays of values, made once, on construction."""

from typing import Any

import numpy as np


def freeze(owner: Any, name: str, values: np.ndarray) -> np.ndarray:
    """Store a read-only view of an array in a frozen dataclass."""
    view = values.view()
    view.flags.writeable = False
    object.__setattr__(owner, name, view)
    return view


def check_shapes(owner: object, **shapes: str) -> None:
    """Raise ValueError unless the arrays of a value have these shapes, such as "k n n n".

    Equal letters are equal sizes, in the order given; parts that are None are left out.
    """
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        if getattr(owner, name) is None:
            continue
        axes, found, known = shape.split(), np.shape(getattr(owner, name)), dict(sizes)
        pairs = zip(axes, found, strict=False)
        wanted = [int(axis) if axis.isdigit() else sizes.setdefault(axis, size) for axis, size in pairs]
        if len(found) != len(axes) or list(found) != wanted:
            where = ", ".join(f"{axis} = {known[axis]}" for axis in dict.fromkeys(axes) if axis in known)
            raise ValueError(
                f"{name} of {type(owner).__name__} must have shape ({', '.join(axes)})"
                f"{f' with {where}' if where else ''}, got {found}."
            )


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


def check_poses(owner: Any, n: int) -> None:
    """Freeze ``rotations`` (n, 3, 3) and ``shifts`` (n, 2) of a value. ValueError unless proper, or both None."""
    if (owner.rotations is None) != (owner.shifts is None):
        raise ValueError("a pose is a rotation and a shift: give both rotations and shifts, or neither.")
    if owner.rotations is not None:
        freeze(owner, "rotations", check_rotations(owner.rotations, n))
        freeze(owner, "shifts", check_shape("shifts", owner.shifts, (n, 2)))
