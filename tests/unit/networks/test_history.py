"""What training leaves for people: the terms of every step and latents by epoch, also where it went on later."""

import numpy as np

from cryobench.reconstruction.networks.history import MOST_PARTICLES, History


def fill(history: History, first: int, last: int) -> None:
    for step in range(first, last):
        history.add(step, {"loss": 10.0 + step, "kl": -float(step)})
        if step % 2 and history.wants((step + 1) // 2):
            history.keep((step + 1) // 2, np.full((len(history.particles), 3), step))


def test_means_are_of_the_steps_asked_for():
    history = History(5, 6)
    fill(history, 0, 6)
    assert history.mean(2, 4) == {"loss": 12.5, "kl": -2.5}


def test_a_longer_run_goes_on_with_what_a_shorter_one_packed():
    short, longer, at_once = History(5, 6), History(5, 10), History(5, 10)
    fill(short, 0, 6)
    longer.unpack(*short.pack(6))
    fill(longer, 6, 10)
    fill(at_once, 0, 10)
    latents = np.arange(15.0).reshape(5, 3)
    for history in (longer, at_once):
        terms = history.show_terms(ends=np.arange(0, 11, 2), definition="all")
        assert (terms.names, terms.ends.tolist(), terms.definition) == (("loss", "kl"), [0, 2, 4, 6, 8, 10], "all")
        np.testing.assert_array_equal(terms.values, [[10 + step, -step] for step in range(10)])
        shown = history.show_latents(5, latents)
        np.testing.assert_array_equal(shown.epochs, [1, 2, 4, 5])
        np.testing.assert_array_equal(shown.latents[:, 0, 0], [1, 3, 7, 0])
        np.testing.assert_array_equal(shown.latents[-1], latents)


def test_a_last_epoch_that_is_kept_anyway_is_shown_once():
    history = History(5, 8)
    fill(history, 0, 8)
    np.testing.assert_array_equal(history.show_latents(4, np.zeros((5, 3))).epochs, [1, 2, 4])


def test_the_sample_is_spread_over_the_table_and_bounded():
    np.testing.assert_array_equal(History(7, 1).particles, np.arange(7))
    many = History(100 * MOST_PARTICLES, 1).particles
    assert len(many) == MOST_PARTICLES
    assert (many[0], many[-1]) == (0, 100 * MOST_PARTICLES - 1)
    assert np.ptp(np.diff(many)) <= 1
