"""Notes for the user on common problems of such models, where a run shows them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from cryobench.methods.flex_3d.composition import Composition
from cryobench.methods.flex_3d.motion_findings import Strain
from cryobench.methods.flex_3d.settings import RANGE, Flex3DSettings

_BORDER, _PILED = 0.95, 0.1
_STIRRED = 0.25
"""Voxels of motion below which the map counts as rigid."""
_JELLY, _GROWN = 0.15, 0.15
_TAIL = 0.25
"""Tail of the half-set FSC; a tight mask alone gives less."""
_COMING, _SIGNIFICANT = 0.3, 4.0
"""Standard deviation of a part's density, and its variance in standard errors: 0.06 and 2 after motion that the mesh
follows, up to 0.23 after coarse or short training on it."""


def advise(
    latents: Float[np.ndarray, "n k"],
    strain: Strain,
    composition: Composition,
    curve: Float[np.ndarray, "s"],
    pixel_size: float,
    settings: Flex3DSettings,
) -> Iterator[str]:
    """Notes of a run, from its latents (n, k), its strain, and the half-set FSC (s,) of its map."""
    piled = float((np.abs(latents) > _BORDER * RANGE).any(axis=1).mean())
    if piled > _PILED:
        yield (
            f"{piled:.0%} of the latents are at the border of their range of ±{RANGE:g}: raise centring "
            f"({settings.centring:g}) to draw them back."
        )
    widest = float(latents.std(axis=0).max())
    if settings.latent_noise and widest < settings.latent_noise:
        yield (
            f"The latents have collapsed: their standard deviation of {widest:.2g} is below that of their noise, "
            f"{settings.latent_noise:g}. Lower centring ({settings.centring:g}) to let them spread."
        )
    if strain.moved < _STIRRED * pixel_size:
        yield (
            f"The map does not move: {strain.moved:.2g} Å in the root mean square, on voxels of {pixel_size:.3g} Å. "
            f"Lower rigidity ({settings.rigidity:g}), or give a wider mask."
        )
    if strain.growth > _GROWN:
        yield (
            f"Elements with density expand and shrink by {strain.growth:.0%} from particle to particle. Deformation "
            "conserves density: it mimics compositional heterogeneity by expansion, and residuals "
            "remain. Classify first, or use a method without conserved density."
        )
    elif strain.stretch > _JELLY:
        yield (
            f"Elements with density are stretched by {strain.stretch:.0%} in the root mean square: helices may "
            f"deform like jelly. Raise rigidity ({settings.rigidity:g}), or set rigid_segments."
        )
    varied = np.sqrt(composition.variance.clip(min=0))
    coming = (varied > _COMING) & (composition.variance > _SIGNIFICANT * composition.error)
    if coming.any():
        yield (
            f"Density comes and goes in {coming.sum()} of {len(coming)} parts of the map, by up to "
            f"{varied[coming].max():.0%} of its mean (standard deviation over the particles), after motion and "
            "contrast. A deformation conserves density and cannot model that: the composition varies, or a motion is "
            "beyond the mesh. Classify first, or use another method."
        )
    tail = float(np.mean(curve[-max(2, len(curve) // 10) - 1 : -1]))
    if tail > _TAIL:
        yield (
            f"The half-set FSC ends at {tail:.2f} instead of zero: the images are sampled too coarsely for the map, "
            f"or the half-maps have not converged. Try --set map_iterations={2 * settings.map_iterations}."
        )
