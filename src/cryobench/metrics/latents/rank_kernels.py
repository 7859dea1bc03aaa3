"""Nearest neighbours in two spaces, row by row: compiled, exact, and without a sorted distance matrix.

For one point, the squared distances of all points are summed in double precision by differences (no expansion of
the square, which would cancel). Where only neighbourhoods count, distances are binned by powers of two, and
only the bins that contain an answer are sorted; where the rank of every point counts, a radix sort of the rounded
distances orders all. Ties are treated in two ways:

* *in order*: equal distances are ordered by index, as by a stable ``argsort``;
* *averaged*: distances that are equal when rounded to single precision (1 part in 10⁷) have the mean of their ranks
  over all orders; a circle of discrete states has such ties left and right.

The point itself always comes first, before its duplicates. A space is coordinates (d, n), or labels (1, n) with the
flag ``discrete``: different labels are then equally far apart. Functions release the GIL and take a range of rows.
"""

import numpy as np
from numba import njit

_PER_OCTAVE = 7
"""Bins for a factor of 2 in squared distance, as a power of 2: 128."""
N_BINS = 8192
"""64 octaves below the largest squared distance; anything nearer is in the first bin."""
_SHIFT = 23 - _PER_OCTAVE
_RUN = 32
"""Points sorted by insertion before runs are merged."""
_DIGIT_BITS = 11
_DIGIT = (1 << _DIGIT_BITS) - 1
"""Largest digit of a radix sort of the bits of rounded distances."""


@njit(nogil=True, cache=True)
def _measure(points, discrete, index, keys, rounded):
    """Squared distances of all points from one of them, which itself gets −1; and the same rounded."""
    dimensions, n = points.shape
    keys[:] = 0.0
    for dimension in range(dimensions):
        row = points[dimension]
        centre = row[index]
        if discrete:
            for j in range(n):
                if row[j] != centre:
                    keys[j] = 1.0
        else:
            for j in range(n):
                difference = row[j] - centre
                keys[j] += difference * difference
    for j in range(n):
        rounded[j] = np.float32(keys[j])
    keys[index] = -1.0
    rounded[index] = 0.0


@njit(nogil=True, cache=True)
def _fill_bins(codes, bins, counts):
    """Bin of every point from the bits of its rounded distance, and the number of points in each bin."""
    n = len(codes)
    top = np.int32(0)
    for j in range(n):
        top = max(top, codes[j])
    offset = (top >> _SHIFT) - (N_BINS - 1)
    counts[:] = 0
    for j in range(n):
        position = max(np.int32(0), (codes[j] >> _SHIFT) - offset)
        bins[j] = position
        counts[position] += 1


@njit(nogil=True, cache=True)
def _sort_segment(keys, order, start, end, scratch):
    """Sort ``order[start:end]`` by key, equal keys in their order: short runs by insertion, then merged."""
    ascending = True
    for i in range(start + 1, end):
        if keys[order[i]] < keys[order[i - 1]]:
            ascending = False
            break
    if ascending:  # as duplicates are
        return
    for low in range(start, end, _RUN):
        for i in range(low + 1, min(low + _RUN, end)):
            moved = order[i]
            key = keys[moved]
            j = i - 1
            while j >= low and keys[order[j]] > key:
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = moved
    width = _RUN
    while width < end - start:
        for low in range(start, end - width, 2 * width):
            middle, high = low + width, min(low + 2 * width, end)
            for i in range(low, middle):
                scratch[i] = order[i]
            left, right = low, middle
            for position in range(low, high):
                if left == middle:
                    break  # the rest of the right run is already sorted
                if right < high and keys[order[right]] < keys[scratch[left]]:
                    order[position] = order[right]
                    right += 1
                else:
                    order[position] = scratch[left]
                    left += 1
        width *= 2


@njit(nogil=True, cache=True)
def _sort_by_distance(codes, keys, edges, bins, counts, starts, order, scratch):
    """Sort the points as far as needed: the bins that contain one of the ascending ``edges``.

    Afterwards ``starts[b]`` is the position of the first point of bin b, and ``order[position]`` the point at a
    position, in the sorted bins only. ``counts[b]`` of an unsorted bin is negative.
    """
    _fill_bins(codes, bins, counts)
    position, edge, n_edges = 0, 0, len(edges)
    for b in range(N_BINS):
        count = counts[b]
        starts[b] = position
        while edge < n_edges and edges[edge] <= position:
            edge += 1
        if edge == n_edges or edges[edge] >= position + count:
            counts[b] = -count
        position += count
    for j in range(len(codes)):
        b = bins[j]
        if counts[b] > 0:
            order[starts[b]] = j
            starts[b] += 1
    for b in range(N_BINS):
        if counts[b] > 0:
            starts[b] -= counts[b]
            if counts[b] > 1:
                _sort_segment(keys, order, starts[b], starts[b] + counts[b], scratch)


@njit(nogil=True, cache=True)
def _find_radii(points, discrete, index, edges, ordered, first, full, lows, sizes, ceiling, space, buffers):
    """Smallest radius that contains each point: in order, and the range of partial membership on average.

    A radius t holds the positions below ``edges[t]``, position 0 being the point itself. A point that ties over
    positions low to low + size is in radius t with weight (edges[t] - low) / size where ``first <= t < full``, wholly
    from ``full``.
    """
    keys, rounded, bins, counts, starts, order, scratch, radius_of_bin = buffers
    codes = rounded.view(np.int32)
    n, n_edges = len(keys), len(edges)
    _measure(points, discrete, index, keys, rounded)
    _sort_by_distance(codes, keys, edges, bins, counts, starts, order, scratch)
    t = 0
    for b in range(N_BINS):
        while t < n_edges and edges[t] <= starts[b]:
            t += 1
        radius_of_bin[b] = t
    for j in range(n):
        t = radius_of_bin[bins[j]]
        ordered[space, j] = t
        first[space, j] = t
        full[space, j] = t
    for t in range(n_edges):
        ceiling[t] = edges[t] - 1
    for b in range(N_BINS):
        if counts[b] <= 0:
            continue
        low, end = starts[b], starts[b] + counts[b]
        t = radius_of_bin[b]
        if order[low] == index:
            low += 1
        while low < end:
            high = low + 1
            while high < end and codes[order[high]] == codes[order[low]]:
                high += 1
            while t < n_edges and edges[t] <= low:
                t += 1
            whole = t
            while whole < n_edges and edges[whole] < high:
                ceiling[whole] = low - 1 + (edges[whole] - low) ** 2 / (high - low)
                whole += 1
            at = t
            for position in range(low, high):
                while at < n_edges and edges[at] <= position:
                    at += 1
                j = order[position]
                ordered[space, j] = at
                first[space, j] = t
                full[space, j] = whole
                lows[space, j] = low
                sizes[space, j] = high - low
            low = high


@njit(nogil=True, cache=True)
def count_shared(truth, latent, discrete, edges, start, stop, in_order, averaged, ceilings):
    """For rows start to stop: number of other points in the neighbourhoods of both spaces, for every radius.

    ``truth`` (d, n) and ``latent`` (e, n) float64; ``discrete`` two flags; ``edges`` (r,) ascending, points per
    neighbourhood with the point itself. Writes (n, r): common points with ties in order, the same averaged over
    independent orders of ties in each space, and the largest average that any latent could reach.
    """
    n, n_edges = truth.shape[1], len(edges)
    buffers = (
        np.empty(n),
        np.empty(n, np.float32),
        np.empty(n, np.int32),
        np.empty(N_BINS, np.int32),
        np.empty(N_BINS, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(N_BINS, np.int32),
    )
    ordered, first, full = np.empty((2, n), np.int16), np.empty((2, n), np.int16), np.empty((2, n), np.int16)
    lows, sizes = np.empty((2, n), np.int32), np.empty((2, n), np.int32)
    unused = np.empty(n_edges)
    hits, whole, part = np.empty(n_edges, np.int64), np.empty(n_edges, np.int64), np.empty(n_edges)
    for i in range(start, stop):
        _find_radii(truth, discrete[0], i, edges, ordered, first, full, lows, sizes, ceilings[i], 0, buffers)
        _find_radii(latent, discrete[1], i, edges, ordered, first, full, lows, sizes, unused, 1, buffers)
        hits[:] = 0
        whole[:] = 0
        part[:] = 0.0
        for j in range(n):
            begin = max(first[0, j], first[1, j])
            if begin >= n_edges or j == i:
                continue
            t = max(ordered[0, j], ordered[1, j])
            if t < n_edges:
                hits[t] += 1
            end = max(full[0, j], full[1, j])
            if end < n_edges:
                whole[end] += 1
            for t in range(begin, end):
                fraction = 1.0
                for space in range(2):
                    if t < full[space, j]:
                        fraction *= (edges[t] - lows[space, j]) / sizes[space, j]
                part[t] += fraction
        sum_hits, sum_whole = 0, 0
        for t in range(n_edges):
            sum_hits += hits[t]
            sum_whole += whole[t]
            in_order[i, t] = sum_hits
            averaged[i, t] = min(sum_whole + part[t], ceilings[i, t])


@njit(nogil=True, cache=True)
def _sort_codes(codes, index, order, scratch, counts):
    """Sort all points but one by their non-negative codes, equal ones by index, into ``order[1:]``.

    A radix sort of three digits of 11, 11 and 9 bits: its time and its branches do not depend on the codes.
    """
    n = len(codes)
    counts[:] = 0
    for j in range(n):
        if j != index:
            code = codes[j]
            counts[0, code & _DIGIT] += 1
            counts[1, (code >> _DIGIT_BITS) & _DIGIT] += 1
            counts[2, code >> (2 * _DIGIT_BITS)] += 1
    for digit in range(3):
        position = 1
        for value in range(_DIGIT + 1):
            count = counts[digit, value]
            counts[digit, value] = position
            position += count
    for j in range(n):
        if j != index:
            value = codes[j] & _DIGIT
            order[counts[0, value]] = j
            counts[0, value] += 1
    for position in range(1, n):
        j = order[position]
        value = (codes[j] >> _DIGIT_BITS) & _DIGIT
        scratch[counts[1, value]] = j
        counts[1, value] += 1
    for position in range(1, n):
        j = scratch[position]
        value = codes[j] >> (2 * _DIGIT_BITS)
        order[counts[2, value]] = j
        counts[2, value] += 1


@njit(nogil=True, cache=True)
def _rank_all(points, discrete, index, average, order, ranks, buffers):
    """Order of all points by distance, and the rank of each: 1 for the nearest other point, 0 for itself."""
    keys, rounded, scratch, digits = buffers
    codes = rounded.view(np.int32)
    n = len(keys)
    _measure(points, discrete, index, keys, rounded)
    _sort_codes(codes, index, order, scratch, digits)
    order[0] = index
    ranks[index] = 0.0
    low = 1
    while low < n:
        high = low + 1
        code = codes[order[low]]
        while high < n and codes[order[high]] == code:
            high += 1
        if average:
            for position in range(low, high):
                ranks[order[position]] = (low + high - 1) / 2
        else:
            _sort_segment(keys, order, low, high, scratch)
            for position in range(low, high):
                ranks[order[position]] = position
        low = high


@njit(nogil=True, cache=True)
def _mean_ranks(order, own_ranks, other_ranks, neighbours, means):
    """Mean rank in the other space of the k nearest in this one, ties at the k-th counted in part, for each k."""
    n = len(order)
    total, low, t = 0.0, 1, 0
    while low < n and t < len(neighbours):
        high = low + 1
        group = other_ranks[order[low]]
        while high < n and own_ranks[order[high]] == own_ranks[order[low]]:
            group += other_ranks[order[high]]
            high += 1
        while t < len(neighbours) and neighbours[t] < high:
            means[t] = (total + group * (neighbours[t] - low + 1) / (high - low)) / neighbours[t]
            t += 1
        total += group
        low = high


@njit(nogil=True, cache=True)
def mean_conditional_ranks(first, second, discrete, neighbours, average, start, stop, forward, backward):
    """For rows start to stop: mean rank in one space of the k nearest points in the other, for every k.

    ``first`` (d, n) and ``second`` (e, n) float64; ``discrete`` two flags; ``neighbours`` (k,) ascending.
    Writes (n, k): ranks in the second space of neighbours in the first, and in reverse. Ranks begin at 1.
    """
    n = first.shape[1]
    buffers = (np.empty(n), np.empty(n, np.float32), np.empty(n, np.int32), np.empty((3, _DIGIT + 1), np.int32))
    first_order, second_order = np.empty(n, np.int32), np.empty(n, np.int32)
    first_ranks, second_ranks = np.empty(n), np.empty(n)
    for i in range(start, stop):
        _rank_all(first, discrete[0], i, average, first_order, first_ranks, buffers)
        _rank_all(second, discrete[1], i, average, second_order, second_ranks, buffers)
        _mean_ranks(first_order, first_ranks, second_ranks, neighbours, forward[i])
        _mean_ranks(second_order, second_ranks, first_ranks, neighbours, backward[i])
