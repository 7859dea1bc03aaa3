"""Atomic models: positions in Å in the order (x, y, z), elements, and the names that select parts of them."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import gemmi
import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64, Shaped

_HYDROGEN_WEIGHT = gemmi.Element("H").weight
# Weight in Da by atomic number; index 0 is never used.
_WEIGHTS = np.array([gemmi.Element(number).weight for number in range(119)])


@dataclass(frozen=True, eq=False)
class AtomicModel:
    """One conformation of a molecule: one entry per atom in every array, all arrays read-only.

    `AtomicModel.from_positions` makes names if there are none.

    Parameters
    ----------
    positions
        (a, 3) in Å, (x, y, z). Finite.
    atomic_numbers
        (a,) 1 (hydrogen) to 118.
    b_factors, occupancies
        (a,) as in the file, Å² and a fraction; neither affects a density made here (nor in molmap).
    chains, residue_names, atom_names
        (a,) text: author chain name, component ("ALA"), atom ("CA").
    residue_numbers, insertion_codes
        (a,) author numbering; the code is "" for most residues.

    Raises
    ------
    ValueError
        If there are no atoms, arrays differ in length, a position is not finite, or an element is unknown.
    """

    positions: Float64[np.ndarray, "a 3"]
    atomic_numbers: Int64[np.ndarray, " a"]
    b_factors: Float64[np.ndarray, " a"]
    occupancies: Float64[np.ndarray, " a"]
    chains: Shaped[np.ndarray, " a"]
    residue_numbers: Int64[np.ndarray, " a"]
    insertion_codes: Shaped[np.ndarray, " a"]
    residue_names: Shaped[np.ndarray, " a"]
    atom_names: Shaped[np.ndarray, " a"]

    def __post_init__(self) -> None:
        kinds = {"atomic_numbers": np.int64, "residue_numbers": np.int64}
        kinds |= dict.fromkeys(("positions", "b_factors", "occupancies"), np.float64)
        for field in fields(self):
            given = getattr(self, field.name)
            kind = np.dtype(kinds.get(field.name, np.str_))
            if isinstance(given, np.ndarray) and _is_settled(given, kind):
                continue
            array = np.array(given, dtype=kind, order="C")
            array.setflags(write=False)
            object.__setattr__(self, field.name, array)
        if self.positions.ndim != 2 or self.positions.shape[1] != 3:
            raise ValueError(f"positions must have shape (atoms, 3), got {self.positions.shape}.")
        count = len(self.positions)
        if count == 0:
            raise ValueError("an atomic model needs at least one atom, got none.")
        for field in fields(self):
            if len(getattr(self, field.name)) != count:
                raise ValueError(
                    f"{field.name} has {len(getattr(self, field.name))} entries for {count} positions: "
                    "every array holds one entry per atom."
                )
        bad = ~np.isfinite(self.positions).all(axis=1)
        if bad.any():
            raise ValueError(f"positions of {bad.sum()} atoms are not finite, the first at index {bad.argmax()}.")
        wrong = (self.atomic_numbers < 1) | (self.atomic_numbers > 118)
        if wrong.any():
            found = sorted(set(self.atomic_numbers[wrong].tolist()))
            raise ValueError(f"atomic numbers must be between 1 and 118, got {found}.")

    @classmethod
    def from_positions(
        cls, positions: Float[np.ndarray, "a 3"], atomic_numbers: Int[np.ndarray, " a"], **others: np.ndarray
    ) -> "AtomicModel":
        """Model of fully occupied atoms without B factor; ``others`` are further fields.

        Without names, each atom is its own residue "UNK" of chain "A", named by its element.
        """
        count = len(positions)
        bare = {
            "b_factors": np.zeros(count),
            "occupancies": np.ones(count),
            "chains": np.full(count, "A"),
            "residue_numbers": np.arange(1, count + 1),
            "insertion_codes": np.full(count, ""),
            "residue_names": np.full(count, "UNK"),
        }
        if "atom_names" not in others:
            bare["atom_names"] = np.array([gemmi.Element(int(number)).name.upper() for number in atomic_numbers])
        return cls(positions=positions, atomic_numbers=atomic_numbers, **(bare | others))

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        chains = ", ".join(list_chains(self))
        return f"AtomicModel({len(self)} atoms, chains {chains}, {self.mass / 1000:.1f} kDa)"

    @property
    def weights(self) -> Float64[np.ndarray, " a"]:
        """Atomic weight of each atom in Da."""
        return _WEIGHTS[self.atomic_numbers]

    @property
    def mass(self) -> float:
        """Mass in Da of the atoms in the model; hydrogens count only if modelled."""
        return float(self.weights.sum())

    @cached_property
    def mass_with_hydrogens(self) -> float:
        """Mass in Da including hydrogens that most models leave out.

        See ``missing_hydrogens``: accurate up to the two hydrogens of each chain's ends.
        """
        return self.mass + float(missing_hydrogens(self).sum()) * _HYDROGEN_WEIGHT

    @property
    def centre_of_mass(self) -> Float64[np.ndarray, "3"]:
        """(x, y, z) in Å of the mean position, weighted by atomic weight."""
        return self.weights @ self.positions / self.mass

    def select(self, mask: Bool[np.ndarray, " a"]) -> "AtomicModel":
        """Model of the atoms where ``mask`` is true, in their order. ValueError if none is."""
        if not mask.any():
            raise ValueError(f"the selection holds none of the model's {len(self)} atoms.")
        return AtomicModel(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})

    def with_positions(self, positions: Float[np.ndarray, "a 3"]) -> Self:
        """The same atoms at other positions (Å)."""
        return replace(self, positions=positions)

    def centred(self) -> Self:
        """The model translated so that its centre of mass is at the origin.

        Centre the first state only and derive the others from it: centring each one would add a motion.
        """
        return self.with_positions(self.positions - self.centre_of_mass)

    def transformed(
        self,
        rotation: Float[np.ndarray, "3 3"],
        translation: Float[np.ndarray, "3"] | None = None,
        mask: Bool[np.ndarray, " a"] | None = None,
    ) -> Self:
        """x' = rotation x + translation (Å), of all atoms or of those where ``mask`` is true."""
        _check_rotation(rotation)
        chosen = np.ones(len(self), dtype=bool) if mask is None else mask
        moved = self.positions.copy()
        moved[chosen] = moved[chosen] @ rotation.T + (0.0 if translation is None else translation)
        return self.with_positions(moved)


def _is_settled(array: np.ndarray, kind: np.dtype) -> bool:
    """Whether models may use an array in common unchanged: right type, own memory, read-only."""
    same_type = array.dtype == kind or (kind.kind == "U" and array.dtype.kind == "U")
    return same_type and array.base is None and array.flags.c_contiguous and not array.flags.writeable


def _check_rotation(rotation: np.ndarray) -> None:
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5) or np.linalg.det(rotation) < 0:
        raise ValueError(f"a rotation must be a proper orthogonal matrix, got\n{rotation}")


def list_chains(model: AtomicModel) -> list[str]:
    """Chain names in the order of their first atom."""
    return list(dict.fromkeys(model.chains.tolist()))


def residue_starts(model: AtomicModel) -> Int64[np.ndarray, " r"]:
    """Index of the first atom of each residue: where chain, number, code or component changes."""
    change = np.zeros(len(model), dtype=bool)
    change[0] = True
    for key in (model.chains, model.residue_numbers, model.insertion_codes, model.residue_names):
        change[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(change)


def is_alpha_carbon(model: AtomicModel) -> Bool[np.ndarray, " a"]:
    """Mask of atoms named CA that are carbon, not calcium."""
    return (model.atom_names == "CA") & (model.atomic_numbers == 6)


def missing_hydrogens(model: AtomicModel) -> Int64[np.ndarray, " r"]:
    """(r,) number of hydrogens of each residue that are missing from the model.

    A residue without any hydrogen lacks those of its component (gemmi's table) minus two, replaced by the bonds to
    its neighbours; an unknown component lacks none.
    """
    starts = residue_starts(model)
    complete = np.logical_or.reduceat(model.atomic_numbers == 1, starts)
    names, which = np.unique(model.residue_names[starts], return_inverse=True)
    components = [gemmi.find_tabulated_residue(str(name)) for name in names]
    lacking = np.array(
        [max(each.hydrogen_count - 2, 0) if each.found() else 0 for each in components], dtype=np.int64
    )
    return np.where(complete, 0, lacking[which])


def select_residues(
    model: AtomicModel, chain: str, first: int | None = None, last: int | None = None
) -> Bool[np.ndarray, " a"]:
    """Mask of the atoms of one chain, from residue ``first`` to ``last``, both included (author numbering).

    ValueError, naming the contents of the model, if there is no such chain or none of its residues is in range.
    """
    mask = model.chains == chain
    if not mask.any():
        raise ValueError(
            f"no chain {chain!r} in the structure; its chains are {', '.join(list_chains(model))}. "
            "Name the chain as in the file (author names, case matters)."
        )
    present = model.residue_numbers[mask]
    lower = present.min() if first is None else first
    upper = present.max() if last is None else last
    mask &= (model.residue_numbers >= lower) & (model.residue_numbers <= upper)
    if not mask.any():
        raise ValueError(
            f"chain {chain!r} has no residue between {lower} and {upper}; its residues run from "
            f"{present.min()} to {present.max()}."
        )
    return mask


def find_atom(model: AtomicModel, chain: str, residue_number: int, atom_name: str) -> int:
    """Index of one atom of the residue without insertion code. ValueError if the model lacks it."""
    residue = select_residues(model, chain, residue_number, residue_number)
    found = np.flatnonzero(residue & (model.atom_names == atom_name) & (model.insertion_codes == ""))
    if len(found) == 0:
        raise ValueError(f"residue {residue_number} of chain {chain!r} has no atom {atom_name!r}.")
    return int(found[0])
