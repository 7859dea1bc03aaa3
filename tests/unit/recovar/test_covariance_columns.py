"""Covariance columns against sums written out in NumPy, the compiled kernel against the plain one, the prior."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from cryobench.fourier import fft_volume, ifft_volume, shell_indices
from cryobench.imaging.grid import gridding_correction
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu.covariance_prior import SETTLED, iterate_prior
from cryobench.imaging.layout import GridLayout
from cryobench.methods.recovar.column_choice import choose_columns
from cryobench.methods.recovar.covariance_columns import WIDTH, ColumnSums, _FactoredColumns, _SlicedColumns
from cryobench.methods.recovar.covariance_prior import ROUNDS, solve_columns
from cryobench.methods.recovar.masks import MaskedImages
from cryobench.reconstruction.images import Posed
from cryobench.reconstruction.statistics import LEAST_FSC, MOST_FSC, fsc_of_sums, signal_to_noise
from cryobench.rotations import rotations_from_quaternions

SIZES = [11, 12]


def _particles(rng: np.random.Generator, size: int, n: int) -> tuple[Posed, HalfDisc]:
    disc = HalfDisc(size, (size - 1) // 2)
    images = torch.from_numpy(rng.standard_normal((n, size, size))).float()
    data = disc.from_images(images)
    ctf = torch.from_numpy(rng.uniform(-1, 1, (n, len(disc.index)))).float()
    rotations = torch.from_numpy(rotations_from_quaternions(rng.standard_normal((n, 4)))).float()
    empty = torch.zeros(n, disc.radius + 1, dtype=torch.float64)
    return Posed(np.arange(n), data, ctf, empty, empty, rotations), disc


@dataclass(frozen=True)
class _Dense(ColumnSums):
    """Sums written out: B (c, half, part, v) and H (c, half, v)."""

    top: np.ndarray
    bottom: np.ndarray

    def __len__(self) -> int:
        return len(self.top)

    def __add__(self, other: Any) -> "_Dense":
        return _Dense(self.top + other.top, self.bottom + other.bottom)

    def reader(self, within: np.ndarray) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
        return lambda column: (self.top[column][..., within], self.bottom[column][:, within])

    def subtract_noise(self) -> None:
        pass


def _sums(made, packed: Posed, masks: torch.Tensor | None, halves: np.ndarray) -> _Dense:
    made.add(packed, masks, halves)
    made.subtract_noise()
    return _written_out(made, made._disc.box_size)


def _written_out(made: ColumnSums, size: int) -> _Dense:
    within = np.arange(size * size * (size // 2 + 1))
    tops, bottoms = zip(*map(made.reader(within), range(len(made))), strict=True)
    return _Dense(np.stack(tops), np.stack(bottoms))


def _full_plane(packed: Posed, disc: HalfDisc, i: int, deviation: np.ndarray):
    """All entries of a slice, mates too: points (q, 3), pairs (q, 2), data, ctf, noise deviation."""
    pairs = np.concatenate([disc.frequencies, -disc.frequencies[1:]])
    data = packed.data[i].numpy().astype(complex)
    ctf = packed.ctf[i].numpy().astype(float)
    rotation = packed.rotations[i].numpy().astype(float)
    points = pairs @ rotation[:2]
    twice = [np.concatenate([values, values[1:]]) for values in (ctf, deviation)]
    return points, pairs, np.concatenate([data, data[1:].conj()]), *twice


@pytest.mark.parametrize("size", SIZES)
def test_columns_are_the_sums_of_their_definition(rng, size):
    packed, disc = _particles(rng, size, 5)
    halves = np.array([0, 1, 0, 0, 1])
    column = np.array([2, -1, 1])
    noise = rng.uniform(0.5, 2, disc.radius + 1)
    deviation = np.sqrt(noise)[disc.shells]
    found = _sums(_FactoredColumns(disc, column[None], noise), packed, None, halves)
    top = np.zeros((2, 2, size, size, size), dtype=complex)
    bottom = np.zeros((2, size, size, size))
    touched = 0
    for i in range(5):
        points, _, data, ctf, sigma = _full_plane(packed, disc, i, deviation)
        kernel = np.prod(np.clip(1 - np.abs(points - column) / WIDTH, 0, None), axis=1)
        a, h = np.sum(kernel * ctf * data), np.sum(kernel * ctf**2)
        touched += h > 0
        # Noise is independent but for mates: E e_p e_q = σ² where q is p's mate, E e_p conj e_q = σ² where it is p.
        own = kernel * ctf * sigma**2
        mate = np.prod(np.clip(1 - np.abs(-points - column) / WIDTH, 0, None), axis=1) * ctf * sigma**2
        parts = [data * a.real - (own + mate) / 2, data * a.imag - 1j * (own - mate) / 2]
        if h == 0:
            continue
        floors = np.floor(points).astype(int)
        for corner in np.ndindex(2, 2, 2):
            near = floors + corner
            weight = np.prod(1 - np.abs(points - near), axis=1)
            x, y, z = (near % size).T
            for part in (0, 1):
                np.add.at(top[halves[i], part], (z, y, x), weight * ctf * parts[part])
            np.add.at(bottom[halves[i]], (z, y, x), weight * ctf**2 * h)
    assert touched >= 3
    shape = (size, size, size // 2 + 1)
    kept = size // 2 + 1
    scale = np.abs(top).max()
    np.testing.assert_allclose(found.top[0].reshape(2, 2, *shape), top[..., :kept], atol=2e-5 * scale)
    np.testing.assert_allclose(found.bottom[0].reshape(2, *shape), bottom[..., :kept], atol=2e-5 * bottom.max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("masked", [False, True])
def test_both_bodies_agree(rng, size, masked):
    packed, disc = _particles(rng, size, 20)
    halves = np.arange(20) % 2
    columns = np.array([[1, 0, 0], [0, 3, -2], [4, 1, 0]])
    noise = rng.uniform(0.5, 2, disc.radius + 1)
    masks = None
    if masked:
        axis = np.arange(size) - size // 2
        ball = np.exp(-(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2) / (size / 4) ** 2)
        masks = MaskedImages.of(torch.from_numpy(ball).float(), disc).project(packed.rotations)
    compiled = _sums(_FactoredColumns(disc, columns, noise), packed, masks, halves)
    sliced = _sums(_SlicedColumns(disc, columns, noise), packed, masks, halves)
    scale = np.abs(sliced.top).max()
    # Masked noise is cut off at the grid's own reach in one of them.
    np.testing.assert_allclose(compiled.top, sliced.top, atol=(5e-3 if masked else 1e-5) * scale)
    np.testing.assert_allclose(compiled.bottom, sliced.bottom, atol=1e-5 * sliced.bottom.max())


@pytest.mark.parametrize("kind", [_FactoredColumns, _SlicedColumns])
def test_columns_of_two_shards_add_up(rng, kind):
    packed, disc = _particles(rng, 12, 10)
    halves, columns, noise = np.arange(10) % 2, np.array([[1, 0, 0], [0, 3, -2]]), np.ones(6)
    whole = _sums(kind(disc, columns, noise), packed, None, halves)
    parts = [kind(disc, columns, noise) for _ in range(2)]
    for part, (first, last) in zip(parts, [(0, 4), (4, 10)], strict=True):
        part.add(packed.cut(first, last), None, halves[first:last])
        part.subtract_noise()
    together = _written_out(parts[0] + parts[1], 12)
    np.testing.assert_allclose(together.top, whole.top, atol=1e-5 * np.abs(whole.top).max())
    np.testing.assert_allclose(together.bottom, whole.bottom, atol=1e-5 * whole.bottom.max())


@pytest.mark.parametrize("size", SIZES)
def test_noise_alone_leaves_nothing_in_a_column(rng, size):
    n = 4000
    disc = HalfDisc(size, (size - 1) // 2)
    images = torch.from_numpy(rng.standard_normal((n, size, size))).float()
    rotations = torch.from_numpy(rotations_from_quaternions(rng.standard_normal((n, 4)))).float()
    axis = np.arange(size) - size // 2
    ball = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < (size / 3) ** 2).astype(np.float32)
    window = MaskedImages.of(torch.from_numpy(ball), disc)
    masks = window.project(rotations)
    data = disc.from_images(images * masks)
    empty = torch.zeros(n, disc.radius + 1, dtype=torch.float64)
    packed = Posed(np.arange(n), data, torch.ones(n, len(disc.index)), empty, empty, rotations)
    noise = np.full(disc.radius + 1, float(size**2))
    halves = np.zeros(n, dtype=np.int64)
    column = np.array([[2, 1, 0]])
    near = np.zeros((size, size, size // 2 + 1), dtype=bool)
    near[:2, :3, 1:4] = True
    kept = _sums(_FactoredColumns(disc, column, noise), packed, masks, halves)
    biased = _sums(_FactoredColumns(disc, column, 1e-9 * noise), packed, masks, halves)
    left, before = (np.abs(sums.top[0, 0, 0].reshape(near.shape)[near].real.mean()) for sums in (kept, biased))
    assert left < 0.1 * before


def test_columns_are_chosen_by_strength_and_kept_apart(rng):
    layout = GridLayout(12, 1, "trilinear")
    variance = torch.from_numpy(rng.uniform(0, 1, layout.shape)).float()
    weight = torch.from_numpy(rng.uniform(0.5, 2, layout.shape)).float()
    chosen = choose_columns(variance, weight, layout, n_columns=30, radius=4, exclusion=2)
    assert 10 <= len(chosen) < 30
    both = np.concatenate([chosen, -chosen])
    apart = np.sqrt(((both[:, None] - both[None]) ** 2).sum(-1)) + 100 * np.eye(len(both))
    pairs = apart[: len(chosen)]
    pairs[np.arange(len(chosen)), np.arange(len(chosen)) + len(chosen)] = 100  # a column and its own mate
    assert pairs.min() > 2
    assert (np.linalg.norm(chosen, axis=1) <= 4).all()

    def strength(frequencies: np.ndarray) -> np.ndarray:
        x, y, z = frequencies.T
        return (variance * weight).numpy()[z + layout.center, y + layout.center, x + layout.center_x]

    assert (np.diff(strength(chosen)) < 0).all()
    # Each of the rest, of which one of a pair has x > 0, is near a stronger one: so none is passed over.
    near = np.stack(np.meshgrid(np.arange(1, 5), *[np.arange(-4, 5)] * 2), axis=-1).reshape(-1, 3)
    near = near[(near**2).sum(axis=1) <= 16]
    distance = np.sqrt(((near[:, None] - both) ** 2).sum(axis=-1))
    stronger = np.tile(strength(chosen), 2) >= strength(near)[:, None]
    assert ((distance <= 2) & stronger).any(axis=1).all()
    assert (
        choose_columns(variance, weight, layout, n_columns=3, radius=4, exclusion=2).tolist() == chosen[:3].tolist()
    )


def iterate_plainly(top, bottom, shells, weights, prior, rounds):
    """R (s,) after a number of rounds from ``prior``, and the last FSC, as the kernel computes them."""
    prior, curve = prior.copy(), np.zeros(len(prior))

    def over_shells(values):
        return np.bincount(shells, weights=weights * values, minlength=len(prior))[: len(prior)]

    within = shells < len(prior)
    top, bottom, shells, weights = top[..., within], bottom[:, within], shells[within], weights[within]
    for _ in range(rounds):
        spread = prior[shells]
        first, second = top / (bottom + spread)[:, None]
        squares = [over_shells((np.abs(each) ** 2).sum(0)) for each in (first, second)]
        sums = [over_shells((first * second.conj()).real.sum(0)), *squares]
        curve = fsc_of_sums(*(torch.from_numpy(each) for each in sums)).numpy()
        h = bottom.mean(0)
        gain, noise = over_shells((h / (h + spread)) ** 2), over_shells(h / (h + spread) ** 2)
        seen = (gain > 0) & (noise > 0)
        updated = np.where(seen, gain / np.where(seen, noise, 1) / signal_to_noise(curve), prior)
        change = np.abs(np.log(updated / prior)).max()
        prior = updated
        if change < SETTLED:
            break
    return prior, curve


@pytest.mark.parametrize("size", [15, 16])
def test_the_prior_finds_the_power_of_a_column(rng, size):
    """White column of power τ² seen with weights h and noise of power one in units of 1/h: R -> 1 / τ²."""
    radius = (size - 1) // 2
    full = np.fft.fftfreq(size, 1 / size)
    axes = np.meshgrid(full, full, np.arange(size // 2 + 1), indexing="ij")
    shells = np.floor(np.sqrt(sum(axis**2 for axis in axes)) + 0.5).astype(np.int64).ravel()
    power = 0.5
    signal = np.sqrt(power / 2) * (rng.standard_normal((2, len(shells))) + 1j * rng.standard_normal((2, len(shells))))
    h = np.repeat(rng.uniform(1, 20, (1, len(shells))), 2, axis=0)
    noise = (rng.standard_normal((2, 2, len(shells))) + 1j * rng.standard_normal((2, 2, len(shells)))) / np.sqrt(2)
    top = h[:, None] * signal + np.sqrt(h)[:, None] * noise
    prior, curve = np.full(radius + 1, 50.0), np.zeros(size // 2 + 1, np.float32)
    weights = np.ones(len(shells), np.float32)
    sums = top.astype(np.complex64), h.astype(np.float32)
    plain, plain_curve = iterate_plainly(*sums, shells, weights, prior, ROUNDS)
    iterate_prior(*sums, shells, weights, prior, curve, radius, ROUNDS, LEAST_FSC, MOST_FSC)
    np.testing.assert_allclose(prior, plain, rtol=1e-4)
    np.testing.assert_allclose(curve[: radius + 1], plain_curve, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(1 / prior[3:], power, rtol=0.35)
    assert abs(np.mean(1 / prior[3:]) / power - 1) < 0.15
    assert (curve[3 : radius + 1] > 0.7).all()


def test_a_column_without_noise_is_given_back(rng):
    """B = H Σ with all of H large: the volume is the column, masked, over the gridding correction."""
    size = 12
    mask = torch.zeros(size, size, size)
    mask[3:9, 3:9, 3:9] = 1
    volumes = torch.from_numpy(rng.standard_normal((2, size, size, size))).float()
    radius = 5
    native = torch.stack([fft_volume(volume) for volume in volumes]) * (shell_indices(size, 3) <= radius)
    h = np.full((1, 2, native[0].numel()), 1e6, dtype=np.float32)
    top = np.broadcast_to(native.flatten(1).numpy() * 1e6, (1, 2, 2, native[0].numel())).astype(np.complex64)
    gridding = gridding_correction(size)
    solved, curves = solve_columns(_Dense(top, h), np.full((1, 7), 1e-3), mask, gridding, radius=radius)
    inside = mask.flatten() > 0
    expected = (ifft_volume(native, size) * mask / gridding).flatten(1)[:, inside]
    np.testing.assert_allclose(solved, expected.numpy(), rtol=1e-3, atol=1e-4)  # FSC is held below 0.999
    np.testing.assert_allclose(curves[0, : radius + 1], 1, rtol=1e-5)
