"""Procedural mixture: up to 1,000 different complexes, numbered so that small mixtures are subsets of large ones.

Complex 0, 1, 2, ... is always the same, whatever the size of the mixture. The first 100 have the masses of the
published set, each once, in an order that spreads any first few of them over the whole range; from 100 on,
masses follow the distribution of the published ones (their quantiles). Of every hundred 45 have no symmetry.

Only the first 100 are tested to be distinct, with correlations below 0.9 after alignment: in larger mixtures some
pairs are more similar than that.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cryobench import rng
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.procedural.complexes import procedural_complex
from cryobench.recipes.published import TOMOTWIN_ASYMMETRIC, TOMOTWIN_MASSES_KDA
from cryobench.rotations import point_group

MOST_COMPLEXES = 1000
"""Number of complexes in the family."""

SYMMETRY_WEIGHTS = {
    "C2": 12, "C3": 7, "C4": 5, "C5": 3, "C6": 3, "C7": 2, "C8": 2,
    "D2": 8, "D3": 5, "D4": 3, "D5": 1, "D6": 1, "D7": 1, "T": 1, "O": 1,
}  # fmt: skip
"""Relative frequency of each point group among symmetric complexes, if subunits then have 12 kDa or more."""

_LEAST_SUBUNIT = 12.0

# Complexes drawn again, and how often, because earlier draws resembled one of lower number: at 22 Å a correlation
# above 0.87 over a grid of rotations about the centre of mass, to which finer angles and shifts add 0.01.
_REDRAWN: dict[int, int] = {38: 10, 41: 4, 63: 1, 75: 1, 85: 4, 88: 3}


@dataclass(frozen=True)
class ProceduralComplex:
    """One complex of the family: its parameters."""

    number: int
    mass_kda: float
    symmetry: str
    seed: int

    @property
    def name(self) -> str:
        """Name such as "017-D3": number in the family and point group."""
        return f"{self.number:03d}-{self.symmetry}"

    def build(self) -> AtomicModel:
        """Its atoms, centred."""
        return procedural_complex(self.mass_kda, self.symmetry, seed=self.seed)


def procedural_complexes(n: int) -> list[ProceduralComplex]:
    """The first ``n`` complexes of the family, sorted by mass. ValueError unless 1 <= n <= 1000.

    The mixtures of 10, 25, 50, 75 and 100 are subsets of one another, and that of 100 has the published masses.
    """
    if not 1 <= n <= MOST_COMPLEXES:
        raise ValueError(f"the family has 1 to {MOST_COMPLEXES} complexes, got {n}.")
    chosen = [_describe(number) for number in range(n)]
    return sorted(chosen, key=lambda item: (item.mass_kda, item.number))


def _describe(number: int) -> ProceduralComplex:
    mass = _masses()[number]
    asymmetric = _count_asymmetric(number + 1) > _count_asymmetric(number)
    symmetry = "C1" if asymmetric else _draw_symmetry(number, mass)
    return ProceduralComplex(number, mass, symmetry, number + MOST_COMPLEXES * _REDRAWN.get(number, 0))


@lru_cache(maxsize=1)
def _masses() -> tuple[float, ...]:
    """Mass in kDa of all complexes by number."""
    published = np.sort(np.array(TOMOTWIN_MASSES_KDA, dtype=np.float64))
    count = len(published)
    # Bit-reversed ranks fill halves, then quarters, then eighths of the range.
    bits = int(count - 1).bit_length()
    order = sorted(range(count), key=lambda rank: int(f"{rank:0{bits}b}"[::-1], 2))
    # Multiples of the golden ratio modulo one spread any number of quantiles evenly.
    quantiles = (np.arange(1, MOST_COMPLEXES - count + 1) * (np.sqrt(5) - 1) / 2) % 1
    further = np.round(np.interp(quantiles * (count - 1), np.arange(count), published), 1)
    return (*published[order].tolist(), *further.tolist())


def _count_asymmetric(numbers: int) -> int:
    """Number of complexes without symmetry among the first ``numbers``."""
    return numbers * TOMOTWIN_ASYMMETRIC // len(TOMOTWIN_MASSES_KDA)


def _draw_symmetry(number: int, mass: float) -> str:
    names = list(SYMMETRY_WEIGHTS)
    weights = np.array([SYMMETRY_WEIGHTS[name] for name in names], dtype=np.float64)
    copies = np.array([len(point_group(name)) for name in names])
    weights[mass / copies < _LEAST_SUBUNIT] = 0.0
    generator = rng.stream(0, "symmetry of procedural complexes", number)
    return names[int(generator.choice(len(names), p=weights / weights.sum()))]
