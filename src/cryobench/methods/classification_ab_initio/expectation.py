"""Posterior of images over classes, orientations and shifts, and the sums for new volumes.

In the first iterations, before the radius grows, the posterior is exact, over the whole grid of the search's first
level. Later it is over the leaves of the hierarchical search, and all shifts around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int
from scipy.special import logsumexp
from torch import Tensor

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.shift_scores import average_shifts
from cryobench.methods.classification_ab_initio.splits import measure_missed
from cryobench.reconstruction.engine import Rows, Sums
from cryobench.reconstruction.images import ImageSpectra, Spectra
from cryobench.reconstruction.poses import GridSlices, Leaves, Matched, PoseSearch, SearchPlan
from cryobench.rotations import point_group


@dataclass(frozen=True)
class Model:
    """K volumes, and the noise."""

    volumes: Tensor
    """(k, z, y, x) float32."""
    noise: np.ndarray
    """(radius + 1,) power of the noise in each shell of the images, of the unnormalised transform."""


@dataclass(frozen=True)
class Question:
    """Parameters of the comparison with the images."""

    plan: SearchPlan
    similarity: float = 0.0
    """Fraction of each image that is spread over all classes."""
    threshold: float = 1e-3
    """Orientations of lower probability are ignored."""


def expect(
    spectra: ImageSpectra, model: Model, question: Question, chosen: Bool[np.ndarray, " n"]
) -> tuple[Sums, Rows]:
    """Sums over the chosen images of a shard, and the pose and classes of each.

    Sums: "volumes", a ``SliceAccumulator`` of data and CTF² over the noise; "residual" (radius + 1,), the change of
    the images' power by the model; "power" of the images; "likelihood" over that of noise alone; "effective" fraction
    of the poses; "classes" (k,) images in each; "missed" (k,), see ``splits``. Rows: "posteriors" (n, k), "rotations"
    (n, 3, 3), "shifts" (n, 2) px; zero where not chosen.
    """
    work = _Expectation(spectra, model, question)
    for batch in spectra.batches(chosen):
        work.add(batch)
    return work.finish(), work.rows


class _Expectation:
    """Running sums of a shard."""

    def __init__(self, spectra: ImageSpectra, model: Model, question: Question) -> None:
        disc, plan = spectra.disc, question.plan
        self._device, self._disc, self._question = spectra.device, disc, question
        self._radius = plan.radii[-1]
        self._count = disc.count(self._radius)
        volumes = model.volumes.to(self._device)
        self._n_classes = len(volumes)
        self._source = GridSlices(volumes, disc)
        # The zero frequency contains the background of the images: it is not compared.
        self._noise = model.noise[: self._radius + 1]
        self._group = torch.tensor(point_group(plan.orientations.symmetry), dtype=torch.float32, device=self._device)
        compared = np.full(disc.radius + 1, np.inf)
        compared[1 : self._radius + 1] = self._noise[1:]
        self._search = PoseSearch(plan, disc, compared)
        self._sums = SliceAccumulator(
            disc.box_size, n_volumes=self._n_classes, radius=self._radius, device=self._device
        )
        self._residual = np.zeros(self._radius + 1)
        self._power = np.zeros(self._radius + 1)
        self._classes, self._missed = np.zeros(self._n_classes), np.zeros(self._n_classes)
        self._likelihood, self._effective = 0.0, 0.0
        self.rows = {
            "posteriors": np.zeros((len(spectra), self._n_classes), dtype=np.float32),
            "rotations": np.zeros((len(spectra), 3, 3), dtype=np.float32),
            "shifts": np.zeros((len(spectra), 2), dtype=np.float32),
        }
        self._dense: list[tuple[Tensor, Tensor]] | None = None

    def add(self, batch: Spectra) -> None:
        """Add the images of a batch."""
        matched = self._search.match(batch)
        self._power += batch.power[:, : self._radius + 1].sum(0).cpu().numpy()
        if self._question.plan.last == 0:
            tile = max(1, self._search.tiles(len(batch))[0][1] // self._n_classes)
            for first in range(0, len(batch), tile):
                self._add_all_poses(matched.tile(first, min(first + tile, len(batch))))
            return
        for leaves in self._search.leaves(self._source, matched):
            self._add_leaves(leaves)

    def finish(self) -> Sums:
        """The sums."""
        if self._dense is not None:
            for index, (numerator, weight) in enumerate(self._dense):
                slices, _ = self._search.base_slices(self._source, index)
                classes = np.full(len(slices), index)
                self._insert(numerator, weight, self._search.base_rotations.to(self._device), classes, slices)
        return {
            "volumes": self._sums,
            "residual": self._residual,
            "power": self._power,
            "likelihood": self._likelihood,
            "effective": self._effective,
            "classes": self._classes,
            "missed": self._missed,
        }

    def _add_all_poses(self, matched: Matched) -> None:
        """Add images whose posterior is over every orientation and shift of the grid."""
        search, n_classes = self._search, self._n_classes
        scores = [search.score_all(matched, *search.base_slices(self._source, index)) for index in range(n_classes)]
        tops = [each.amax(dim=(0, 2)) for each in scores]
        weights = [each.sub_(top[None, :, None]).exp_() for each, top in zip(scores, tops, strict=True)]
        masses = torch.stack([each.sum(dim=(0, 2)) for each in weights], dim=1).double().cpu().numpy()
        logs = np.log(masses) + torch.stack(tops, dim=1).double().cpu().numpy()
        posteriors = self._share(logs)
        factors = posteriors / masses
        squares = torch.zeros(len(matched), dtype=torch.float64, device=self._device)
        if self._dense is None:
            shape = len(search.base_rotations), self._count
            self._dense = [
                (
                    torch.zeros(shape, dtype=torch.complex64, device=self._device),
                    torch.zeros(shape, device=self._device),
                )
                for _ in range(n_classes)
            ]
        moved = torch.view_as_real(search.shifted(matched.data)).flatten(2).flatten(0, 1)
        for index, each in enumerate(weights):
            each.mul_(torch.from_numpy(factors[:, index]).to(each)[None, :, None])
            squares += each.square().sum(dim=(0, 2)).double()
            self._add_nodes(index, each, moved, matched.weights)
        self._count_images(logs, posteriors, 1 / squares.cpu().numpy())
        # The best pose of the most probable class.
        classes = posteriors.argmax(1)
        n_shifts = moved.shape[0] // len(matched)
        for row, index in enumerate(classes):
            node, shift = divmod(int(weights[index][:, row].argmax()), n_shifts)
            self._keep_pose(
                int(matched.indices[row]),
                search.base_rotations[node].numpy(),
                self._question.plan.shifts.pairs[shift],
                posteriors[row],
            )

    def _add_nodes(
        self,
        index: int,
        weights: Float[Tensor, "r b t"],
        moved: Float[Tensor, "b*t e"],
        squared: Float[Tensor, "b p"],
    ) -> None:
        """Add images (b t², 2 p), and their weights (b, p), with weights (r, b, t²) of a class's orientations.

        An orientation below the threshold relative to an image's best one is ignored.
        """
        assert self._dense is not None
        numerator, weight = self._dense[index]
        each = weights.sum(2)
        used = each > self._question.threshold * each.amax(0)
        rows = used.any(1).nonzero()[:, 0]
        kept = weights[rows].mul_(used[rows][..., None])
        torch.view_as_real(numerator).flatten(1).index_add_(0, rows, kept.flatten(1) @ moved)
        weight.index_add_(0, rows, kept.sum(2) @ squared)

    def _add_leaves(self, leaves: Leaves) -> None:
        """Add images whose posterior is over the last orientations of the search and all shifts around them."""
        nodes, plan, images = leaves.nodes, self._question.plan, leaves.images
        place = nodes.images, nodes.volumes
        tops = np.full((len(images), self._n_classes), -np.inf)
        np.maximum.at(tops, place, nodes.scores)
        weights = (leaves.scores - torch.from_numpy(tops[place]).to(leaves.scores)[:, None, None]).exp_()
        each = weights.sum(dim=(1, 2)).double().cpu().numpy()
        masses, squares = np.zeros_like(tops), np.zeros(len(images))
        np.add.at(masses, place, each)
        # A class without remaining orientations has no mass, and no part of the similarity.
        logs = np.log(np.maximum(masses, 1)) + tops
        posteriors = self._share(logs)
        own = posteriors[place] / masses[place]
        np.add.at(squares, nodes.images, weights.square().sum(dim=(1, 2)).double().cpu().numpy() * own**2)
        self._count_images(logs, posteriors, 1 / squares)
        kept = np.flatnonzero(each * own >= self._question.threshold)
        rows, which = torch.from_numpy(kept).to(self._device), nodes.images[kept]
        used = weights[rows] * torch.from_numpy(own[kept]).to(weights)[:, None, None]
        grid, entries = plan.grid(plan.last), self._search.rows(plan.last)
        averages = average_shifts(used, images.data, which, leaves.centres[kept], grid, entries)
        squared = images.weights[torch.from_numpy(which).to(self._device)] * used.sum(dim=(1, 2))[:, None]
        rotations = torch.from_numpy(leaves.rotations[kept]).float().to(self._device)
        self._insert(averages, squared, rotations, nodes.volumes[kept], leaves.slices[rows])
        likeliest = nodes.volumes == posteriors.argmax(1)[nodes.images]
        order = np.lexsort((-nodes.scores, ~likeliest, nodes.images))
        for row in order[np.flatnonzero(np.diff(nodes.images[order], prepend=-1))]:
            image = int(nodes.images[row])
            self._keep_pose(int(images.indices[image]), leaves.rotations[row], nodes.shifts[row], posteriors[image])

    def _share(self, logs: Float[np.ndarray, "b k"]) -> Float[np.ndarray, "b k"]:
        """Posteriors of classes with log-masses, similarity mixed in.

        Each class's weights are scaled by its own best pose, so that similarity finds poses even for unlikely
        classes.
        """
        shares = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        present = np.isfinite(logs)
        similarity = self._question.similarity
        return (1 - similarity) * shares + similarity * present / present.sum(1, keepdims=True)

    def _count_images(
        self, logs: Float[np.ndarray, "b k"], posteriors: Float[np.ndarray, "b k"], effective: Float[np.ndarray, " b"]
    ) -> None:
        n_poses = self._question.plan.n_poses * self._n_classes
        self._likelihood += float((logsumexp(logs, axis=1) - np.log(n_poses)).sum())
        self._effective += float(effective.sum() / n_poses)
        self._classes += posteriors.sum(0)
        self._missed += measure_missed(logs)

    def _insert(
        self,
        averages: Complex[Tensor, "n p"],
        squared: Float[Tensor, "n p"],
        rotations: Float[Tensor, "n 3 3"],
        classes: Int[np.ndarray, " n"],
        slices: Complex[Tensor, "n p"],
    ) -> None:
        """Add averages of 2 w c y / σ², weights of w c² / σ², and their residuals from the model.

        An image of a symmetric particle is equally divided among its equivalent orientations.
        """
        disc = self._disc
        weights = torch.from_numpy(disc.weights[: self._count]).to(self._device)
        numerator, weight = averages / (2 * weights), squared / weights
        one_hot = np.eye(self._n_classes, dtype=np.float32)[classes] / len(self._group)
        slices_of = disc.unpack(numerator), disc.unpack(weight)
        for turn in self._group:
            self._sums.add(*slices_of, rotations @ turn, class_weights=torch.from_numpy(one_hot).to(self._device))
        change = slices.abs().square() * weight - 2 * (slices.conj() * numerator).real
        shells = disc.sum_shells(change).sum(0).cpu().numpy()
        self._residual += shells[: self._radius + 1] * self._noise

    def _keep_pose(
        self,
        index: int,
        rotation: Float[np.ndarray, "3 3"],
        shift: Float[np.ndarray, " 2"],
        posterior: Float[np.ndarray, " k"],
    ) -> None:
        self.rows["rotations"][index], self.rows["shifts"][index] = rotation, shift
        self.rows["posteriors"][index] = posterior / posterior.sum()
