"""Random draws of a simulation: every purpose has a stream of its own, and no two of ten thousand are correlated."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cryobench import rng
from cryobench.recipes import get_recipe
from cryobench.recipes.draws import (
    assign_states,
    draw_contrast,
    draw_ctf,
    draw_given_ctf,
    draw_given_poses,
    draw_junk,
    draw_neighbours,
    draw_noise_level,
    draw_poses,
)
from cryobench.recipes.simulate import build_settings
from cryobench.reconstruction.statistics import split_halves

SETTINGS = build_settings(
    get_recipe("igg-1d"),
    "tiny",
    {"contrast_deviation": 0.3, "noise_deviation": 0.3, "shift_extent": 10.0, "junk_noise": 0.2, "junk_pair": 0.2},
)
DRAWS: dict[str, Callable[[np.ndarray], Any]] = {
    "poses": lambda chosen: draw_poses(SETTINGS, 0, chosen),
    "contrast": lambda chosen: draw_contrast(SETTINGS, 0, chosen),
    "noise level": lambda chosen: draw_noise_level(SETTINGS, 0, chosen),
    "ctf": lambda chosen: draw_ctf(SETTINGS, 0, chosen),
    "junk": lambda chosen: draw_junk(SETTINGS, 0, chosen),
    "neighbours": lambda chosen: draw_neighbours(SETTINGS, 0, chosen),
    "states": lambda _: assign_states(np.full(4, 10), SETTINGS, 0),
    "half-sets": lambda chosen: split_halves(len(chosen), 0),
}


def test_no_two_draws_open_one_stream(monkeypatch):
    opened: list[str] = []
    derive = rng._derive_key

    def listen(seed: int, purpose: str) -> int:
        opened.append(purpose)
        return derive(seed, purpose)

    monkeypatch.setattr(rng, "_derive_key", listen)
    found = {}
    for name, draw in DRAWS.items():
        opened.clear()
        draw(np.arange(3))
        found[name] = list(opened)
        assert opened
    assert len(found["poses"]) == 2
    every = [purpose for purposes in found.values() for purpose in purposes]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(("draw", "count"), [(draw_given_ctf, 3), (draw_given_poses, 3)])
def test_errors_of_what_methods_are_given_have_streams_of_their_own(monkeypatch, draw, count):
    opened = []
    derive = rng._derive_key
    monkeypatch.setattr(rng, "_derive_key", lambda seed, purpose: (opened.append(purpose), derive(seed, purpose))[1])
    errors = {"defocus_error": 100.0, "b_factor_deviation": 10.0, "rotation_error_deg": 2.0, "shift_error": 1.0}
    draw(SETTINGS.model_copy(update=errors), 0, np.arange(3))
    assert len(set(opened)) == len(opened) == count


def test_ten_thousand_draws_are_uncorrelated():
    chosen = np.arange(10_000)
    preferred = SETTINGS.model_copy(update={"orientation": "von Mises-Fisher", "orientation_concentration": 1e-3})
    rotations, shifts = draw_poses(preferred, 0, chosen)
    along = rotations[:, 2, 2]  # the first uniform number of a rotation
    turns = np.arctan2(rotations[:, 2, 1], rotations[:, 2, 0])  # the second
    factors = [np.log(draw(SETTINGS, 0, chosen)) for draw in (draw_contrast, draw_noise_level)]
    table = np.stack([along, turns, *shifts.T, *factors])
    off = np.abs(np.corrcoef(table) - np.eye(len(table)))
    assert off.max() < 0.05
    assert np.std(table, axis=1).min() > 0.1


@pytest.mark.parametrize("n", [10, 11])
def test_half_sets_are_drawn_by_the_seed(n):
    halves = [split_halves(n, seed) for seed in range(6)]
    assert all(abs(2 * int(half.sum()) - n) <= 1 for half in halves)
    assert len({tuple(half) for half in halves}) > 4
    np.testing.assert_array_equal(halves[0], split_halves(n, 0))
