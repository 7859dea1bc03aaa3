"""Grids of orientations on levels: HEALPix view directions times in-plane angles, each level twice as fine.

A node is a pixel of the nested HEALPix map and the index of an in-plane angle. Its rotation has the Euler angles
(φ, θ) of the pixel's centre and ψ_j = (j + ½) 2π / n. Children of a node are, of the four pixels within its own and
the in-plane angles nearest to its orientation, the eight nodes nearest to it.

Source: Górski et al., Astrophys. J. 622 (2005) 759; hierarchy of cryoDRGN2, Zhong et al., ICCV 2021.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

from cryobench._types import RotationArray
from cryobench.rotations import healpix_directions, point_group, rotations_from_euler

N_CHILDREN = 8
"""Children of a node."""
_NEAREST = 4
"""In-plane angles considered for each pixel."""


@dataclass(frozen=True)
class OrientationGrid:
    """Orientations of all levels.

    Raises
    ------
    ValueError
        If ``nside`` is not a power of two, there are no in-plane angles, or the point group is unknown.
    """

    nside: int = 4
    """HEALPix nside of the first level: 12 nside² directions."""
    n_inplane: int = 24
    """In-plane angles of the first level."""
    symmetry: str = "C1"
    """Point group: the first level holds directions of one asymmetric unit."""

    def __post_init__(self) -> None:
        check_nside(self.nside)
        if self.n_inplane < 1:
            raise ValueError(f"there must be an in-plane angle, got n_inplane={self.n_inplane}.")
        point_group(self.symmetry)

    def spacing(self, level: int) -> float:
        """Radians between neighbouring directions of a level, the root of a pixel's area."""
        return float(np.sqrt(4 * np.pi / (12 * (self.nside * 2**level) ** 2)))

    @cached_property
    def base(self) -> tuple[Int[np.ndarray, "r"], Int[np.ndarray, "r"]]:
        """Pixels and in-plane indices (r,) of the first level, those of a pixel together."""
        pixels = np.arange(12 * self.nside**2)
        if self.symmetry != "C1":
            directions = _directions(self.nside)[:, 2]
            group = point_group(self.symmetry)
            pixels = pixels[in_asymmetric_unit(directions, group, margin=self.spacing(0) / 2)]
        return np.repeat(pixels, self.n_inplane), np.tile(np.arange(self.n_inplane), len(pixels))

    def rotations(self, level: int, pixels: Int[np.ndarray, "n"], angles: Int[np.ndarray, "n"]) -> RotationArray:
        """Rotations (n, 3, 3), particle from reference, of nodes of a level."""
        psi = (angles + 0.5) * 2 * np.pi / (self.n_inplane * 2**level)
        return _turn_in_plane(psi) @ _directions(self.nside * 2**level)[pixels]

    def directions(self, level: int, pixels: Int[np.ndarray, "n"]) -> RotationArray:
        """Rotations (n, 3, 3) of pixels of a level without in-plane angle."""
        return _directions(self.nside * 2**level)[pixels]

    def opposite(self, level: int, pixels: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """Pixels (n,) of a level from which the same planes are seen from behind.

        Their rotations without in-plane angle have the same first row, and the second one reversed.
        """
        return _pixels_of(-self.directions(level, pixels)[:, 2], self.nside * 2**level)

    def children(
        self, level: int, pixels: Int[np.ndarray, "n"], angles: Int[np.ndarray, "n"]
    ) -> tuple[Int[np.ndarray, "n 8"], Int[np.ndarray, "n 8"]]:
        """Pixels and in-plane indices (n, 8), on the next level, of the children of nodes of a level."""
        rotations = self.rotations(level, pixels, angles)
        count = self.n_inplane * 2 ** (level + 1)
        below = 4 * pixels[:, None] + np.arange(4)
        without_turn = _directions(self.nside * 2 ** (level + 1))[below]
        # The in-plane angle that brings each pixel's orientation nearest to the parent's.
        relative = np.einsum("ncij,nkj->ncik", without_turn, rotations)
        psi = np.arctan2(relative[..., 1, 0] - relative[..., 0, 1], relative[..., 0, 0] + relative[..., 1, 1])
        nearest = np.floor(psi * count / (2 * np.pi) - 0.5).astype(int)
        indices = (nearest[..., None] + np.arange(1 - _NEAREST // 2, 1 + _NEAREST // 2)) % count
        candidates = np.repeat(below[..., None], _NEAREST, axis=-1).reshape(len(pixels), -1)
        indices = indices.reshape(len(pixels), -1)
        found = self.rotations(level + 1, candidates.ravel(), indices.ravel()).reshape(*candidates.shape, 3, 3)
        # The trace of the rotation between two orientations falls with its angle.
        nearness = np.einsum("ncij,nij->nc", found, rotations)
        chosen = np.argsort(-nearness.round(9), axis=1, kind="stable")[:, :N_CHILDREN]
        return np.take_along_axis(candidates, chosen, 1), np.take_along_axis(indices, chosen, 1)


def check_nside(nside: int) -> int:
    """The HEALPix nside, unchanged. ValueError if it is not a power of two."""
    if nside < 1 or nside & (nside - 1):
        raise ValueError(f"nside must be a power of two, got {nside}.")
    return nside


def _turn_in_plane(psi: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 3 3"]:
    """Rotations that rotate an image by in-plane angles, as ψ does in the Euler angles."""
    turned = np.zeros((*np.shape(psi), 3, 3))
    turned[..., 0, 0] = turned[..., 1, 1] = np.cos(psi)
    turned[..., 0, 1] = np.sin(psi)
    turned[..., 1, 0] = -turned[..., 0, 1]
    turned[..., 2, 2] = 1
    return turned


@lru_cache(maxsize=8)
def _directions(nside: int) -> Float[np.ndarray, "p 3 3"]:
    """Rotations (12 nside², 3, 3) of all pixels, nested, without in-plane angle."""
    x, y, z = healpix_directions(nside, order="nested").T
    phi, theta = np.arctan2(y, x), np.arctan2(np.hypot(x, y), z)
    return rotations_from_euler(np.stack([phi, theta, np.zeros_like(phi)], axis=1))


def _pixels_of(directions: Float[np.ndarray, "n 3"], nside: int) -> Int[np.ndarray, "n"]:
    """Nested pixels that contain directions."""
    from astropy import units
    from astropy_healpix.core import lonlat_to_healpix

    longitude, latitude = np.arctan2(directions[:, 1], directions[:, 0]), np.arcsin(directions[:, 2].clip(-1, 1))
    return np.asarray(lonlat_to_healpix(longitude * units.rad, latitude * units.rad, nside, order="nested"))


def in_asymmetric_unit(
    directions: Float[np.ndarray, "n 3"], group: Float[np.ndarray, "g 3 3"], *, margin: float = 0.0
) -> Bool[np.ndarray, "n"]:
    """Whether view directions (n, 3) are in one asymmetric unit of a group, or within ``margin`` radians of it.

    The unit holds the directions that are nearer to one generic direction than to any of its images under the group.
    """
    generic = np.array([1.0, 0.17, 0.31]) / np.linalg.norm([1.0, 0.17, 0.31])
    images = group @ generic
    others = images[np.linalg.norm(images - generic, axis=1) > 1e-6] - generic
    # Sines of the angles between the directions and the planes halfway to each image of the generic one.
    beyond = directions @ (others / np.linalg.norm(others, axis=1, keepdims=True)).T
    return (beyond <= np.sin(margin) + 1e-9).all(axis=1)
