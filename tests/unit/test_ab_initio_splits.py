"""Splits of 3D classification ab initio: which class gives way, to which it gives way, and how a volume is split."""

from dataclasses import replace

import numpy as np
import torch

from cryobench.methods.classification_ab_initio import ClassificationAbInitioSettings
from cryobench.methods.classification_ab_initio.ascent import Ascent
from cryobench.methods.classification_ab_initio.settings import plan_ascent
from cryobench.methods.classification_ab_initio.splits import (
    MOST_MISSED,
    Census,
    judge_classes,
    measure_missed,
    split_volume,
)
from cryobench.reconstruction.engine import RunContext
from toy import toy_dataset


def test_one_of_two_copies_is_missed_by_log_two_and_an_empty_class_by_nothing() -> None:
    logs = np.array([[3.0, 3.0, -400.0], [5.0, 5.0, -400.0]])
    np.testing.assert_allclose(measure_missed(logs), [2 * np.log(2), 2 * np.log(2), 0], atol=1e-12)


def test_a_class_is_missed_by_the_log_odds_of_its_images_up_to_a_bound() -> None:
    logs = np.array([[8.0, 1.0], [0.0, 900.0], [0.0, -np.inf]])
    odds = np.logaddexp(8.0, 1.0) - 1.0
    np.testing.assert_allclose(
        measure_missed(logs), [odds + MOST_MISSED, np.logaddexp(8.0, 1.0) - 8.0 + MOST_MISSED], rtol=1e-12
    )


def _census(members: list[float], missed: list[float], split: list[bool] | None = None) -> Census:
    begun = Census.begin(len(members))
    counted = begun.count(np.array(members), np.array(missed) * np.array(members))
    return counted if split is None else replace(counted, split=np.array(split))


def test_the_class_missed_least_gives_way_to_the_largest_not_split_yet() -> None:
    members, missed = [10.0, 50.0, 30.0, 10.0], [9.0, 12.0, 11.0, 1.2]
    assert _census(members, missed).choose() == (3, 1)
    assert _census(members, missed, [False, True, False, False]).choose() == (3, 2)
    after = _census(members, missed, [False, True, False, False]).after((3, 2))
    assert after.split.tolist() == [False, True, True, False]
    assert after.members.sum() == after.missed.sum() == 0
    assert _census(members, missed, [True, True, True, False]).choose() == (3, 1)
    again = _census(members, missed, [True, True, True, False]).after((3, 1))
    assert again.split.tolist() == [False, True, False, False]


def test_classes_that_are_missed_stay() -> None:
    assert _census([25.0, 75.0], [6.0, 9.0]).choose() is None
    assert _census([100.0], [0.0]).choose() is None
    assert _census([50.0, 50.0], [6.0, 9.0], [True, False]).after(None).split.tolist() == [False, False]


def test_halves_of_a_volume_have_it_as_their_mean_and_differ_where_it_is() -> None:
    volume = torch.zeros(16, 16, 16)
    volume[5:11, 5:11, 5:11] = 1.0
    one, other = split_volume(volume, 3.0, 0, "splits", 4)
    torch.testing.assert_close(0.5 * (one + other), volume)
    assert float((one - other)[volume == 0].abs().max()) == 0
    assert 0.1 < float((one - other)[volume > 0].std()) < 2
    assert not torch.equal(split_volume(volume, 3.0, 0, "splits", 5)[0], one)


def test_splits_come_at_their_iterations_and_not_at_the_end() -> None:
    settings = ClassificationAbInitioSettings(split_every=50)
    looks, _ = plan_ascent(settings, 100_000, 128, 3.0)
    places = [number for number, look in enumerate(looks) if look.splits]
    assert places == list(range(249, 1026 - 300, 50))
    assert not any(look.splits for look in plan_ascent(ClassificationAbInitioSettings(), 1000, 128, 3.0)[0])


def test_an_empty_class_takes_half_of_another() -> None:
    dataset = toy_dataset(n=60, n_states=2, snr=1.0)
    settings = ClassificationAbInitioSettings(
        n_classes=3, initial_resolution=24.0, initial_batch=30, healpix_nside=1, shift_range=0, split_every=1
    )
    ascent = Ascent(dataset.particles.without_poses(), settings, RunContext())
    state = ascent.start()
    counted = replace(state, census=_census([40.0, 20.0, 1.0], [9.0, 9.0, 0.5]))
    after = ascent._split(counted, 7)
    assert after.census.split.tolist() == [True, False, False]
    torch.testing.assert_close(after.volumes[1], state.volumes[1])
    assert not torch.equal(after.volumes[2], state.volumes[2])
    kept = float(torch.nn.functional.cosine_similarity(after.volumes[2].ravel(), state.volumes[0].ravel(), dim=0))
    assert kept > 0.8
    held = ascent._split(replace(state, census=_census([40.0, 20.0, 9.0], [9.0, 9.0, 9.0])), 7)
    assert torch.equal(held.volumes, state.volumes)
    packed = ascent.unpack(*ascent.pack(after))
    np.testing.assert_array_equal(packed.census.split, after.census.split)


def test_classes_that_images_do_not_miss_are_named() -> None:
    assert judge_classes(np.array([9.0, 20.0])) == ()
    (note,) = judge_classes(np.array([9.0, 1.4, 12.0, 0.0]))
    assert "equal to another: 1, 3. Fewer" in note
