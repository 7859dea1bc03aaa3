"""What the report's pictures show: projections, slices on one scale, surfaces at levels of equal volume."""

import base64
from dataclasses import replace

import numpy as np
import pytest

from cryobench.data import GroundTruth, IndexedVolumes
from cryobench.report import slices, surfaces
from cryobench.report.card import views
from cryobench.report.scored_runs import queries
from cryobench.report.scored_runs.tables import name_runs
from cryobench.rotations import rotations_from_quaternions
from cryobench.volumes.regrid import regrid_volume
from fabricated import PIXEL_SIZE, blob_volumes, fabricate_dataset, fabricate_results


def _ball(box_size: int, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    axis = np.arange(box_size) - box_size // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    return np.clip(radius - distance + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize("box_size", [32, 33])
def test_projection_puts_a_ball_where_pose_and_shift_say(box_size, rng):
    place = np.array([5.0, -3.0, 4.0])
    rotations = rotations_from_quaternions(rng.standard_normal((3, 4)))
    shifts = rng.uniform(-9, 9, (3, 2))
    truth = GroundTruth(
        states=np.zeros(3, int),
        volumes=IndexedVolumes(_ball(box_size, tuple(place), 2.5)[None], np.zeros(1, int)),
        rotations=rotations,
        shifts=shifts,
    )
    axis = np.arange(box_size) - box_size // 2
    for particle in range(3):
        image = views.project_truth(truth, particle, PIXEL_SIZE)
        centre = np.array([(image.sum(axis=0) * axis).sum(), (image.sum(axis=1) * axis).sum()]) / image.sum()
        # The shift centres the particle, so the particle lies at its opposite.
        expected = (rotations[particle] @ place)[:2] - shifts[particle] / PIXEL_SIZE
        assert centre == pytest.approx(expected, abs=0.05)


def test_views_bring_out_the_particle():
    dataset = fabricate_dataset()
    examples = views.view_particles(dataset, views.spread_particles(dataset, 4))
    assert len(examples) == 4
    for example in examples:
        truth = example.views["truth, no noise"].ravel()
        similarity = {title: np.corrcoef(image.ravel(), truth)[0, 1] for title, image in example.views.items()}
        flipped = next(value for title, value in similarity.items() if title.startswith("phases flipped"))
        assert flipped > 0.15
        assert similarity["as stored"] < 0


def test_contrast_is_matched_and_a_constant_volume_survives(rng):
    truth = blob_volumes(1)[0]
    volume = (7 * truth - 3 + 0 * truth).astype(np.float32)
    assert slices.match_contrast(volume, truth) == pytest.approx(truth, abs=1e-4)
    assert np.isfinite(slices.match_contrast(np.ones_like(truth), truth)).all()


@pytest.mark.parametrize("box_size", [16, 17])
def test_slices_pass_through_the_centre_in_the_planes_named(box_size):
    volume = np.arange(box_size**3, dtype=np.float32).reshape((box_size,) * 3)
    xy, xz, yz = slices.cut_slices(volume)
    middle = box_size // 2
    assert (xy == volume[middle]).all()
    assert (xz == volume[:, middle]).all()
    assert (yz == volume[:, :, middle]).all()


def test_queries_are_spread_and_runs_without_volumes_left_out():
    dataset = fabricate_dataset()
    positions = queries.choose_queries(dataset, 4)
    assert len(set(positions.tolist())) == 4
    query = queries.read_query(dataset, name_runs(fabricate_results(dataset)), int(positions[1]))
    assert next(iter(query.volumes)) == "truth"
    assert len(query.volumes) == 7
    assert (query.volumes["truth"] == dataset.truth.volume_of(query.particle)).all()


@pytest.mark.parametrize("n", [0, 1, 2, 4, 5])
def test_each_of_few_queries_is_shown_once(n):
    dataset = fabricate_dataset()
    few = replace(dataset, queries=dataset.queries[:n])
    assert sorted(queries.choose_queries(few, 5).tolist()) == list(range(n))


@pytest.mark.parametrize("box_size", [32, 33])
def test_surface_of_a_ball_lies_on_the_ball(box_size):
    mesh = surfaces.extract_surface(_ball(box_size, (4, -2, 3), 6.0), 0.5, voxel_size=2.0)
    radius = np.linalg.norm(mesh.vertices - np.array([8.0, -4.0, 6.0]), axis=1)
    assert radius == pytest.approx(12.0, abs=0.3)
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = corners.mean(axis=1) - np.array([8.0, -4.0, 6.0])
    assert (np.einsum("ij,ij->i", normals, outward) > -1e-6).mean() > 0.99  # some triangles are empty


def test_levels_enclose_what_they_say_whatever_the_scale(rng):
    volume = blob_volumes(1)[0]
    noisy = 40 * volume + 7 + rng.normal(0, 1, volume.shape).astype(np.float32)
    for fraction in surfaces.choose_enclosed(volume):
        assert (noisy > surfaces.level_enclosing(noisy, fraction)).mean() == pytest.approx(fraction, abs=2e-4)
    assert (np.diff(surfaces.choose_enclosed(volume)) < 0).all()


def test_a_volume_without_surface_gives_an_empty_mesh():
    mesh = surfaces.extract_surface(np.ones((8, 8, 8), np.float32), 1.0, 1.0)
    assert len(mesh.faces) == 0
    assert surfaces.pack_mesh(mesh, 10.0)["count"] == 0


def test_noisy_surfaces_are_reduced_to_the_limit(rng):
    noise = rng.standard_normal((40, 40, 40)).astype(np.float32)
    meshes = surfaces.extract_surfaces(noise, 2.0, [0.1, 0.05], most_faces=6_000)
    assert 0 < sum(len(mesh.faces) for mesh in meshes) <= 6_000


def test_packed_vertices_come_back_within_the_step():
    mesh = surfaces.extract_surface(_ball(32, (0, 0, 0), 8.0), 0.5, 3.0)
    packed = surfaces.pack_mesh(mesh, 50.0)
    back = np.frombuffer(base64.b64decode(packed["vertices"]), "<u2").reshape(-1, 3) / 65535 * 100 - 50
    assert back == pytest.approx(mesh.vertices, abs=100 / 65535)
    assert (np.frombuffer(base64.b64decode(packed["faces"]), "<u2").reshape(-1, 3) == mesh.faces).all()


def test_shaded_picture_shows_a_ball_as_a_disc_lit_from_the_upper_left():
    picture = surfaces.shade_surface(_ball(32, (0, 0, 0), 8.0), 0.5, size=96)
    seen = np.isfinite(picture)
    assert seen.sum() == pytest.approx(np.pi * 24**2, rel=0.05)
    rows, columns = np.nonzero(seen)
    assert (rows.mean(), columns.mean()) == pytest.approx((47.5, 47.5), abs=1.6)
    assert np.nanmean(picture[:48, :48]) > np.nanmean(picture[48:, 48:]) + 0.1


def test_volumes_on_another_grid_are_shown_on_that_of_the_data_set():
    dataset = fabricate_dataset()
    made, scores = fabricate_results(dataset)[0]
    assert dataset.truth is not None
    coarse = [regrid_volume(each, PIXEL_SIZE, box_size=14, new_pixel_size=2 * PIXEL_SIZE) for each in blob_volumes()]
    volumes = IndexedVolumes(np.stack(coarse), dataset.truth.states[dataset.queries])
    runs = name_runs([(replace(made, volumes=volumes, pixel_size=2 * PIXEL_SIZE), scores)])
    query = queries.read_query(dataset, runs, 2)
    shown = query.volumes[runs[0].slug]
    assert shown.shape == query.reference.shape
    assert np.corrcoef(shown.ravel(), query.reference.ravel())[0, 1] > 0.99
