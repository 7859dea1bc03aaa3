"""Search where each image has a volume of its own: rings against sums over the disc, blobs and networks."""

import numpy as np
import pytest
import torch

from cryobench.data import ArrayImages, Particles
from cryobench.fourier import fft_images
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.shift_scores import ShiftGrid, score_by_phases
from cryobench.reconstruction.images import Spectra, transform_images
from cryobench.reconstruction.networks import CoordinateNetwork, NetworkShape
from cryobench.reconstruction.poses import NetworkSlices, OrientationGrid, PoseSearch, SearchPlan, plan_radii
from cryobench.reconstruction.poses.rings import Rings
from cryobench.rotations import geodesic_distance, rotations_from_quaternions

SIZE = 32
DISC = HalfDisc(SIZE, SIZE // 2)
WIDTH = 1.2


class Blobs:
    """Gaussian blobs, other ones for each image, whose spectrum is known everywhere."""

    n_volumes = 1

    def __init__(self, centres: np.ndarray) -> None:
        self.centres = torch.from_numpy(centres).float()
        """(b, blobs, 3) px."""

    def own(self, images: np.ndarray, volumes: np.ndarray, rotations: torch.Tensor, radius: int) -> torch.Tensor:
        plane = torch.from_numpy(DISC.frequencies[: DISC.count(radius)] / SIZE).float()
        return torch.stack(
            [self._evaluate(image, plane @ each[:2]) for image, each in zip(images, rotations, strict=True)]
        )

    def at(self, images: np.ndarray, points: torch.Tensor) -> torch.Tensor:
        return torch.stack([self._evaluate(image, points) for image in images])

    def _evaluate(self, image: int, points: torch.Tensor) -> torch.Tensor:
        turns = -2 * np.pi * points @ self.centres[image].T
        width = torch.exp(-2 * (np.pi * WIDTH) ** 2 * points.square().sum(-1))
        return width * torch.polar(torch.ones_like(turns), turns).sum(-1)


def make_blobs(n: int, *, spread: float = SIZE / 10) -> Blobs:
    return Blobs(np.random.default_rng(0).normal(0, spread, (n, 30, 3)))


def image_of(
    source: Blobs, rotations: np.ndarray, shifts: np.ndarray, *, noise: float = 0.0, astigmatism: float = 3000.0
) -> Spectra:
    """Images, projected blobs in real space, with an astigmatic CTF and white noise of a power an entry."""
    n, generator = len(rotations), np.random.default_rng(1)
    placed = np.einsum("nij,nbj->nbi", rotations, source.centres.numpy())[..., :2] - shifts[:, None]
    axis = np.arange(SIZE) - SIZE // 2
    along = np.exp(-((axis - placed[..., None]) ** 2) / (2 * WIDTH**2)) / np.sqrt(2 * np.pi) / WIDTH
    clean = torch.from_numpy(np.einsum("nby,nbx->nyx", along[:, :, 1], along[:, :, 0])).float()
    defocus = generator.uniform(8_000, 15_000, n)
    ctf = Ctf.from_columns(
        n, defocus_u=defocus + astigmatism / 2, defocus_v=defocus - astigmatism / 2, defocus_angle=0.7
    )
    bare = transform_images(Particles(ArrayImages(clean.numpy()), 6.0, ctf), np.arange(n), DISC)
    drawn = generator.normal(0, np.sqrt(noise) / SIZE, clean.shape).astype(np.float32)
    data = bare.data * bare.ctf + DISC.pack(fft_images(torch.from_numpy(drawn)))
    return Spectra(bare.indices, data, bare.ctf, bare.power, bare.ctf_power)


def draw_poses(n: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(2)
    return rotations_from_quaternions(generator.normal(size=(n, 4))), generator.uniform(-2.5, 2.5, (n, 2))


def make_search(grid: OrientationGrid | None = None) -> PoseSearch:
    shells = np.ones(DISC.radius + 1)
    shells[0] = np.inf
    plan = SearchPlan(plan_radii(8, 16, 4), ShiftGrid(3.0, 7), grid or OrientationGrid())
    return PoseSearch(plan, DISC, shells)


def test_planes_seen_from_behind_are_read_backwards() -> None:
    grid = OrientationGrid(2, 12)
    pixels = np.arange(48)
    opposite = grid.opposite(0, pixels)
    np.testing.assert_array_equal(grid.opposite(0, opposite), pixels)
    here, there = grid.directions(0, pixels), grid.directions(0, opposite)
    np.testing.assert_allclose(there[:, 0], here[:, 0], atol=1e-12)
    np.testing.assert_allclose(there[:, 1:], -here[:, 1:], atol=1e-12)


@pytest.mark.parametrize(("noise", "least"), [(0.0, 0.03), (20.0, 0.1)], ids=["clean", "noisy"])
def test_scores_on_rings_are_those_of_sums_over_the_disc(noise: float, least: float) -> None:
    """Of every orientation and shift, in units of their spread; the same slices, from closed forms."""
    source = make_blobs(2)
    rotations, shifts = draw_poses(2)
    search = make_search(OrientationGrid(2, 12))
    matched = search.match(image_of(source, rotations, shifts, noise=noise))
    plan, rings = search.plan, search.rings
    assert rings.points.shape[0] == 24
    planes = source.at(matched.indices, torch.from_numpy(rings.points).flatten(0, 1)).unflatten(1, (24, -1))
    every = plan.orientations.rotations(0, *plan.orientations.base)
    cut = matched.cut(search.rows(0).count)
    for image, values in enumerate(zip(planes, *rings.sample(matched), strict=True)):
        found = rings.score(*values)
        images = np.full(len(every), image)
        slices = source.own(images, images * 0, torch.from_numpy(every).float(), plan.radii[0])
        centres = np.zeros((len(every), 2), dtype=np.float32)
        expected = score_by_phases(slices, cut.data, cut.weights, images, centres, plan.shifts, search.rows(0))
        difference = (found - expected.flatten(1)).std() / expected.std()
        assert difference < least, difference


@pytest.mark.parametrize("snr", [np.inf, 4.0], ids=["clean", "noisy"])
def test_poses_of_images_of_different_volumes_are_found(snr: float) -> None:
    """With an astigmatic CTF, which a slice that is turned after its CTF would fail."""
    source = make_blobs(24)
    rotations, shifts = draw_poses(24)
    clean = image_of(source, rotations, shifts)
    images = image_of(source, rotations, shifts, noise=float(clean.data.abs().square().mean()) / snr)
    found = make_search().find(source, images)
    angles = np.degrees(geodesic_distance(found.rotations, rotations))
    assert (angles < 2 * np.degrees(OrientationGrid().spacing(4))).mean() >= 0.95
    assert np.median(np.linalg.norm(found.shifts - shifts, axis=1)) < 0.1


def test_a_network_gives_its_slices_in_any_order_of_images(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    network = CoordinateNetwork(NetworkShape(SIZE, 3, 20, 2, "hartley"))
    latents = torch.randn(3, 3)
    source = NetworkSlices(network, DISC, np.array([7, 2, 5]), latents)
    rotations = torch.from_numpy(rotations_from_quaternions(rng.normal(size=(4, 4)))).float()
    images = np.array([5, 7, 7, 2])
    found = source.own(images, images * 0, rotations, 10)
    assert found.shape == (4, DISC.count(10))
    plane = torch.from_numpy(DISC.frequencies[: DISC.count(10)] / SIZE).float()
    for slice_, image, rotation in zip(found, images, rotations, strict=True):
        expected = source.at(np.array([image]), plane @ rotation[:2])[0]
        torch.testing.assert_close(slice_[1:], expected[1:], atol=1e-5, rtol=1e-4)
    assert not found[:, 0].any()


def test_an_odd_number_of_turns_is_refused() -> None:
    with pytest.raises(ValueError, match="even number of in-plane angles, got 9"):
        Rings(OrientationGrid(1, 9), ShiftGrid(1.0, 3), DISC, DISC.count(8), 8)
