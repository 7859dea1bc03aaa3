"""Poses of all particles from searches by slices of a network that is trained at the same time.

Two ways to search. *network*: every slice is the network's, for the latent of the image. *anchors*: the network gives
volumes at some anchors among the latents, again after every so many images; an image is compared with slices of the
volume, on a grid, of the anchor nearest to its latent, and at its best poses with the network's slices for its own
latent.

The volumes must follow the network within an epoch: from random poses, structure grows while images are aligned and
learned in turn. Volumes computed once per epoch stay the initial blob, and no pose is found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench._sampling import spread_indices
from cryobench.compute import ProcessGroup
from cryobench.imaging.shift_scores import ShiftGrid
from cryobench.reconstruction.networks import AdamSettings, CoordinateNetwork, NetworkBatch, NetworkImages, RowAdam
from cryobench.reconstruction.networks.volumes import decode_volumes
from cryobench.reconstruction.poses.network_slices import NetworkSlices
from cryobench.reconstruction.poses.orientations import OrientationGrid
from cryobench.reconstruction.poses.search import PoseSearch
from cryobench.reconstruction.poses.search_plan import SearchPlan, plan_radii
from cryobench.reconstruction.poses.search_settings import SearchSettings
from cryobench.reconstruction.poses.search_values import FoundPoses, Matched
from cryobench.reconstruction.poses.slices import GridSlices
from cryobench.reconstruction.poses.table import PoseTable
from cryobench.reconstruction.statistics import disc_of

_ANCHORED = 2000
"""Most particles among whose latents anchors are sought."""


@dataclass(frozen=True)
class _Packed:
    """Images as a search compares them: on its disc, including the zero frequency, which has no weight."""

    indices: np.ndarray
    data: Tensor
    ctf: Tensor


class SearchedPoses:
    """Pose table, and the search that fills it.

    Parameters
    ----------
    images
        Prepared images, without poses.
    network
        Network in training.
    settings
        Settings of the search.
    process_group
        Processes that search together, each for its part of a batch.
    learning_rate
        Learning rate of Adam, where gradients refine the table later.
    """

    def __init__(
        self,
        images: NetworkImages,
        network: CoordinateNetwork,
        settings: SearchSettings,
        process_group: ProcessGroup,
        *,
        learning_rate: float = 1e-3,
    ) -> None:
        device = network.frequencies.device
        self._images, self._network, self._settings, self._process_group = images, network, settings, process_group
        identity = np.broadcast_to(np.eye(3), (len(images), 3, 3))
        make_rows = partial(RowAdam, settings=AdamSettings(learning_rate))
        self.table = PoseTable(identity, make_rows, device=str(device))
        """Poses of all particles."""
        self.plan = plan_search(settings, images.disc.box_size)
        """Parameters of the search."""
        disc = disc_of(images.disc.box_size)
        place = {pair: row for row, pair in enumerate(map(tuple, images.disc.frequencies[1:].tolist()))}
        rows = [place[pair] for pair in map(tuple, disc.frequencies[1:].tolist())]
        self._rows = torch.tensor(rows, device=device)
        noise = np.full(disc.radius + 1, images.power)
        noise[0] = np.inf
        self._make_search = partial(PoseSearch, self.plan, disc, noise)
        self._search, self._disc = self._make_search(), disc
        box, count = images.disc.box_size, settings.n_anchors if settings.search == "anchors" else 0
        self._anchors = torch.zeros(count, network.shape.z_dim, device=device)
        self._volumes = torch.zeros(count, box, box, box, device=device)
        self._grids: list[tuple[PoseSearch, GridSlices]] = []

    def follow(
        self, latents: Callable[[Int[np.ndarray, " n"]], Float[Tensor, "n k"]], visited: int, batch_size: int
    ) -> None:
        """Compute the anchors' volumes again, if enough images were visited since the last time.

        ``latents`` returns those of given particles; ``visited`` counts the images of this search before the batch.
        """
        if self._settings.search == "network" or visited % self._settings.anchors_every >= batch_size:
            return
        chosen = spread_indices(len(self._images), _ANCHORED)
        anchors = find_anchors(latents(chosen).cpu().numpy(), len(self._anchors))
        self._anchors.copy_(torch.from_numpy(anchors))
        for number, volume in enumerate(decode_volumes(self._network, anchors, 1.0)):
            self._volumes[number] = torch.from_numpy(volume)
        self._grids = []

    @torch.no_grad()
    def search(self, batch: NetworkBatch, latents: Float[Tensor, "b k"]) -> None:
        """Find the poses of a batch, by the latents of this process's images, and write them into the table."""
        indices = batch.indices[batch.own]
        data = torch.view_as_complex(batch.data[:, self._rows])
        packed = _Packed(
            indices, *(torch.nn.functional.pad(each, (1, 0)) for each in (data, batch.ctf[:, self._rows]))
        )
        values = torch.zeros(len(batch.indices), PoseTable.WIDTH, device=batch.data.device)
        if len(indices):
            matched = self._search.match(packed)
            source = NetworkSlices(self._network, self._disc, indices, latents)
            found = self._find_by_anchors(matched, source, latents) if len(self._anchors) else None
            found = self._search.best(self._search.leaves(source, matched)) if found is None else found
            rows = np.concatenate([found.rotations[:, :2].reshape(-1, 6), found.shifts], axis=1)
            values[batch.own] = torch.from_numpy(rows).to(values)
        self.table.write(torch.from_numpy(batch.indices).to(values.device), self._process_group.total(values))

    def place(self, batch: NetworkBatch) -> NetworkBatch:
        """Batch at the latest poses."""
        rows = torch.from_numpy(batch.indices[batch.own]).to(batch.data.device)
        return self._images.move(batch, *self.table.poses(self.table.peek(rows)))

    def tensors(self) -> Mapping[str, Tensor]:
        """The table, and the anchors of the current search, for a checkpoint."""
        table = {f"poses.{name}": value for name, value in self.table.state().items()}
        return {**table, "anchors.latents": self._anchors, "anchors.volumes": self._volumes}

    def restore(self) -> None:
        """Called after the tensors of a state have been restored."""
        self._grids = []

    def _find_by_anchors(self, matched: Matched, source: NetworkSlices, latents: Float[Tensor, "b k"]) -> FoundPoses:
        """Best poses by the anchors' volumes, the best of them by the network."""
        if not self._grids:
            self._grids = [(self._make_search(), GridSlices(each[None], self._disc)) for each in self._volumes]
        nearest = torch.cdist(latents, self._anchors).argmin(1).cpu().numpy()
        parts, order = [], []
        for anchor in np.unique(nearest):
            search, grid = self._grids[anchor]
            chosen = np.flatnonzero(nearest == anchor)
            leaves = search.leaves(grid, matched.select(chosen))
            parts.append(search.best(search.rescore(source, each, self._settings.rescored) for each in leaves))
            order.append(chosen)
        back = np.argsort(np.concatenate(order))
        names = FoundPoses.__dataclass_fields__
        return FoundPoses(*(np.concatenate([getattr(part, name) for part in parts])[back] for name in names))


def plan_search(settings: SearchSettings, box_size: int) -> SearchPlan:
    """Levels of a search in a box; radii end at that of the box."""
    last = min(settings.last_radius, disc_of(box_size).radius)
    return SearchPlan(
        plan_radii(settings.first_radius, last, settings.n_refinements),
        ShiftGrid(settings.shift_range, settings.shift_count),
        OrientationGrid(settings.healpix_nside, 6 * settings.healpix_nside),
        settings.kept_orientations,
    )


def find_anchors(latents: Float[np.ndarray, "n k"], count: int) -> Float[np.ndarray, "m k"]:
    """Centres of clusters of latents (k-means); the latents themselves if there are at most ``count``."""
    from sklearn.cluster import KMeans

    different = np.unique(latents, axis=0)
    if len(different) <= count:
        return different[np.arange(count) % len(different)]
    return KMeans(count, random_state=0).fit(latents).cluster_centers_.astype(np.float32)


def search_bytes(settings: SearchSettings, box_size: int) -> float:
    """Bytes that a search takes in addition to the network."""
    plan, disc = plan_search(settings, box_size), disc_of(box_size)
    orientations, shifts = len(plan.orientations.base[0]), settings.shift_count**2
    first, last = disc.count(plan.radii[0]), disc.count(plan.radii[-1])
    scores = 4.0 * orientations * shifts * 4 + 32.0 * orientations * first
    below = 16 * settings.kept_orientations * 8 * (24.0 * last + 4.0 * shifts)
    grids = 8.0 * orientations * first + 16.0 * box_size**3 if settings.search == "anchors" else 0.0
    return scores + below + settings.n_anchors * grids
