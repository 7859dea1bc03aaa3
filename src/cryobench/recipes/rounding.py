"""Numbers rounded to the digits that agree on every machine.

Matrix products, factorisations, sines and square roots of other processors and libraries differ in their last bits.
Where such a number is written to a file, or affects every image, it is rounded far above those bits and far below
its accuracy.
"""

import numpy as np
from jaxtyping import Float

from cryobench.atoms.model import AtomicModel

_POSITION_DECIMALS = 4
_COORDINATE_DECIMALS = 6
_LEVEL_DIGITS = 6


def round_positions(model: AtomicModel) -> AtomicModel:
    """Model with positions in steps of 0.0001 Å, a tenth of a PDB file's."""
    return model.with_positions(np.round(model.positions, _POSITION_DECIMALS))


def round_coordinates(values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Computed collective variables and embeddings, in steps of 10⁻⁶ of their unit (Å, radian, kDa)."""
    return np.round(values, _COORDINATE_DECIMALS)


def round_level(value: float | np.floating) -> float:
    """A measured variance or ratio, to six significant digits."""
    return float(f"{value:.{_LEVEL_DIGITS - 1}e}")
