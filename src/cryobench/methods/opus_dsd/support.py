"""The molecule's region on the crop's grid, with everything computed from it: footprints, back-rotation, bounds."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryobench.fourier import frequency_grid
from cryobench.imaging.real_space.volumes import grid_points, project_volumes, spread_images
from cryobench.methods.opus_dsd.sizes import SUPPORT, GridSizes


@dataclass(frozen=True)
class Support:
    """Made by ``make_support``; picklable, movable to devices."""

    region: Float[Tensor, "c c c"]
    """1 where the molecule can be, else 0."""
    index: Tensor
    """(p,) indices of its voxels in the flattened crop."""
    weights: Float[Tensor, "p"]
    """Values of the mask there."""
    points: Float[Tensor, "p 3"]
    """(x, y, z) of these voxels in px from the centre."""
    bounds: tuple[slice, slice, slice]
    """Bounding box of the region in the template."""
    squared_frequencies: Float[Tensor, "y h"]
    """1/Å², for the half-spectra of the images."""

    def to(self, device: str) -> Self:
        """Copy on a device."""
        moved = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "bounds"}
        return replace(self, **{name: values.to(device) for name, values in moved.items()})

    def footprints(self, rotations: Float[Tensor, "b 3 3"]) -> Bool[Tensor, "b c c"]:
        """Whether the line of sight of each pixel crosses the region."""
        count, crop = len(rotations), len(self.region)
        if not count:
            return self.region.new_zeros(0, crop, crop, dtype=torch.bool)
        regions = self.region.expand(count, -1, -1, -1)
        maps = rotations.mT[:, None]
        return project_volumes(regions, maps, rotations.new_zeros(count, 3), crop)[:, 0] > 0

    def back_rotate(
        self, images: Float[Tensor, "b c c"], rotations: Float[Tensor, "b 3 3"]
    ) -> Float[Tensor, "b c c c"]:
        """Images spread along their lines of sight in the reference's frame, times the mask."""
        crop = len(self.region)
        values = spread_images(images, rotations, self.points) * self.weights
        volumes = values.new_zeros(len(images), crop**3).index_copy_(1, self.index, values)
        return volumes.reshape(-1, crop, crop, crop)

    def bounded(self, volumes: Float[Tensor, "b t t t"]) -> Float[Tensor, "b z y x"]:
        """Templates within the region's bounding box."""
        return volumes[(slice(None), *self.bounds)]


def make_support(mask: Float[np.ndarray, "z y x"], sizes: GridSizes, pixel_size: float) -> Support:
    """Support of a mask (z, y, x) on the grid of the compared images, of ``pixel_size`` Å."""
    first = sizes.render // 2 - sizes.crop // 2
    middle = (slice(first, first + sizes.crop),) * 3
    weights = torch.tensor(mask)[middle].contiguous()
    region = (weights > SUPPORT).float()
    index = region.flatten().nonzero()[:, 0]
    ratio = sizes.template / sizes.crop
    occupied = [region.amax(dim=[axis for axis in range(3) if axis != kept]).nonzero()[:, 0] for kept in range(3)]
    bounds = tuple(
        slice(int(np.floor(each[0].item() * ratio)), max(int(np.ceil((each[-1].item() + 1) * ratio)), 2))
        for each in occupied
    )
    frequencies = frequency_grid(sizes.render, 2, pixel_size=pixel_size)
    return Support(
        region,
        index,
        weights.flatten()[index],
        grid_points(sizes.crop)[index],
        bounds,  # pyright: ignore[reportArgumentType]
        frequencies.square().sum(-1),
    )
