"""Structural-disentanglement prior: latents of other views are attracted if near, and repelled otherwise.

With d² = |z_i − z'|² + 10⁻³, averaged over an image's pairs and over the images of a batch of one view,

    log(1 + d²)             over the nearest of a pool of latents of other views
    + 3 log(1 + 1/d²)       over negatives, 0.8 (farthest of the pool) + 0.2 (random of the pool)
    + log(1 + 1/d²) min(d², 1)   over the images of the batch, 0 for itself; min(d², 1) carries no gradient
    + log(1 + d²)           over the two nearest of them

Images of one structure in other views should have the same latent, so a latent should have neighbours in every view;
the negatives prevent collapse. The pool comes from a bank, an average of each particle's latents over
its visits, initialised from N(0, 1); gradients do not reach it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.methods.opus_dsd.settings import OpusDsdSettings
from cryobench.rng import stream

KEPT = 0.7
"""Weight of a row of the bank at a visit; the rest is the new latent."""
_OFFSET = 1e-3
_NEGATIVES = 3.0
_FAR, _RANDOM = 0.8, 0.2
_NEAREST = 2


@dataclass(frozen=True)
class PoolSizes:
    """Numbers of latents of a full pool; of a smaller one the same fractions are taken, at least one."""

    bins: int
    whole: int
    neighbours: int
    negatives: int

    @classmethod
    def of(cls, settings: OpusDsdSettings) -> "PoolSizes":
        """Sizes in the settings."""
        return cls(settings.pool_bins, settings.pool_size, settings.neighbours, settings.negatives)

    def scale_count(self, count: int, size: int) -> int:
        """Number of latents from a pool of ``size`` that corresponds to ``count`` of a full pool."""
        return max(1, min(size, round(count * size / self.whole)))


class LatentPool:
    """Particles of each view, from which those of some other views are drawn for every batch.

    Parameters
    ----------
    bins
        (n,) view of each particle.
    seed
        For the draws, each of which depends only on the step.
    """

    def __init__(self, bins: Int[np.ndarray, "n"], sizes: PoolSizes, seed: int) -> None:
        self._bins, self.sizes, self._seed = bins, sizes, seed
        self._members = {int(number): np.flatnonzero(bins == number) for number in np.unique(bins)}

    @property
    def n_views(self) -> int:
        """Number of views that have particles."""
        return len(self._members)

    def draw(self, indices: Int[np.ndarray, "b"], step: int) -> tuple[Int[np.ndarray, "p"], np.random.Generator]:
        """(p,) particles of other views than that of a batch, and a generator for further draws of this step."""
        generator = stream(self._seed, "latent pool", step)
        own = set(np.unique(self._bins[indices]).tolist())
        others = [number for number in self._members if number not in own]
        chosen = generator.permutation(others)[: self.sizes.bins]
        each = max(1, self.sizes.whole // self.sizes.bins)
        parts = [generator.permutation(self._members[int(number)])[:each] for number in np.sort(chosen)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64), generator


def disentangle(
    latents: Float[Tensor, "b k"], pool: Float[Tensor, "p k"], sizes: PoolSizes, generator: np.random.Generator
) -> Float[Tensor, ""]:
    """The prior, a scalar differentiable by the latents of a batch; 0 for an empty pool."""
    total = latents.sum() * 0
    if len(pool):
        total = total + _of_pool(latents, pool, sizes, generator)
    count = len(latents)
    if count > 1:
        rows, columns = torch.triu_indices(count, count, 1, device=latents.device)
        distances = (latents[rows] - latents[columns]).square().sum(1) + _OFFSET
        repulsion = torch.log1p(1 / distances) * distances.detach().clamp(max=1)
        total = total + 2 / count**2 * repulsion.sum()
        square = distances.new_full((count, count), torch.inf)
        square = square.index_put((rows, columns), distances).index_put((columns, rows), distances)
        nearest = square.topk(min(_NEAREST, count - 1), dim=1, largest=False).values
        total = total + torch.log1p(nearest).mean()
    return total


def _of_pool(
    latents: Float[Tensor, "b k"], pool: Float[Tensor, "p k"], sizes: PoolSizes, generator: np.random.Generator
) -> Float[Tensor, ""]:
    pool = pool.detach()
    with torch.no_grad():
        distances = torch.cdist(latents, pool)
        near = distances.topk(sizes.scale_count(sizes.neighbours, len(pool)), dim=1, largest=False).indices
        count = sizes.scale_count(sizes.negatives, len(pool))
        far = distances.topk(count, dim=1).indices
    drawn = torch.from_numpy(generator.integers(len(pool), size=(len(latents), count))).to(pool.device)
    negatives = _FAR * pool[far] + _RANDOM * pool[drawn]
    attraction = torch.log1p(_squared(latents, pool[near])).mean()
    return attraction + _NEGATIVES * torch.log1p(1 / _squared(latents, negatives)).mean()


def _squared(latents: Float[Tensor, "b k"], others: Float[Tensor, "b m k"]) -> Float[Tensor, "b m"]:
    return (latents[:, None] - others).square().sum(2) + _OFFSET
