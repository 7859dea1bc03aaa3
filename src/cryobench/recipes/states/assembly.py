"""The assembly graph of the procedural subunit: sixteen states, each larger than its predecessors.

It follows early 50S assembly as described by Qin et al. (Nat. Commun. 14:898, 2023) and the work they cite:
assembly begins with domain I and a few proteins; domains follow one by one, II and III in either order; domains I,
II, III and VI with their early proteins form a core; domains IV and V join it in either order; late components join
in small steps on several pathways: the central protuberance (5S rRNA and its proteins), the L1 stalk, the stalk base;
last the functional core with its surrounding proteins. Further details of protein binding were chosen for this
package: a protein joins with the rRNA that it binds or later.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from cryobench.atoms.tables import read_rows


@dataclass(frozen=True)
class AssemblyState:
    """One state: its predecessors' components, and those it adds."""

    name: str
    grows_from: tuple[str, ...]
    adds: tuple[str, ...]


def _split(cell: str) -> tuple[str, ...]:
    return tuple(cell.split("; ")) if cell else ()


ASSEMBLY_STATES = tuple(
    AssemblyState(row["name"], _split(row["grows_from"]), _split(row["adds"]))
    for row in read_rows(__file__, "assembly.csv")
)
"""In order of mass."""


def list_edges() -> Int[np.ndarray, "e 2"]:
    """Pairs of states (from, to): the edges of the assembly graph."""
    names = [state.name for state in ASSEMBLY_STATES]
    return np.array(
        [(names.index(earlier), index) for index, state in enumerate(ASSEMBLY_STATES) for earlier in state.grows_from]
    )


def list_presence(components: tuple[str, ...]) -> Bool[np.ndarray, "k c"]:
    """True if a state has a component.

    ValueError for a component in the table that is not in ``components``, or one that no state has.
    """
    presence = np.zeros((len(ASSEMBLY_STATES), len(components)), dtype=bool)
    names = [state.name for state in ASSEMBLY_STATES]
    for index, state in enumerate(ASSEMBLY_STATES):
        unknown = sorted(set(state.adds) - set(components))
        if unknown:
            raise ValueError(f"state {state.name!r} adds {', '.join(unknown)}, not among the components.")
        for earlier in state.grows_from:
            presence[index] |= presence[names.index(earlier)]
        presence[index, [components.index(name) for name in state.adds]] = True
    missing = [name for index, name in enumerate(components) if not presence[:, index].any()]
    if missing:
        raise ValueError(f"no state has {', '.join(missing)}.")
    return presence
