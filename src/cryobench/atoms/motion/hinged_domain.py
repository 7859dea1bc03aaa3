"""Domains that open about hinges: the receptor-binding domains of a spike, one in each protomer.

Each domain is a range of residues. The bend is spread over the first and last ``bend`` residues of the range, which
turn by an increasing fraction of the angle, so that the chain stays intact; the residues between them turn as one
body. The axis passes through the middle of the bending residues, perpendicular to both the line from there to the
domain's centre and the direction of the domains from the rest of the molecule: a positive angle raises the domain. On
6VXX, with residues 325 to 533 and a bend of 8, openings from 0 to 60 degrees bring at most a handful of atoms within
2.5 Å of the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from cryobench.atoms.model import AtomicModel, is_alpha_carbon, list_chains, select_residues
from cryobench.atoms.motion.residues import Carriers
from cryobench.atoms.motion.superposition import fit_rigid_motions, move_rigidly


@dataclass(frozen=True, eq=False)
class HingedDomain:
    """One hinged domain, in the reference structure."""

    chain: str
    fraction: Float64[np.ndarray, " a"]
    """Fraction of the angle by which each atom turns: 1 in the domain, between 0 and 1 in the bend."""
    bend: Int64[np.ndarray, " b"]
    """Residues of the bend, by their index among carriers."""
    point: Float64[np.ndarray, "3"]
    """Point of the axis, Å: middle of the bend's CA atoms."""
    axis: Float64[np.ndarray, "3"]
    """Unit vector; right-handed rotation about it opens the domain."""
    lever: float
    """Root mean square distance of the turning CA atoms from the axis, each weighted by its fraction, Å."""
    turning: int
    """Number of turning CA atoms."""


def find_hinged_domains(
    model: AtomicModel, carriers: Carriers, chains: Sequence[str], first: int, last: int, bend: int
) -> list[HingedDomain]:
    """Domains of residues ``first`` to ``last`` (author numbers) of each chain.

    Raises ValueError, naming the contents of the structure, if a chain has too few of them, or has no others.
    """
    if last - first < 2 * bend + 1:
        raise ValueError(f"residues {first} to {last} are too few for a domain between two bends of {bend} residues.")
    anchors = carriers.anchors
    inside = {chain: _find_domain(model, carriers, chain, first, last, bend) for chain in chains}
    points = model.positions[anchors]
    moving = np.zeros(len(anchors), dtype=bool)
    for chain in chains:
        moving |= inside[chain]
    if moving.all():
        raise ValueError(f"residues {first} to {last} are the whole structure: there is no rest to turn against.")
    upward = points[moving].mean(axis=0) - points[~moving].mean(axis=0)
    return [_make_domain(model, carriers, chain, inside[chain], (first, last, bend), upward) for chain in chains]


def find_chains_with_domain(model: AtomicModel, first: int, last: int) -> list[str]:
    """Chains that have most (two thirds) of the residues ``first`` to ``last``, with a CA each."""
    alpha = is_alpha_carbon(model) & (model.residue_numbers >= first) & (model.residue_numbers <= last)
    counts = {chain: len(set(model.residue_numbers[alpha & (model.chains == chain)])) for chain in list_chains(model)}
    return [chain for chain, count in counts.items() if 3 * count >= 2 * (last - first + 1)]


def _find_domain(model: AtomicModel, carriers: Carriers, chain: str, first: int, last: int, bend: int) -> np.ndarray:
    selected = select_residues(model, chain, first, last)[carriers.anchors]
    numbers = model.residue_numbers[carriers.anchors[selected]]
    ends = numbers < first + bend, numbers > last - bend
    core = len(numbers) - int(ends[0].sum() + ends[1].sum())
    if not (ends[0].any() and ends[1].any() and core > 2):
        raise ValueError(
            f"chain {chain!r} has {len(numbers)} of the residues {first} to {last}, {int(ends[0].sum())} and "
            f"{int(ends[1].sum())} of the {bend} at either end: a domain and both its ends are needed."
        )
    return selected


def _make_domain(
    model: AtomicModel,
    carriers: Carriers,
    chain: str,
    inside: np.ndarray,
    extent: tuple[int, int, int],
    upward: np.ndarray,
) -> HingedDomain:
    first, last, bend = extent
    numbers = model.residue_numbers[carriers.anchors]
    from_ends = np.minimum(numbers - first, last - numbers) + 1
    fraction = np.where(inside, np.clip(from_ends / (bend + 1), 0, 1), 0.0)
    bending = np.flatnonzero(inside & (fraction < 1))
    points = model.positions[carriers.anchors]
    point = points[bending].mean(axis=0)
    arm = points[fraction == 1].mean(axis=0) - point
    axis = np.cross(arm, upward)
    length = np.linalg.norm(axis)
    if not length > 1e-3 * np.linalg.norm(arm) * np.linalg.norm(upward):
        raise ValueError(
            f"the domain of chain {chain!r} is aligned with its hinge: its opening direction is undefined."
        )
    axis = axis / length
    offset = points[inside] - point
    distance = np.linalg.norm(offset - np.outer(offset @ axis, axis), axis=1) * fraction[inside]
    return HingedDomain(
        chain,
        fraction[carriers.carrier],
        bending,
        point,
        axis,
        float(np.sqrt((distance**2).mean())),
        int(inside.sum()),
    )


def measure_openings(
    positions: Float64[np.ndarray, "m a 3"], reference: AtomicModel, domains: Sequence[HingedDomain]
) -> Float64[np.ndarray, "m domains"]:
    """(m, domains) opening angle in radian of each domain in each conformation, 0 in the reference.

    The rest of the domain's chain (CA atoms; if there is none, of all chains) is superposed on the reference; the
    angle is that of the line from the hinge to the domain's centre, seen along the axis, in (−π, π].
    """
    alpha = is_alpha_carbon(reference)
    turning = np.zeros(len(reference), dtype=bool)
    for domain in domains:
        turning |= domain.fraction > 0
    angles = np.empty((len(positions), len(domains)))
    for column, domain in enumerate(domains):
        still = alpha & ~turning & (reference.chains == domain.chain)
        still = still if still.sum() >= 3 else alpha & ~turning
        moved = alpha & (domain.fraction == 1)
        motion = fit_rigid_motions(positions[:, still], reference.positions[still])
        centres = move_rigidly(positions[:, moved].mean(axis=1, keepdims=True), *motion)[:, 0]
        before = reference.positions[moved].mean(axis=0) - domain.point
        after = centres - domain.point
        sine = np.cross(before, after) @ domain.axis
        cosine = after @ before - (after @ domain.axis) * (before @ domain.axis)
        angles[:, column] = np.arctan2(sine, cosine)
    return angles
