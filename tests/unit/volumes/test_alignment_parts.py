"""The parts of alignment against plain sums: spectra, derivatives, correlation over SO(3), envelopes."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.volumes.alignment import harmonics
from cryobench.volumes.alignment.candidates import find_candidates, keep_distinct
from cryobench.volumes.alignment.envelope import carry, find_envelope
from cryobench.volumes.alignment.objective import make_objective
from cryobench.volumes.alignment.problem import pose_problem
from cryobench.volumes.alignment.refine import Candidate
from cryobench.volumes.alignment.spectrum import make_lattice, make_spectrum, prepare_volume
from moved_blobs import MIRROR, Blobs, add_noise, angle_between, draw_transform, scatter_blobs


def _spectrum_of(volume, band):
    prepared = prepare_volume(torch.from_numpy(volume), band)
    return make_spectrum(prepared, torch.ones_like(prepared.values))


@pytest.mark.parametrize("size", [24, 33, 64])
def test_spectrum_between_grid_points(size, rng):
    blobs = scatter_blobs(rng, size).moved(np.eye(3), [2.0, -1.0, 0.5])
    spectrum = _spectrum_of(blobs.draw(size), 7)
    positions = rng.normal(size=(200, 3))
    positions *= rng.uniform(0, 7.4, (200, 1)) / np.linalg.norm(positions, axis=1, keepdims=True)
    found = spectrum.sample(positions)
    # The transform of a Gaussian, with the phase of its centre.
    k = positions / size
    phases = np.exp(-2j * np.pi * k @ blobs.centres.T)
    widths = np.exp(-2 * np.pi**2 * (k**2).sum(axis=1)[:, None] * blobs.widths**2)
    expected = phases * widths @ (blobs.heights * (2 * np.pi) ** 1.5 * blobs.widths**3)
    np.testing.assert_allclose(found, expected, atol=3e-3 * np.abs(expected).max())


def test_lattice_is_half_a_ball():
    lattice = make_lattice((3, 5))
    assert lattice.ends == (int((lattice.shells <= 3).sum()), len(lattice.points))
    assert (lattice.shells[: lattice.ends[0]] <= 3).all()
    both = {tuple(point) for point in lattice.points} | {tuple(-point) for point in lattice.points}
    axis = range(-6, 7)
    ball = {(x, y, z) for x in axis for y in axis for z in axis if 0 < x * x + y * y + z * z < 5.5**2}
    assert both == ball
    assert len(both) == 2 * len(lattice.points)


@pytest.mark.parametrize("known", [False, True])
def test_derivatives(known, rng):
    blobs = scatter_blobs(rng, 24)
    lattice = make_lattice((4, 7))
    spectra = [
        (_spectrum_of(blobs.moved(np.eye(3), 1.0).draw(24), 7), _spectrum_of(blobs.draw(24), 7)),
        (_spectrum_of(scatter_blobs(rng, 24).draw(24), 7), _spectrum_of(blobs.draw(24), 7)),
    ]
    matrix, shift = Rotation.from_rotvec([0.2, -0.1, 0.3]).as_matrix() @ MIRROR, np.array([0.01, -0.03, 0.02])
    objective = make_objective(spectra, lattice)
    if known:
        objective = objective.weighted_by_likelihood(matrix, shift)
        assert objective.correlations is not None
    for level in (0, 1):
        found = objective.evaluate(matrix, shift, level)
        numeric = np.empty(6)
        for index in range(6):
            step = 1e-3 if index < 3 else 1e-4
            ends = []
            for sign in (1, -1):
                move = np.zeros(6)
                move[index] = sign * step
                turned = Rotation.from_rotvec(move[:3]).as_matrix() @ matrix
                ends.append(objective.evaluate(turned, shift + move[3:], level).score)
            numeric[index] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(found.gradient, numeric, atol=2e-3 * np.abs(numeric).max())
        assert np.linalg.eigvalsh(found.curvature)[0] > 0


def test_curvature_at_the_answer(rng):
    volume = _spectrum_of(scatter_blobs(rng, 24).draw(24), 7)
    objective = make_objective([(volume, volume)], make_lattice((7,)))
    objective = objective.weighted_by_likelihood(np.eye(3), np.zeros(3))
    best = objective.evaluate(np.eye(3), np.zeros(3), 0)
    for index, step in ((0, 0.02), (2, 0.02), (3, 0.004), (5, 0.004)):
        move = np.zeros(6)
        move[index] = step
        away = objective.evaluate(Rotation.from_rotvec(move[:3]).as_matrix(), move[3:], 0)
        assert best.score - away.score == pytest.approx(0.5 * step**2 * best.curvature[index, index], rel=0.1)
    assert np.abs(best.gradient).max() < 1e-4 * np.sqrt(best.curvature.diagonal().max())


def test_score_is_the_mean_shell_correlation(rng):
    first, second = (add_noise(scatter_blobs(rng, 24).draw(24), 1.0, rng) for _ in range(2))
    lattice = make_lattice((6,))
    objective = make_objective([(_spectrum_of(first, 6), _spectrum_of(second, 6))], lattice)
    spectra = [np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(volume.astype(float)))) for volume in (first, second)]
    axis = np.arange(24) - 12
    shells = np.floor(np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2) + 0.5)
    curve = []
    for shell in range(1, 7):
        a, b = (spectrum[shells == shell] for spectrum in spectra)
        curve.append((a * b.conj()).sum().real / np.sqrt((abs(a) ** 2).sum() * (abs(b) ** 2).sum()))
    assert objective.score(np.eye(3), np.zeros(3)) == pytest.approx(np.mean(curve), abs=2e-3)
    assert objective.evaluate(np.eye(3), np.zeros(3), 0).score == pytest.approx(np.mean(curve), abs=2e-3)


def test_correlation_over_all_rotations(rng):
    directions = harmonics.sphere_directions()
    nodes, weights = np.polynomial.legendre.leggauss(harmonics.ORDER + 1)
    quadrature = np.repeat(weights, len(directions) // len(nodes)) * 2 * np.pi / (len(directions) // len(nodes))
    assert quadrature.sum() == pytest.approx(4 * np.pi)
    poles = rng.normal(size=(2, 3, 5, 3))

    def evaluate(which, points):
        # Two shells of smooth, lopsided functions, the second complex.
        lobes = np.exp(points @ poles[which].swapaxes(-1, -2)).sum(axis=-1)
        return np.stack([lobes[0], lobes[1] + 1j * lobes[2]])

    volume, reference = (harmonics.expand(evaluate(which, directions).astype(np.complex64)) for which in (0, 1))
    overlap = harmonics.correlate_rotations(volume, reference)
    flipped = harmonics.correlate_rotations(harmonics.flip(volume), reference)
    still = evaluate(1, directions)
    chosen = rng.integers(0, overlap.size, 40)
    chosen[0] = 0
    for index, rotation in zip(chosen, harmonics.grid_rotations(chosen), strict=True):
        for mirror, table in ((np.eye(3), overlap), (MIRROR, flipped)):
            # The turned function at s is the function at Rᵀ s, as a row s R.
            turned = evaluate(0, directions @ rotation @ mirror)
            means = [(part * quadrature).sum(axis=1, keepdims=True) / (4 * np.pi) for part in (turned, still)]
            expected = ((turned - means[0]) * (still - means[1]).conj() * quadrature).sum().real
            assert table.ravel()[index] == pytest.approx(expected, abs=1e-3 * float(np.abs(overlap).max()))


@pytest.mark.parametrize("mirrored", [False, True])
def test_candidates_hold_the_answer_by_amplitudes_alone(mirrored, rng):
    rotation, shift, _ = draw_transform(rng, 6.0)
    blobs = scatter_blobs(rng, 32)
    matrix = rotation @ MIRROR if mirrored else rotation
    volume, reference = blobs.draw(32), blobs.moved(matrix, shift).draw(32)
    spectra = [_spectrum_of(volume, 8), _spectrum_of(reference, 8)]
    # A centre that is wrong: what is about it finds nothing, amplitudes know no centre.
    object.__setattr__(spectra[0], "centroid", np.array([0.4, -0.4, 0.3]))
    objective = make_objective([(spectra[0], spectra[1])], make_lattice((8,)))
    found = find_candidates(objective, 0, try_mirror=True)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert found[0].mirrored == mirrored
    # Steps of 6 degrees, peaks 12 degrees apart.
    assert angle_between(found[0].rotation, rotation) < 12
    assert np.linalg.norm(32 * found[0].shift - shift) < 1.5
    value = objective.evaluate(found[0].matrix, found[0].shift, 0).score
    assert found[0].score == pytest.approx(value, abs=1e-5)


def test_distinct_candidates():
    def make(angle, mirrored, score):
        return Candidate(Rotation.from_rotvec([0, 0, np.deg2rad(angle)]).as_matrix(), np.zeros(3), mirrored, score)

    given = [make(0, False, 0.9), make(5, False, 0.8), make(5, True, 0.7), make(20, False, 0.6), make(60, False, 0.5)]
    kept = keep_distinct(given, np.deg2rad(10), 3)
    assert [one.score for one in kept] == [0.9, 0.7, 0.6]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("size", [32, 45, 64])
def test_envelope_holds_the_particle_and_little_else(size, sign, rng):
    blobs = scatter_blobs(rng, size).moved(np.eye(3), np.array([3.0, -5.0, 1.0]) * size / 64)
    clean = blobs.draw(size)
    found = find_envelope(torch.from_numpy(sign * add_noise(clean, 1.0, rng)))
    values = carry(found.values, size, np.eye(3), np.zeros(3)).numpy()
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-6
    assert (values * clean).sum() > 0.97 * clean.sum()
    assert values.mean() < 0.2
    mass = blobs.heights * blobs.widths**3
    np.testing.assert_allclose(found.centre, (mass @ blobs.centres) / mass.sum() / size, atol=0.03)


def test_in_the_end_both_are_seen_within_one_mask(rng, monkeypatch):
    rotation, shift, _ = draw_transform(rng, 2.0)
    blobs, far = (
        scatter_blobs(rng, 32, count=6),
        Blobs(np.array([[8.0, 7.0, -6.0]]), np.array([2.0]), np.array([2.0])),
    )
    candidate = Candidate(rotation, shift / 32, True, 0.0)
    volume, reference = blobs.draw(32), blobs.joined(far).moved(candidate.matrix, shift).draw(32)
    problem = pose_problem([volume], [reference], 1.0, None, None)
    masks = []
    monkeypatch.setattr(
        "cryobench.volumes.alignment.problem.make_spectrum",
        lambda volume, mask: masks.append(mask) or make_spectrum(volume, mask),
    )
    problem.make_final_objective(candidate)
    assert len(masks) == 2
    carried = carry(masks[0], 32, candidate.matrix, candidate.shift)
    assert (carried - masks[1]).abs().mean() < 0.01
    # The envelopes of the two differ by more.
    problem.make_search_objective()
    assert (carry(masks[2], 32, candidate.matrix, candidate.shift) - masks[3]).abs().mean() > 0.015


@pytest.mark.parametrize(("old", "new"), [(32, 32), (33, 32), (32, 41), (31, 64)])
def test_masks_are_carried_with_the_particle(old, new, rng):
    blobs = scatter_blobs(rng, 64, count=4).moved(0.6 * np.eye(3), 0.0)
    rotation, shift, _ = draw_transform(rng, 3.0)

    def draw(matrix, offset, size):
        moved = blobs.moved(matrix, offset)
        return Blobs(moved.centres * size / 64, 2.5 * moved.widths * size / 64, moved.heights).draw(size)

    carried = carry(torch.from_numpy(draw(np.eye(3), 0.0, old)), new, rotation @ MIRROR, shift / 64).numpy()
    expected = draw(rotation @ MIRROR, shift, new)
    np.testing.assert_allclose(carried, expected, atol=0.05 * expected.max())
