"""Hierarchical pose search: all orientations and shifts at low frequencies, then finer around the best.

The first level scores every orientation of a grid and every shift, up to a small radius, by matrix products with CTF
and shifts applied to the image; where each image has its own volume, from slices on rings, one for each view
direction (``rings``). For each volume the best orientations are kept, each with its best shift. Each further
level scores their children, around that shift, on a finer grid of shifts, up to a larger radius. A slice is rotated
before the CTF of its image is applied, so astigmatism does not rotate with it.

A score is the log-likelihood of an image, up to the radius, minus that of noise alone, plus the prior of the shift.
Work is done in tiles of fixed size: memory never limits the candidates.

Source: hierarchical search of cryoDRGN2, Zhong et al., ICCV 2021, and of cryoDRGN-AI.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.shift_scores import DiscRows, score_shifts, shift_phases
from cryobench.reconstruction.poses.orientations import N_CHILDREN
from cryobench.reconstruction.poses.rings import Rings
from cryobench.reconstruction.poses.search_plan import SearchPlan
from cryobench.reconstruction.poses.search_values import Compared, FoundPoses, Leaves, Matched, Nodes, join_nodes
from cryobench.reconstruction.poses.slices import OwnSource, SharedSource, SliceSource

_TILE_FLOATS = 4e6
"""Scores per tile, about the size of a processor cache."""
_AT_ONCE = 16
"""Images that go down the levels together: their slices fit in cache too."""


class PoseSearch:
    """Search among volumes, orientations and shifts.

    Parameters
    ----------
    plan
        Grids and radii.
    disc
        Half-disc of the packed images; its box is that of the shifts' pixels.
    noise
        (radius + 1,) power of the noise in each shell.

    Raises
    ------
    ValueError
        If the last radius exceeds the disc.
    """

    def __init__(self, plan: SearchPlan, disc: HalfDisc, noise: Float[np.ndarray, " s"]) -> None:
        if plan.radii[-1] > disc.radius:
            raise ValueError(
                f"a search up to radius {plan.radii[-1]} needs a disc of that radius, got {disc.radius}."
            )
        self.plan, self.disc = plan, disc
        self._inverse = disc.weights / np.asarray(noise)[disc.shells]
        self._base: tuple[SharedSource, dict[int, tuple[Tensor, Tensor]]] | None = None

    def match(self, spectra: Compared, radius: int | None = None) -> Matched:
        """Images (b,) weighted for the search, up to the last radius."""
        count = self.disc.count(self.plan.radii[-1] if radius is None else radius)
        inverse = torch.from_numpy(self._inverse[:count].astype(np.float32)).to(spectra.ctf.device)
        ctf = spectra.ctf[:, :count]
        weighed = ctf * inverse
        return Matched(spectra.indices, 2 * weighed * spectra.data[:, :count], weighed * ctf)

    def find(self, source: SliceSource, spectra: Compared) -> FoundPoses:
        """The best pose of each image (b,) of a batch, over the whole sphere and all volumes."""
        return self.best(self.leaves(source, self.match(spectra)))

    def leaves(self, source: SliceSource, matched: Matched) -> Iterator[Leaves]:
        """The last level of the search for the images (b,), some of them at a time, in order."""
        for first, last in _stretches(len(matched), _AT_ONCE):
            images = matched.tile(first, last)
            kept = self.survey(source, images)
            if self.plan.last:
                yield self._descend(source, images, kept, 0)
                continue
            rotations = self.plan.orientations.rotations(0, kept.pixels, kept.angles)
            still = replace(kept, shifts=np.zeros_like(kept.shifts))
            yield self._score(source, images, still, rotations, 0)

    def rescore(self, source: SliceSource, leaves: Leaves, keep: int) -> Leaves:
        """The best leaves of each image, scored with slices of another source."""
        nodes = replace(leaves.nodes, shifts=leaves.centres)
        order = np.lexsort((-nodes.scores, nodes.images))
        starts = np.searchsorted(nodes.images[order], nodes.images[order])
        chosen = order[np.arange(len(order)) - starts < keep]
        return self._score(source, leaves.images, nodes.select(chosen), leaves.rotations[chosen], self.plan.last)

    def survey(self, source: SliceSource, matched: Matched) -> Nodes:
        """The best orientations of level 0 for each image and volume, each with its best shift."""
        found: list[Nodes] = []
        if isinstance(source, OwnSource):
            points = torch.from_numpy(self.rings.points).to(matched.data.device)
            planes = source.at(matched.indices, points.flatten(0, 1)).unflatten(1, points.shape[:2])
            for image, values in enumerate(zip(planes, *self.rings.sample(matched), strict=True)):
                found.append(self._pick(self._add_prior(self.rings.score(*values))[:, None], image, 0))
            return self._prune(join_nodes(found), len(matched))
        assert isinstance(source, SharedSource)
        for volume in range(source.n_volumes):
            shared = self.base_slices(source, volume)
            for first, last in self.tiles(len(matched)):
                scores = self.score_all(matched.tile(first, last), *shared)
                found.append(self._pick(scores, first, volume))
        return self._prune(join_nodes(found), len(matched))

    def _pick(self, scores: Float[Tensor, "r b t"], first: int, volume: int) -> Nodes:
        """The best orientations, from scores of level 0 for images from ``first`` on."""
        best, where = scores.max(dim=2)
        kept = torch.topk(best.T, min(self.plan.keep, best.shape[0]), dim=1)
        nodes, width = kept.indices.cpu().numpy(), kept.indices.shape[1]
        shift = where.T.gather(1, kept.indices).cpu().numpy()
        pixels, angles = self.plan.orientations.base
        return Nodes(
            np.repeat(np.arange(first, first + len(nodes)), width),
            np.full(nodes.size, volume),
            pixels[nodes.ravel()],
            angles[nodes.ravel()],
            self.plan.shifts.pairs[shift.ravel()].astype(np.float32),
            kept.values.cpu().numpy().ravel(),
        )

    @cached_property
    def rings(self) -> Rings:
        """Rings on which slices are sampled at level 0, where each image has its own volume."""
        plan = self.plan
        return Rings(plan.orientations, plan.shifts, self.disc, self.rows(plan.last).count, plan.radii[0])

    def base_slices(self, source: SharedSource, volume: int) -> tuple[Complex[Tensor, "r p"], Float[Tensor, "r p"]]:
        """Slices of level 0 and their power; computed once for each source."""
        if self._base is None or self._base[0] is not source:
            self._base = (source, {})
        known = self._base[1]
        if volume not in known:
            slices = source.shared(volume, self.base_rotations, self.plan.radii[0]).contiguous()
            known[volume] = slices, torch.view_as_real(slices).square().sum(-1)
        return known[volume]

    @cached_property
    def base_rotations(self) -> Float[Tensor, "r 3 3"]:
        """Rotations (r, 3, 3) of level 0."""
        return torch.from_numpy(self.plan.orientations.rotations(0, *self.plan.orientations.base)).float()

    def tiles(self, n: int) -> list[tuple[int, int]]:
        """First and last image of the tiles in which level 0 is scored."""
        each = len(self.base_rotations) * self.plan.shifts.count**2
        size = max(1, int(_TILE_FLOATS / each))
        return _stretches(n, size)

    def shifted(self, data: Complex[Tensor, "b p"]) -> Complex[Tensor, "b t p"]:
        """Images (b, p) translated by every shift of level 0, (b, t², p) complex64."""
        phases = shift_phases(np.zeros((1, 2)), self.plan.shifts, self.rows(0), data.device)
        return data[:, None, : phases.shape[-1]] * phases

    def rows(self, level: int) -> DiscRows:
        """Entries of the disc that a level compares."""
        return DiscRows(self.disc, self.disc.count(self.plan.radii[level]))

    def score_all(
        self, matched: Matched, slices: Complex[Tensor, "r p"], squared: Float[Tensor, "r p"]
    ) -> Float[Tensor, "r b t"]:
        """Scores of all poses of level 0 for a tile of images, by slices and their power."""
        matched = matched.cut(self.rows(0).count)
        moved = torch.view_as_real(self.shifted(matched.data)).flatten(2)
        values = torch.view_as_real(slices).flatten(1)
        scores = (values @ moved.flatten(0, 1).T).unflatten(1, moved.shape[:2])
        power = squared @ matched.weights.T
        return self._add_prior(scores.sub_(power[..., None]))

    def _add_prior(self, scores: Float[Tensor, "*r t"]) -> Float[Tensor, "*r t"]:
        return scores.add_(torch.from_numpy(self.plan.log_prior(self.plan.shifts.pairs)).to(scores.device))

    def _descend(self, source: SliceSource, matched: Matched, nodes: Nodes, level: int) -> Leaves:
        """Leaves, from nodes of a level down to the last one."""
        plan = self.plan
        for below in range(level + 1, plan.last + 1):
            nodes = self._children(nodes, below)
            rotations = plan.orientations.rotations(below, nodes.pixels, nodes.angles)
            found = self._score(source, matched, nodes, rotations, below)
            if below == plan.last:
                return found
            nodes = self._prune(self._keep_best(found.nodes), len(matched))
        raise AssertionError("a search descends at least one level")

    def _score(
        self, source: SliceSource, matched: Matched, nodes: Nodes, rotations: Float[np.ndarray, "n 3 3"], level: int
    ) -> Leaves:
        """Scores of nodes over the shifts of a level around theirs."""
        rows, grid, plan = self.rows(level), self.plan.grid(level), self.plan
        turned = torch.from_numpy(rotations).float().to(matched.data.device)
        slices = source.own(matched.indices[nodes.images], nodes.volumes, turned, plan.radii[level])
        cut = matched.cut(rows.count)
        scores = score_shifts(slices, cut.data, cut.weights, nodes.images, nodes.shifts, grid, rows)
        if plan.shift_deviation is not None:
            prior = plan.log_prior(nodes.shifts[:, None] + grid.pairs)
            scores += torch.from_numpy(prior).to(scores.device).reshape(scores.shape)
        best, where = scores.flatten(1).max(dim=1)
        shifts = (nodes.shifts + grid.pairs[where.cpu().numpy()]).astype(np.float32)
        better = replace(nodes, shifts=shifts, scores=best.cpu().numpy())
        return Leaves(matched, better, rotations, nodes.shifts, scores, slices)

    def _children(self, nodes: Nodes, level: int) -> Nodes:
        """Children on a level of nodes of the one above, each once: with common parents, of the better one."""
        pixels, angles = self.plan.orientations.children(level - 1, nodes.pixels, nodes.angles)
        order = np.lexsort((-nodes.scores, nodes.volumes, nodes.images))
        rows = np.repeat(order, N_CHILDREN)
        below = replace(nodes.select(rows), pixels=pixels[order].ravel(), angles=angles[order].ravel())
        keys = np.stack([below.images, below.volumes, below.pixels, below.angles])
        first = np.unique(keys, axis=1, return_index=True)[1]
        return below.select(np.sort(first))

    def _keep_best(self, nodes: Nodes) -> Nodes:
        """The best of each image and volume, best first."""
        order = np.lexsort((-nodes.scores, nodes.volumes, nodes.images))
        group = nodes.images[order] * (nodes.volumes.max(initial=0) + 1) + nodes.volumes[order]
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
        return nodes.select(order[rank < self.plan.keep])

    def _prune(self, nodes: Nodes, n: int) -> Nodes:
        """Nodes within the margin of their image's best, images in ascending order."""
        order = np.argsort(nodes.images, kind="stable")
        nodes = nodes.select(order)
        best = np.full(n, -np.inf)
        np.maximum.at(best, nodes.images, nodes.scores)
        return nodes.select(np.flatnonzero(nodes.scores >= best[nodes.images] - self.plan.margin))

    def best(self, leaves: Iterable[Leaves]) -> FoundPoses:
        """The best pose of each image, from the leaves of all."""
        parts = []
        for part in leaves:
            nodes = part.nodes
            order = np.lexsort((-nodes.scores, nodes.images))
            chosen = order[np.flatnonzero(np.diff(nodes.images[order], prepend=-1))]
            parts.append(
                (part.rotations[chosen], *(array[chosen] for array in (nodes.shifts, nodes.volumes, nodes.scores)))
            )
        return FoundPoses(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _stretches(n: int, size: int) -> list[tuple[int, int]]:
    return [(first, min(first + size, n)) for first in range(0, n, size)]
