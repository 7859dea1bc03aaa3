"""Shortest paths through particles: closed forms on a ring, edges against a written-out search, and gaps."""

import numpy as np
import pytest

from cryobench.latents.graph import choose_along, neighbour_graph

N = 60


def ring(n: int = N) -> np.ndarray:
    angles = 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(n)], axis=1)


def test_a_path_goes_around_a_ring_the_shorter_way() -> None:
    found = neighbour_graph(ring(), most=2, mean=2)
    np.testing.assert_array_equal(found.path([3, 20]), np.arange(3, 21))
    np.testing.assert_array_equal(found.path([3, 50]), [*range(3, -1, -1), *range(N - 1, 49, -1)])
    # From one anchor to the next, each once; and back over the same particles.
    np.testing.assert_array_equal(found.path([3, 6, 4]), [3, 4, 5, 6, 5, 4])
    np.testing.assert_array_equal(found.path([5, 5]), [5])
    # The length of an edge is the chord.
    chord = 2 * np.sin(np.pi / N)
    np.testing.assert_allclose(found.lengths.data, chord)
    assert found.lengths.nnz == 2 * N


@pytest.mark.parametrize("width", [3, 14])
def test_edges_are_the_shortest_of_those_to_nearest_neighbours(width, rng) -> None:
    latents = rng.standard_normal((80, width))
    found = neighbour_graph(latents, most=6, mean=2.5).lengths.toarray()
    distances = np.linalg.norm(latents[:, None] - latents, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :6]
    lengths = np.take_along_axis(distances, nearest, axis=1)
    longest = np.sort(lengths.ravel())[200 - 1]  # 2.5 of 80 particles each
    expected = np.zeros((80, 80))
    for row, (columns, steps) in enumerate(zip(nearest, lengths, strict=True)):
        for column, step in zip(columns, steps, strict=True):
            if step <= longest:
                expected[row, column] = expected[column, row] = step
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_paths_have_the_least_length_of_all(rng) -> None:
    """Against Floyd and Warshall's closed recursion."""
    latents = rng.standard_normal((40, 2))
    found = neighbour_graph(latents, most=8, mean=8)
    least = np.where((dense := found.lengths.toarray()) > 0, dense, np.inf)
    np.fill_diagonal(least, 0)
    for middle in range(40):
        least = np.minimum(least, least[:, middle, None] + least[middle])
    for start, end in ((0, 1), (5, 30), (39, 2)):
        path = found.path([start, end])
        assert (path[0], path[-1]) == (start, end)
        length = np.linalg.norm(np.diff(latents[path], axis=0), axis=1).sum()
        assert length == pytest.approx(least[start, end])


def test_particles_at_one_latent_are_joined() -> None:
    latents = np.repeat(np.arange(5.0)[:, None], 4, axis=0)
    path = neighbour_graph(latents, most=8, mean=8).path([0, 19])
    assert latents[path, 0].tolist()[:: len(path) - 1] == [0, 4]
    # Three others at the same place, and no edge to elsewhere.
    same = neighbour_graph(np.zeros((40, 2)), most=3, mean=3)
    assert same.lengths.nnz >= 3 * 40
    np.testing.assert_array_equal(same.lengths.diagonal(), 0)


def test_a_gap_is_named_with_the_way_out() -> None:
    latents = np.concatenate([ring(30), ring(20) + 100, [[50.0, 0, 0]]])
    found = neighbour_graph(latents, most=4, mean=2)
    with pytest.raises(ValueError, match=r"particles 3 and 35 are not connected.*3 components.*30 and 20.*--mean-n"):
        found.path([3, 35])
    with pytest.raises(ValueError, match=r"anchor 51 does not exist.*0 to 50"):
        found.path([0, 51])
    with pytest.raises(ValueError, match="at least two anchors"):
        found.path([0])
    for mean in (0, 4.5):
        with pytest.raises(ValueError, match="at most 4"):
            neighbour_graph(latents, most=4, mean=mean)
    with pytest.raises(ValueError, match="needs two particles"):
        neighbour_graph(latents[:1])


def test_frames_are_spread_over_a_path_and_keep_its_anchors() -> None:
    path = np.concatenate([np.arange(0, 10, 0.1), np.arange(10, 50, 0.1)])[:, None]
    rows, along = choose_along(path, [0, 100, 499], 12)
    assert {0, 100, 499} <= set(rows.tolist())
    assert len(rows) == 12
    np.testing.assert_allclose(along, path[rows, 0])
    steps = np.diff(along)
    assert steps.max() < 1.7 * steps.min()
    rows, _ = choose_along(path[:3], [0, 2], 20)
    np.testing.assert_array_equal(rows, [0, 1, 2])
    rows, along = choose_along(np.zeros((3, 2)), [0, 2], 3)
    assert rows[[0, -1]].tolist() == [0, 2]
    with pytest.raises(ValueError, match="3 anchors were given for 2 frames"):
        choose_along(path, [0, 5, 499], 2)
