"""What users of such models are advised to look at, said where it was found."""

from collections.abc import Iterator

import numpy as np

from cryobench.methods.flex_3d.settings import RANGE, Flex3DSettings
from cryobench.methods.flex_3d.what_moved import Strain

_BORDER, _PILED = 0.95, 0.1
_STIRRED = 0.25
"""Voxels of motion below which there is none."""
_JELLY, _GROWN = 0.15, 0.15
_TAIL = 0.25
"""Of the half-set FSC: a tight mask alone leaves less."""


def advise(
    latents: np.ndarray,
    strain: Strain,
    curve: np.ndarray,
    pixel_size: float,
    settings: Flex3DSettings,
) -> Iterator[str]:
    """Notes of a run, from its latents (n, k), its strain, and the half-set FSC (s,) of its map."""
    piled = float((np.abs(latents) > _BORDER * RANGE).any(axis=1).mean())
    if piled > _PILED:
        yield (
            f"{piled:.0%} of the latents lie at the border of their range of ±{RANGE:g}: raise centring "
            f"({settings.centring:g}) to draw them back."
        )
    widest = float(latents.std(axis=0).max())
    if settings.latent_noise and widest < settings.latent_noise:
        yield (
            f"The latents have collapsed: their deviation of {widest:.2g} is below that of the noise put on them, "
            f"{settings.latent_noise:g}. Lower centring ({settings.centring:g}) to let them spread."
        )
    if strain.moved < _STIRRED * pixel_size:
        yield (
            f"Nothing moves: {strain.moved:.2g} Å in the root mean square, on voxels of {pixel_size:.3g} Å. Lower "
            f"rigidity ({settings.rigidity:g}), or give a wider mask."
        )
    if strain.growth > _GROWN:
        yield (
            f"Elements that hold density grow and shrink by {strain.growth:.0%} from particle to particle. No motion "
            "makes density appear or vanish: where composition varies, it is mimicked by expansion, and residuals "
            "stay. Classify first, or use a method whose volumes are free."
        )
    elif strain.stretch > _JELLY:
        yield (
            f"Elements that hold density are stretched by {strain.stretch:.0%} in the root mean square: helices may "
            f"move like jelly. Raise rigidity ({settings.rigidity:g}), or name rigid segments."
        )
    tail = float(np.mean(curve[-max(2, len(curve) // 10) - 1 : -1]))
    if tail > _TAIL:
        yield (
            f"The half-set FSC ends at {tail:.2f} instead of zero: the images are sampled too coarsely for the map, "
            f"or the maps of the half-sets have not converged. Try map_iterations={2 * settings.map_iterations}."
        )
