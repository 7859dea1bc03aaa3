"""What is drawn for each particle has the law that the settings name, and none of it tells the state."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.transform import Rotation

from cryobench.imaging.ctf import Ctf
from cryobench.io.programs.cryodrgn import write_ctf
from cryobench.recipes.draws import (
    Junk,
    assign_states,
    choose_queries,
    draw_contrast,
    draw_ctf,
    draw_given_ctf,
    draw_given_poses,
    draw_junk,
    draw_neighbours,
    draw_noise_level,
    draw_poses,
    set_populations,
)
from cryobench.recipes.imaging.noise import colour_noise, kept_by_binning, noise_power
from cryobench.recipes.settings import REALISTIC, SimulationSettings
from cryobench.recipes.states.composition import apportion
from cryobench.rotations import geodesic_distance

LEVEL = 1e-4
"""Seeds are fixed, so a test fails always or never; the level only says how far from chance it was chosen."""
MANY = 4000


def settings(**changes: object) -> SimulationSettings:
    return SimulationSettings(**changes)


# Orientations


@pytest.mark.parametrize("axis", [(0.0, 0.0, 1.0), (1.0, -2.0, 0.5)])
@pytest.mark.parametrize("concentration", [0.7, 20.0])
def test_von_mises_fisher_views(axis, concentration):
    """The cosine to the axis has the distribution (e^{κw} − e^{−κ}) / (e^κ − e^{−κ}), the angles are uniform."""
    chosen = settings(orientation="von Mises-Fisher", orientation_concentration=concentration, orientation_axis=axis)
    rotations, _ = draw_poses(chosen, 3, range(MANY))
    cosine = rotations[:, 2] @ (np.array(axis) / np.linalg.norm(axis))

    def cumulative(w):
        return np.expm1(concentration * (w + 1)) / np.expm1(2 * concentration)

    assert stats.kstest(cosine, cumulative).pvalue > LEVEL
    frame = np.linalg.svd(np.array([axis]))[2][1:]
    about = np.arctan2(*(rotations[:, 2] @ frame.T).T)
    assert stats.kstest(about, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > LEVEL
    in_plane = np.arctan2(rotations[:, 0] @ frame[0], rotations[:, 1] @ frame[0])
    if concentration > 10:  # views nearly along the axis: the image plane is that of the frame
        assert stats.kstest(in_plane, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > LEVEL
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-9)


@pytest.mark.parametrize("concentration", [-8.0, 6.0])
def test_watson_views(concentration):
    chosen = settings(orientation="Watson", orientation_concentration=concentration, orientation_axis=(0, 1, 0))
    cosine = draw_poses(chosen, 5, range(MANY))[0][:, 2, 1]
    grid = np.linspace(-1, 1, 200_001)
    density = np.exp(concentration * grid**2)
    table = np.cumsum(density) / density.sum()
    assert stats.kstest(cosine, lambda w: np.interp(w, grid, table)).pvalue > LEVEL
    # Far from uniform, so that the law has been seen.
    assert stats.kstest(cosine, stats.uniform(-1, 2).cdf).pvalue < 1e-12


def test_pose_errors_are_normal_about_each_axis_and_the_truth_is_kept():
    chosen = settings(rotation_error_deg=2.0, shift_error=1.5)
    true, given = draw_poses(chosen, 1, range(MANY)), draw_given_poses(chosen, 1, range(MANY))
    turns = Rotation.from_matrix(given[0] @ true[0].swapaxes(1, 2)).as_rotvec(degrees=True)
    for axis in range(3):
        assert stats.kstest(turns[:, axis] / 2, "norm").pvalue > LEVEL
    for axis in range(2):
        assert stats.kstest((given[1] - true[1])[:, axis] / 1.5, "norm").pvalue > LEVEL
    assert np.abs(np.corrcoef(np.hstack([turns, given[1] - true[1]]).T) - np.eye(5)).max() < 5 / np.sqrt(MANY)
    tidy = draw_given_poses(settings(), 1, range(50))
    assert geodesic_distance(tidy[0], draw_poses(settings(), 1, range(50))[0]).max() == 0
    np.testing.assert_array_equal(draw_poses(settings(), 1, range(50))[0], true[0][:50])


# CTF


def test_embedded_law_of_the_ctf():
    """Normal defocus cut off at the limits, half-normal astigmatism, uniform direction."""
    ctf = draw_ctf(settings(), 2, range(MANY))
    mean = (ctf.defocus_u + ctf.defocus_v) / 2
    law = stats.truncnorm((5000 - 14000) / 4000, (25000 - 14000) / 4000, 14000, 4000)
    assert stats.kstest(mean, law.cdf).pvalue > LEVEL
    assert stats.kstest(ctf.defocus_u - ctf.defocus_v, stats.halfnorm(0, 400 * np.sqrt(np.pi / 2)).cdf).pvalue > LEVEL
    assert stats.kstest(ctf.defocus_angle, stats.uniform(0, np.pi).cdf).pvalue > LEVEL
    assert (ctf.b_factor == 100).all()
    spread = draw_ctf(settings(b_factor_deviation=20), 2, range(MANY)).b_factor
    assert stats.kstest((spread - 100) / 20, "norm").pvalue > LEVEL


def test_ctf_errors_are_normal_and_leave_the_astigmatism_alone():
    chosen = settings(defocus_error=150, astigmatism_angle_error_deg=5)
    true, given = draw_ctf(chosen, 2, range(MANY)), draw_given_ctf(chosen, 2, range(MANY))
    assert stats.kstest((given.defocus_u - true.defocus_u) / 150, "norm").pvalue > LEVEL
    np.testing.assert_allclose(given.defocus_u - given.defocus_v, true.defocus_u - true.defocus_v, atol=1e-8)
    turned = np.rad2deg(given.defocus_angle - true.defocus_angle) / 5
    assert stats.kstest(turned, "norm").pvalue > LEVEL


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "ctf.pkl"
    ctf = Ctf.from_columns(500, defocus_u=1e4 + np.arange(500), defocus_v=9e3, voltage_kv=200.0)
    write_ctf(path, ctf, box_size=256, pixel_size=1.5)
    return path


def test_a_table_is_drawn_without_replacement_in_random_order(table):
    drawn = draw_ctf(settings(ctf_table=table, b_factor=40), 1, range(500))
    rows = np.rint(drawn.defocus_u - 1e4).astype(int)
    assert np.array_equal(np.sort(rows), np.arange(500))
    assert abs(stats.spearmanr(rows, np.arange(500)).statistic) < 0.2
    assert (drawn.voltage_kv == 200).all()
    assert (drawn.b_factor == 40).all()
    # Any part alone is that part, and another seed is another order.
    np.testing.assert_array_equal(draw_ctf(settings(ctf_table=table), 1, [7, 3]).defocus_u, drawn.defocus_u[[7, 3]])
    assert not np.array_equal(draw_ctf(settings(ctf_table=table), 2, range(500)).defocus_u, drawn.defocus_u)


def test_a_table_too_short_is_refused_or_drawn_anew(table):
    with pytest.raises(ValueError, match=r"the CTFs of 500 particles, but 501 are drawn.*ctf_table_reuse"):
        draw_ctf(settings(ctf_table=table), 1, range(501))
    again = draw_ctf(settings(ctf_table=table, ctf_table_reuse=True), 1, range(1000)).defocus_u
    assert np.array_equal(np.sort(again[500:]), np.sort(again[:500]))
    assert not np.array_equal(again[500:], again[:500])


# Levels, junk, populations


@pytest.mark.parametrize(("draw", "name"), [(draw_contrast, "contrast"), (draw_noise_level, "noise")])
def test_levels_are_log_normal_of_mean_square_one(draw: Callable, name: str):
    chosen = settings(**{f"{name}_deviation": 0.3})
    factors = draw(chosen, 4, range(MANY))
    assert stats.kstest((np.log(factors) + 0.09) / 0.3, "norm").pvalue > LEVEL
    assert (factors**2).mean() == pytest.approx(1, abs=5 * np.sqrt(np.expm1(4 * 0.09) / MANY))
    assert (draw(settings(), 4, range(5)) == 1).all()


def test_junk_has_the_shares_asked_for():
    chosen = settings(junk_noise=0.1, junk_wrong=0.05, junk_pair=0.2)
    counts = np.bincount(draw_junk(chosen, 6, range(MANY)), minlength=4)
    expected = {Junk.PARTICLE: 0.65, Junk.NOISE: 0.1, Junk.WRONG: 0.05, Junk.PAIR: 0.2}
    assert stats.chisquare(counts, [MANY * expected[kind] for kind in Junk]).pvalue > LEVEL
    rotations, apart = draw_neighbours(settings(pair_distance=90), 6, range(MANY))
    np.testing.assert_allclose(np.linalg.norm(apart, axis=1), 90)
    assert stats.kstest(np.arctan2(*apart.T), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > LEVEL
    assert stats.kstest(rotations[:, 2, 2], stats.uniform(-1, 2).cdf).pvalue > LEVEL


def test_populations_run_geometrically_over_the_states():
    counts = set_populations(np.full(9, 1000), settings(population_ratio=16.0), 0)
    assert counts.sum() == 9000
    expected = 16.0 ** (np.arange(9) / 8)
    np.testing.assert_allclose(np.sort(counts), 9000 * expected / expected.sum(), atol=2)
    assert not np.array_equal(counts, np.sort(counts))
    assert np.array_equal(set_populations(np.array([3, 5]), settings(), 0), [3, 5])
    assert set_populations(np.ones(50, int), settings(population_ratio=100.0), 0).min() == 1
    with pytest.raises(ValueError, match="state 1 has 0 images"):
        set_populations(np.array([3, 0]), settings(), 0)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_whole_numbers_are_nearer_to_the_populations(seed: int):
    """Moving an image from a state to another brings the counts no nearer to the shares of all but one image each."""
    counts = np.sort(set_populations(np.full(7, 4), settings(population_ratio=5.0), seed))
    weights = 5.0 ** (np.arange(7) / 6)
    errors = counts - 1 - weights / weights.sum() * (28 - 7)
    assert counts.sum() == 28
    assert errors.max() - errors.min() <= 1


@pytest.mark.parametrize(("n_queries", "expected"), [(100, 101), (20, 20), (1, 1)])
def test_queries_are_every_so_many_th_of_the_particles_by_state(n_queries, expected):
    """Ribosembly has 335,240 particles: 100 query particles become 101, as in the benchmark."""
    counts = np.array([9076, 14378, 23547, 44366, 30647, 38500, 3915, 3980, 12740, 11975, 17988, 5001, 35367, 37448])
    counts = np.append(counts, [40540, 5772])
    states = assign_states(counts, settings(), 0)
    queries = choose_queries(states, n_queries)
    assert len(queries) == expected
    assert (np.diff(queries) > 0).all()
    share = np.bincount(states[queries], minlength=16) / len(queries)
    np.testing.assert_allclose(share, counts / counts.sum(), atol=1.001 / len(queries))
    junk = np.where(np.arange(len(states)) % 2 == 0, -1, states)
    assert (junk[choose_queries(junk, n_queries)] >= 0).all()


# Noise


@pytest.mark.parametrize("box_size", [48, 49])
def test_coloured_noise_has_its_spectrum_and_unit_variance(box_size, tmp_path):
    from cryobench.fourier import ifft_images, shell_average, shell_indices

    file = tmp_path / "noise.txt"
    np.savetxt(file, [[0.0, 9.0], [0.05, 1.0], [0.1, 4.0]])
    for chosen in (
        settings(box_size=box_size, noise_exponent=2.0, noise_corner=0.03),
        settings(box_size=box_size, noise_spectrum=file),
    ):
        white = np.random.default_rng(0).standard_normal((600, box_size, box_size), dtype=np.float32)
        spectra = colour_noise(chosen, white)
        assert ifft_images(spectra, box_size).var() == pytest.approx(1, abs=0.01)
        shells = (box_size + 1) // 2
        power = shell_average(spectra.abs() ** 2, shell_indices(box_size, 2), shells, box_size=box_size)
        power = power.mean(0).numpy() / box_size**2
        expected = noise_power(chosen, np.arange(shells) / (box_size * 3.0))
        ratio = power[2:] / expected[2:]
        np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.05)
    assert noise_power(chosen, np.array([0.0, 0.025, 0.2])) == pytest.approx([9, 5, 4])


def test_binning_leaves_the_low_frequencies_of_the_noise():
    """Drawn on the fine grid and Fourier-cropped, coloured noise has the variance that is worked out."""
    import torch

    from cryobench.fourier import fourier_crop, ifft_images

    common = {"noise_exponent": 2.0, "noise_corner": 0.05}
    fine = settings(box_size=96, pixel_size=1.5, **common)
    white = np.random.default_rng(1).standard_normal((200, 96, 96), dtype=np.float32)
    binned = fourier_crop(ifft_images(colour_noise(fine, white), 96), 48, dimensions=2)
    coarse = settings(box_size=48, pixel_size=3.0, snr_pixel_size=1.5, **common)
    assert torch.var(binned).item() == pytest.approx(kept_by_binning(coarse), rel=0.05)
    assert kept_by_binning(coarse) > 0.4  # of white noise a quarter is left
    assert kept_by_binning(settings(snr_pixel_size=1.5)) == 0.25
    uneven = settings(snr_pixel_size=2.3)  # to whole pixels of the same extent
    fine = round(uneven.box_size * uneven.pixel_size / 2.3)
    assert kept_by_binning(uneven) == pytest.approx((uneven.box_size / fine) ** 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0 1\n0.1 x\n", "not a table of numbers"),
        ("0 1\n", "1 rows of 2 numbers"),
        ("0.1 1\n0.05 2\n", "must increase"),
        ("0 1\n0.1 -2\n", "not negative"),
    ],
)
def test_a_wrong_noise_spectrum_is_named(tmp_path, content, message):
    file = tmp_path / "noise.txt"
    file.write_text(content)
    with pytest.raises(ValueError, match=rf"noise\.txt.*{message}"):
        noise_power(settings(noise_spectrum=file), np.array([0.0]))


# What must not leak


def test_nothing_that_is_drawn_tells_the_state():
    """A classifier on order, pose, CTF, contrast, noise level and junk, true and given, is at chance."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    chosen = settings(**{**REALISTIC, "population_ratio": 1.0})
    states = assign_states(np.full(4, 300), chosen, 0)
    particles = range(len(states))
    columns = [np.arange(len(states))]
    for poses in (draw_poses, draw_given_poses):
        rotations, shifts = poses(chosen, 0, particles)
        columns += [rotations.reshape(-1, 9), shifts]
    for ctfs in (draw_ctf, draw_given_ctf):
        ctf = ctfs(chosen, 0, particles)
        columns += [ctf.defocus_u, ctf.defocus_v, ctf.defocus_angle, ctf.b_factor]
    columns += [draw(chosen, 0, particles) for draw in (draw_contrast, draw_noise_level, draw_junk)]
    forest = RandomForestClassifier(60, random_state=0)
    chance, spread = 0.25, np.sqrt(0.25 * 0.75 / len(states))
    assert cross_val_score(forest, np.column_stack(columns), states, cv=4).mean() < chance + 4 * spread
    # The test can fail: ordered by state, the place in the table tells it all.
    ordered = assign_states(np.full(4, 300), settings(order="by state"), 0)
    shuffled = np.random.default_rng(0).permutation(len(ordered))
    leaking = np.column_stack(columns)[shuffled]
    assert cross_val_score(forest, leaking, ordered[leaking[:, 0].astype(int)], cv=4).mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"junk_noise": 0.5, "junk_wrong": 0.5}, "more than 0.9"),
        ({"orientation_axis": (0, 0, 0)}, "needs a direction"),
        ({"orientation": "von Mises-Fisher", "orientation_concentration": -1}, "of 0 or more"),
        ({"orientation": "sideways"}, "orientation"),
        ({"snr_pixel_size": 9.0}, "must not exceed"),
        ({"ctf_table": "/nowhere/table.pkl"}, "ctf_table"),
    ],
)
def test_contradictory_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_remainders_of_images_go_to_the_largest_fractions() -> None:
    np.testing.assert_array_equal(apportion(10, [0.56, 0.24, 0.2]), [6, 2, 2])
    np.testing.assert_array_equal(apportion(5, [100, 1, 1]), [3, 1, 1])
