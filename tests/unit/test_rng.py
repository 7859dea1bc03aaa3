"""Streams: reproducible, rewindable, apart from one another."""

import numpy as np
import pytest

from cryobench.rng import IndexedStream, stream


def test_same_name_same_numbers():
    assert np.array_equal(stream(4, "noise", 7).random(5), stream(4, "noise", 7).random(5))


@pytest.mark.parametrize("other", [(5, "noise", 7), (4, "poses", 7), (4, "noise", 8), (4, "noise", 0)])
def test_another_name_seed_or_particle_other_numbers(other):
    assert not np.any(stream(4, "noise", 7).random(50) == stream(*other).random(50))


@pytest.mark.parametrize("index", [0, 1, 12, 2**40, 2**64 + 3, 2**100])
def test_indexed_stream_is_the_stream(index):
    streams = IndexedStream(9, "ctf")
    streams.at(3).standard_normal(7)
    streams.at(2).integers(10, size=3, dtype=np.uint32)
    expected = stream(9, "ctf", index)
    generator = streams.at(index)
    # A mix of kinds: buffered 32-bit draws must not leak from the particle before.
    for draw in (
        lambda source: source.integers(1000, size=3, dtype=np.uint32),
        lambda source: source.standard_normal(9, dtype=np.float32),
        lambda source: source.random(2),
    ):
        assert np.array_equal(draw(generator), draw(expected))


def test_integers_of_numpy_have_the_streams_of_their_numbers():
    expected = stream(4, "noise", 7).random(5)
    assert np.array_equal(stream(4, "noise", np.int64(7)).random(5), expected)
    assert np.array_equal(IndexedStream(4, "noise").at(np.int64(7)).random(5), expected)


def test_any_order_gives_the_same_bits():
    streams = IndexedStream(1, "noise")
    forwards = {i: streams.at(i).random(4) for i in range(6)}
    for i in (5, 0, 3):
        assert np.array_equal(streams.at(i).random(4), forwards[i])


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="non-negative"):
        stream(-1, "noise")
