"""The controls' scores against a road written in plain NumPy: full spectra, no half planes, no code of the package.

Images, poses, CTF parameters, true volumes and the mask come from the data set's files; everything from there to the
score is done again: transform, shift, CTF, trilinear insertion, regularisation, gridding correction, FSC, area.
"""

import numpy as np
import pytest

from cryobench.methods import get_method
from cryobench.metrics import score
from cryobench.recipes.simulate import simulate

GAIN = 8 / 27  # mean squared over mean trilinear weight


def _fft(values: np.ndarray) -> np.ndarray:
    axes = tuple(range(-2 if values.ndim == 2 else -3, 0))
    return np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(values, axes), axes=axes), axes)


def _radius(n: int, dimensions: int) -> np.ndarray:
    axis = np.arange(n) - n // 2
    return np.sqrt(sum(part.astype(float) ** 2 for part in np.meshgrid(*[axis] * dimensions, indexing="ij")))


def _ctf(particles, i: int) -> np.ndarray:
    n, c = particles.box_size, particles.ctf
    s = (np.arange(n) - n // 2) / (n * particles.pixel_size)
    sx, sy = np.meshgrid(s, s)
    volts = c.voltage_kv[i] * 1e3
    wavelength = 12.2639 / np.sqrt(volts + 0.97845e-6 * volts**2)
    u, v = c.defocus_u[i], c.defocus_v[i]
    defocus = 0.5 * (u + v + (u - v) * np.cos(2 * (np.arctan2(sy, sx) - c.defocus_angle[i])))
    s2 = sx**2 + sy**2
    gamma = 2 * np.pi * (-0.5 * defocus * wavelength * s2 + 0.25 * c.cs_mm[i] * 1e7 * wavelength**3 * s2**2)
    w = c.amplitude_contrast[i]
    return (np.sqrt(1 - w**2) * np.sin(gamma) - w * np.cos(gamma)) * np.exp(-c.b_factor[i] * s2 / 4)


def _backproject(particles, members: np.ndarray, noise: np.ndarray) -> np.ndarray:
    n, pixel_size = particles.box_size, particles.pixel_size
    last = (n - 1) // 2
    frequency = np.arange(n) - n // 2
    kx, ky = np.meshgrid(frequency, frequency)
    inside = _radius(n, 2) <= last
    points = np.stack([kx[inside], ky[inside], np.zeros(inside.sum())], axis=1)
    # Bins are rounded radii; beyond the last one the noise of the last counts.
    bins = np.minimum(np.floor(_radius(n, 2) + 0.5).astype(int), n // 2)
    variance = noise[bins][inside]
    side = n + 2
    total = np.zeros((2, side**3))
    weight = np.zeros(side**3)
    for i in members:
        image = _fft(particles.read([i])[0].astype(float))[inside]
        tx, ty = particles.shifts[i] / pixel_size
        image *= np.exp(-2j * np.pi * (points[:, 0] * tx + points[:, 1] * ty) / n)
        ctf = _ctf(particles, i)[inside]
        data, power = image * ctf / variance, ctf**2 / variance
        where = points @ particles.rotations[i] + n // 2 + 1
        base = np.floor(where).astype(int)
        part = where - base
        for corner in np.ndindex(2, 2, 2):  # x, y, z
            taps = np.prod([part[:, a] if corner[a] else 1 - part[:, a] for a in range(3)], axis=0)
            x, y, z = (base + corner).T
            index = (z * side + y) * side + x
            total[0] += np.bincount(index, taps * data.real, side**3)
            total[1] += np.bincount(index, taps * data.imag, side**3)
            weight += np.bincount(index, taps * power, side**3)
    numerator = (total[0] + 1j * total[1]).reshape((side,) * 3)[1:-1, 1:-1, 1:-1]
    weight = weight.reshape((side,) * 3)[1:-1, 1:-1, 1:-1]
    shell = np.floor(_radius(n, 3) + 0.5).astype(int)
    spectrum = np.zeros((n,) * 3, complex)
    for s in range(last + 1):
        own = shell == s
        f, w = numerator[own], weight[own]
        tau = max((np.abs(f) ** 2 - GAIN * w).sum() / (w**2).sum(), 1e-3 / w.mean())
        spectrum[own] = f / (w + 1 / tau)
    volume = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(spectrum))).real
    sinc = np.sinc((np.arange(n) - n // 2) / n) ** 2
    return volume / (sinc[:, None, None] * sinc[:, None] * sinc)


def _noise_power(particles) -> np.ndarray:
    n = particles.box_size
    chosen = np.unique(np.linspace(0, len(particles) - 1, min(len(particles), 2000)).astype(int))
    bins = np.floor(_radius(n, 2) + 0.5).astype(int)
    power = sum(np.abs(_fft(particles.read([i])[0].astype(float))) ** 2 for i in chosen) / len(chosen)
    profile = np.array([power[bins == s].mean() for s in range(n // 2 + 1)])
    profile[0] = profile[1]
    return profile


def _area(volume: np.ndarray, truth: np.ndarray, mask: np.ndarray | float) -> float:
    n = volume.shape[-1]
    first, second, radius = _fft(volume * mask), _fft(truth * mask), _radius(n, 3)
    curve = [1.0]
    for shell in range(1, n // 2):
        own = (radius >= shell - 1) & (radius < shell)
        norm = np.sqrt((np.abs(first[own]) ** 2).sum() * (np.abs(second[own]) ** 2).sum())
        curve.append((first[own] * second[own].conj()).sum().real / norm)
    return float(np.trapezoid(curve, np.arange(n // 2) / n))


def _score_both_ways(dataset) -> tuple[dict[str, float], dict[str, float]]:
    """FSC-AUC of two controls, in the mask and without, as the package scores them and in plain NumPy."""
    ours, plain = {}, {}
    truth = dataset.truth
    noise = _noise_power(dataset.particles)
    whole = _backproject(dataset.particles, np.arange(len(dataset.particles)), noise)
    of_state = {
        int(state): _backproject(dataset.particles, np.flatnonzero(truth.states == state), noise)
        for state in np.unique(truth.states[dataset.queries])
    }
    for name in ("consensus", "truth-backprojection"):
        control = get_method(name)().with_truth(truth)
        scores = score(control.reconstruct(dataset.particles, queries=dataset.queries), dataset)
        for suffix, mask in (("", 1.0), ("-masked", dataset.particles.mask)):
            areas = [
                _area(whole if name == "consensus" else of_state[int(truth.states[q])], truth.volume_of(q), mask)
                for q in dataset.queries
            ]
            ours[name + suffix] = scores[f"fsc-auc{suffix}"].value
            plain[name + suffix] = float(np.mean(areas))
    return ours, plain


@pytest.mark.parametrize("box_size", [24, 25])
def test_controls_score_as_in_plain_numpy(tmp_path, box_size):
    small = {"box_size": box_size, "pixel_size": 14.0, "resolution": 14.0, "n_states": 3, "images_per_state": 60}
    dataset = simulate("igg-1d", tmp_path / "data", preset="tiny", settings={**small, "n_queries": 6, "snr": 0.5})
    ours, plain = _score_both_ways(dataset)
    assert ours == pytest.approx(plain, abs=1e-3)


@pytest.mark.slow
def test_controls_score_as_in_plain_numpy_at_lite(tmp_path):
    dataset = simulate("igg-1d", tmp_path / "data", preset="lite")
    ours, plain = _score_both_ways(dataset)
    assert ours == pytest.approx(plain, abs=1e-3)
