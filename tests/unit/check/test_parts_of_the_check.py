"""The parts of the convention check by themselves, on numbers whose answer is known."""

import numpy as np
import pytest
import torch

from cryobench.check.corrections import mend_particles
from cryobench.check.hypotheses.agreement import Matches, Terms
from cryobench.check.hypotheses.catalogue import CTF, POSES_SHUFFLED
from cryobench.check.hypotheses.needs import find_needs
from cryobench.check.hypotheses.reading import Reading
from cryobench.check.hypotheses.trials import _LEAST, SURE, Trial, decide
from cryobench.check.inspections.mismatched import agree_among_themselves, find_strangers
from cryobench.check.inspections.references import judge_references
from cryobench.check.inspections.rings import find_rings
from cryobench.check.inspections.views import measure_views
from cryobench.rotations import spread_orientations
from cryobench.volumes import mirror_volume, rotate_volume
from toy import toy_dataset


@pytest.mark.parametrize(
    ("gain", "error", "verdict"),
    [
        (2.0, 2.0 / (1.1 * SURE), "holds"),
        (2.0, 2.0 / (0.9 * SURE), "open"),
        (0.9, 0.9 / (9.0 * SURE), "open"),
        (-2.0, 2.0 / (0.9 * SURE), "open"),
        (-2.0, 2.0 / (1.1 * SURE), "rejected"),
        (0.0, 0.0, "same"),
    ],
    ids=["sure and large", "large but not sure", "sure but small", "loss but not sure", "sure loss", "no difference"],
)
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_reading_holds_where_its_gain_is_both_sure_and_large(gain, error, verdict, sign):
    """Gains in units of the least one, of a level that may be negative, as that of a wrong reading."""
    level = sign * 100.0
    assert decide(_LEAST * 100 * gain, _LEAST * 100 * error, level) == verdict


@pytest.mark.parametrize("share", [0.0, 0.15, 0.4])
def test_strangers_are_counted_where_the_two_kinds_overlap(share, rng):
    n = 3000
    expected = rng.uniform(2.0, 4.0, n)
    wrong = rng.random(n) < share
    other = Matches(0.2 * expected + rng.standard_normal(n), expected)
    own = Matches(np.where(wrong, 0.2, 1.0) * expected + rng.standard_normal(n), expected)
    found, probability = find_strangers(own, other)
    assert found.told_apart == (share > 0)
    if share:
        assert abs(found.share - wrong.mean()) < 4 * found.error < 0.1
        assert probability[wrong].mean() > probability[~wrong].mean() + 0.4


def test_noise_and_what_particles_differ_by_are_told_apart_by_the_ctf(rng):
    n, entries, noise, spread, scale = 4000, 40.0, 2.0, 3.0, 0.8
    seen = torch.from_numpy(rng.uniform(0.05, 1.0, (n, 1)))
    left = noise + spread * seen
    predicted = seen * entries
    residual = torch.from_numpy(rng.gamma(entries, 1 / entries, (n, 1))) * left * entries
    cross = scale * predicted + torch.from_numpy(rng.standard_normal((n, 1))) * (left * predicted / 2).sqrt()
    power = residual + 2 * scale * cross - scale**2 * predicted
    terms = Terms(torch.tensor([entries]), power, power, cross, predicted, torch.zeros(n, 1), seen * entries)
    fit = terms.fit()
    assert abs(float(fit.scale) - scale) < 0.02
    assert abs(float(fit.noise) - noise) < 0.1
    assert abs(float(fit.spread) - spread) < 0.2


def test_views_are_even_from_the_side_or_from_the_top(rng):
    rotations = spread_orientations(2000)
    assert measure_views(rotations).evenness > 0.98
    assert measure_views(rotations).notes == []
    side, top = np.array(rotations), np.array(rotations)
    angle = rng.uniform(0, 2 * np.pi, 2000)
    side[:, 2] = np.stack([np.cos(angle), np.sin(angle), np.zeros(2000)], axis=1)
    # Every direction but those near the axis is held by side views: the compensation is known to be 8 / π².
    assert abs(measure_views(side).evenness - 8 / np.pi**2) < 0.03
    top[:, 2] = [0, 0, 1]
    assert measure_views(top).unseen > 0.9
    assert "Views are preferred" in measure_views(top).notes[0]


@pytest.fixture(scope="module")
def reading():
    return Reading.of(toy_dataset(n=300, snr=0.5).particles, 24)


def test_what_would_decide_follows_from_what_was_measured(reading):
    trials = [
        Trial("shifts-negated", "", "", 0.02, 0.01, "open"),
        Trial("ctf-next", "", "", -0.001, 0.01, "open"),
        Trial("ctf-cs-0.0", "", "", 0.0, 0.01, "open"),
        Trial("rows-next", "", "", -1.0, 0.01, "rejected"),
    ]
    two, none, cs = find_needs(trials, reading)
    assert (two.images, two.at_least) == (1900, False)  # 300 (5 / 2)²
    assert (none.images, none.at_least) == (7500, True)
    assert "more than 7,500 images" in none.sentence
    # Two sines differ by a quarter in mean square where 1 − cos Δ is: π/2 Cs λ³ s⁴ = 0.72, at 300 kV and 2.7 mm.
    assert cs.resolution == pytest.approx((np.pi / 2 * 2.7e7 * 0.019688**3 / 0.7227) ** 0.25, rel=0.02)


def test_particles_agree_among_themselves_unless_their_poses_are_of_others(reading):
    chosen = np.arange(0, 300, 2)
    assert agree_among_themselves(reading, chosen)
    assert not agree_among_themselves(POSES_SHUFFLED.read(reading), chosen)


def test_rings_tell_a_ctf_without_poses():
    particles = toy_dataset(n=400, snr=2, with_poses=False).particles
    tenth = next(each for each in CTF if each.name == "ctf-defocus-tenth")
    right = find_rings(Reading.of(particles, 24, posed=False))
    assert right.faults == ()
    assert right.are_seen
    wrong = mend_particles(particles, [tenth.name])
    assert wrong.rotations is None
    found = find_rings(Reading.of(wrong, 24, posed=False))
    assert found.faults[0].name == "ctf-defocus-tenfold"


def test_maps_are_aligned_in_either_hand_and_their_contrast_is_told(rng):
    volume = toy_dataset(n=3).truth.volumes.read(0).copy()
    halves = np.stack([volume + 0.02 * rng.standard_normal(volume.shape).astype(np.float32) for _ in range(2)])
    turned = rotate_volume(torch.from_numpy(volume), spread_orientations(7)[2]).numpy()
    same = judge_references(halves, turned, 4.0)
    assert (same.hand, same.inverted) == ("same", False)
    assert same.aligned is not None
    assert same.aligned.moved
    assert any("another frame" in note for note in same.notes)
    other = judge_references(halves, -mirror_volume(turned), 4.0)
    assert (other.hand, other.inverted) == ("other", True)
    assert judge_references(halves, volume, 4.0, always_align=False).aligned is None
