"""Main-chain atoms N, CA, C, O and the first side-chain atom CB from a CA trace.

Each peptide is a rigid, planar, trans unit along CA(i) to CA(i+1); its plane is the one in which successive
bonds of the trace bend to opposite sides, as in strands, which is where carbonyls point in a sheet. Coordinates
of the unit follow from ideal bond lengths and angles (Engh & Huber, Acta Cryst. A47:392, 1991).
"""

import numpy as np
from jaxtyping import Float

# Along and across the line of the two CA atoms, Å; the carbonyl oxygen is on the negative side.
_CARBON = (1.434, -0.518)
_OXYGEN = (1.653, -1.730)
_NITROGEN = (2.407, 0.387)
# CB in the frame of (outward bisector, normal of the bend, their cross product), L-amino acids.
_BETA = (1.33, -0.74, -0.10)


def build_backbone(trace: Float[np.ndarray, "r 3"]) -> dict[str, Float[np.ndarray, "r 3"]]:
    """Positions of N, CA, C, O and CB of every residue of one chain, by atom name, in Å.

    Where successive bonds bend to the same side, as along a smooth loop, there is no such plane: the carbonyl then
    points along the normal of the bend.
    """
    # Beyond its ends the trace is extended as a zigzag.
    before = trace[0] + trace[1] - trace[2]
    after = trace[-1] + trace[-2] - trace[-3]
    extended = np.concatenate([[before], trace, [after]])
    bonds = np.diff(extended, axis=0)
    bends = np.cross(bonds[:-1], bonds[1:])
    bends = bends / np.maximum(np.linalg.norm(bends, axis=1, keepdims=True), 1e-6)
    along = _normalise(bonds)
    # Peptide unit of bond i, from CA(i - 1) to CA(i) of the extended trace; the outer two borrow a neighbour's.
    side = np.concatenate([[-bends[0]], bends[:-1] - bends[1:], [bends[-1]]])
    same = np.concatenate([[bends[0]], bends[:-1] + bends[1:], [bends[-1]]])
    side = np.where((side**2).sum(1, keepdims=True) < (same**2).sum(1, keepdims=True), same, side)
    side = side - (side * along).sum(1, keepdims=True) * along
    across = _normalise(side)

    def lay(place: tuple[float, float], start: slice, units: slice) -> Float[np.ndarray, "r 3"]:
        return extended[start] + place[0] * along[units] + place[1] * across[units]

    own, previous = slice(1, -1), slice(0, -2)
    outward = _normalise(along[:-1] - along[1:])
    frame = np.stack([outward, bends, np.cross(outward, bends)], axis=1)
    return {
        "N": lay(_NITROGEN, previous, slice(0, -1)),
        "CA": trace.copy(),
        "C": lay(_CARBON, own, slice(1, None)),
        "O": lay(_OXYGEN, own, slice(1, None)),
        "CB": trace + np.einsum("k,rkx->rx", np.array(_BETA), frame),
    }


def _normalise(vectors: Float[np.ndarray, "r 3"]) -> Float[np.ndarray, "r 3"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
