"""Density of the particles over the first latent axes, deconvolved from the errors of the latents.

A latent is its true value plus an error of covariance P⁻¹, so a kernel density estimate E of the latents is the
density f blurred twice, by the mean covariance Σ of the errors and by the kernel's B. It is computed as

    minimise over f ≥ 0:   ½ |G f − E|² + ½ α |D f|²,   G the blur with N(0, Σ + B), D the gradient,

a convex problem, solved by L-BFGS-B on a grid, from strong to weak α; the chosen α is at the corner of the L-curve of
log |D f| over log |G f − E| (Hansen, SIAM Review 34 (1992) 561). E is scaled to a largest value of 1, and lengths in
D to the width of the blur, so that α has the same meaning on any grid.

Source: Gilles & Singer, PNAS 122 (2025), the section on densities. Ours are the mean over particles instead of each
particle's own blur in G, the roughness |D f|, B by Scott's rule, and the corner as the point farthest from the line
between the ends of the curve.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from cryobench.data import LatentDensity

MOST_DIMENSIONS = 4
POINTS = {1: 128, 2: 50, 3: 24, 4: 14}
"""Grid points per axis, by number of dimensions."""
ALPHAS = np.logspace(-6, -1, 11)
_TAIL = 0.002
_REACH = 4.0
_MARGIN = 2.0
_ITERATIONS = 60


@dataclass(frozen=True, eq=False)
class DeconvolvedDensity:
    """Density over the first latent axes, with its L-curve."""

    values: Float[np.ndarray, "*g"]
    """Values at the grid points, one array axis per latent axis; not negative, integrates to one."""
    axes: Float[np.ndarray, "d g"]
    """Coordinates of the grid points along each axis."""
    alpha: float
    """Strength of the regularisation chosen."""
    curve: Float[np.ndarray, "3 a"]
    """The L-curve: α, |G f − E|, |D f|."""
    kernel_estimate: Float[np.ndarray, "*g"]
    """E, integrating to one: the density without deconvolution."""

    def finding(self) -> LatentDensity:
        """The density alone."""
        return LatentDensity(self.values, self.axes)


def grid_steps(axes: Float[np.ndarray, "d g"]) -> Float[np.ndarray, "d"]:
    """Distance of neighbouring grid points along each axis."""
    return np.asarray(axes[:, 1] - axes[:, 0], dtype=np.float64)


def latent_density(
    latents: Float[np.ndarray, "n d"],
    precisions: Float[np.ndarray, "n d d"],
    *,
    dimensions: int = 2,
    points: int | None = None,
    alphas: Float[np.ndarray, "a"] | None = None,
) -> DeconvolvedDensity:
    """Deconvolved density of latents over their first axes.

    Parameters
    ----------
    latents, precisions
        (n, d) and (n, d, d), with the inverse covariances of their errors.
    dimensions
        Number of axes, 1 to 4, from the first.
    points
        Grid points per axis; None for 128, 50, 24 or 14 by dimension.
    alphas
        Strengths of regularisation tried, three or more; None for 11 from 1e-6 to 0.1.

    Raises
    ------
    ValueError
        If there are more dimensions than 4 or than the latents have, a value is not finite, a precision cannot be
        inverted, or all particles have the same latent.
    """
    _check(latents, precisions, dimensions)
    points = POINTS[dimensions] if points is None else points
    alphas = np.sort(ALPHAS if alphas is None else alphas)[::-1]
    if points < 4 or len(alphas) < 3:
        raise ValueError(f"a density needs 4 grid points and 3 alphas or more, got {points} and {len(alphas)}.")
    chosen = latents[:, :dimensions].astype(np.float64)
    error = _mean_covariance(precisions)[:dimensions, :dimensions]
    kernel = scott_covariance(chosen)
    spread = np.sqrt(np.diag(error + kernel))
    low, high = np.quantile(chosen, _TAIL, axis=0), np.quantile(chosen, 1 - _TAIL, axis=0)
    axes = np.linspace(low - _MARGIN * spread, high + _MARGIN * spread, points).T
    steps = grid_steps(axes)
    estimate = _convolve(_count(chosen, axes), _blur(kernel, steps, points)).clip(min=0)
    estimate /= estimate.max()
    stiffness = np.diag(error + kernel) / steps**2
    blurs = _blur(error + kernel, steps, points), _blur(2 * (error + kernel), steps, points)
    found, residuals, roughnesses = [], [], []
    start = estimate
    for alpha in alphas:
        start, residual, roughness = _deconvolve(estimate, blurs, alpha * stiffness, start)
        found.append(start)
        residuals.append(residual)
        roughnesses.append(np.sqrt(roughness @ stiffness))
    corner = find_corner(np.array(residuals), np.array(roughnesses))
    cell = float(np.prod(steps))
    values = found[corner]
    return DeconvolvedDensity(
        values / (values.sum() * cell),
        axes,
        float(alphas[corner]),
        np.array([alphas, residuals, roughnesses]),
        estimate / (estimate.sum() * cell),
    )


def scott_covariance(latents: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "d d"]:
    """Covariance of a kernel for n points, n^(−2 / (d + 4)) of theirs. ValueError if they have no spread."""
    count, dimensions = latents.shape
    covariance = np.atleast_2d(np.cov(latents, rowvar=False))
    if not (np.diag(covariance) > 0).all():
        axis = int(np.argmin(np.diag(covariance) > 0))
        raise ValueError(f"all {count} particles have the same latent on axis {axis}: there is no density over it.")
    return covariance * count ** (-2 / (dimensions + 4))


def find_corner(residuals: Float[np.ndarray, "a"], roughnesses: Float[np.ndarray, "a"]) -> int:
    """Point of an L-curve, from strong to weak, farthest below the line between its ends, both axes logarithmic.

    Without a point below it there is no corner: the residual falls over the whole range, and the last point is taken.
    """
    scaled = []
    for values in (residuals, roughnesses):
        logarithms = np.log(np.maximum(values, 1e-300))
        extent = logarithms[-1] - logarithms[0]
        scaled.append((logarithms - logarithms[0]) / (extent if extent != 0 else 1.0))
    # From (0, 0) at strong regularisation, large residual, to (1, 1): at the corner the residual has fallen first.
    below = scaled[0] - scaled[1]
    return int(np.argmax(below)) if below.max() > 0.01 else len(below) - 1


def _count(latents: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Number of particles at grid points, each divided among its neighbours linearly; those outside are left out."""
    dimensions, points = axes.shape
    steps = grid_steps(axes)
    position = (latents - axes[:, 0]) / steps
    lowest = np.floor(position).astype(int)
    inside = ((lowest >= 0) & (lowest < points - 1)).all(axis=1)
    lowest, fraction = lowest[inside], (position - lowest)[inside]
    counts = np.zeros((points,) * dimensions)
    for corner in np.ndindex((2,) * dimensions):
        weight = np.prod(np.where(corner, fraction, 1 - fraction), axis=1)
        np.add.at(counts, tuple((lowest + corner).T), weight)
    return counts


def _blur(covariance: np.ndarray, steps: np.ndarray, points: int) -> np.ndarray:
    """Weights of N(0, covariance) about the centre of an odd grid, summing to one."""
    reach = np.minimum(np.ceil(_REACH * np.sqrt(np.diag(covariance)) / steps), points - 1).astype(int)
    offsets = np.meshgrid(*[np.arange(-r, r + 1) * step for r, step in zip(reach, steps, strict=True)], indexing="ij")
    stacked = np.stack(offsets, axis=-1)
    weights = np.exp(-0.5 * np.einsum("...i,ij,...j->...", stacked, np.linalg.inv(covariance), stacked))
    return weights / weights.sum()


def _deconvolve(
    estimate: np.ndarray, blurs: tuple[np.ndarray, np.ndarray], alphas: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """The minimiser for an α per axis, its residual, and its squared differences along each axis.

    ``blurs`` are G and G², a Gaussian as well, so that one blur gives the objective and its gradient.
    """
    once, twice = blurs
    shape = estimate.shape
    wanted = _convolve(estimate, once)

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        density = flat.reshape(shape)
        blurred = _convolve(density, twice)
        for axis in range(density.ndim):
            blurred -= alphas[axis] * np.diff(_differences(density, axis), axis=axis)
        return float((density * (0.5 * blurred - wanted)).sum()), (blurred - wanted).ravel()

    options = {"maxiter": _ITERATIONS, "ftol": 1e-9, "gtol": 1e-6}
    answer = minimize(
        evaluate, start.ravel(), jac=True, method="L-BFGS-B", bounds=[(0, None)] * start.size, options=options
    )
    density = answer.x.reshape(shape).clip(min=0)
    residual = _convolve(density, once) - estimate
    squares = [float(np.square(_differences(density, axis)).sum()) for axis in range(density.ndim)]
    return density, float(np.sqrt(np.square(residual).sum())), np.array(squares)


def _differences(density: np.ndarray, axis: int) -> np.ndarray:
    """Differences of neighbours along an axis, 0 beyond the grid."""
    return np.diff(density, axis=axis, prepend=0, append=0)


def _mean_covariance(precisions: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.inv(precisions.astype(np.float64)).mean(axis=0)
    except np.linalg.LinAlgError as error:
        ranks = np.linalg.matrix_rank(precisions, hermitian=True)
        worst = int(np.argmin(ranks))
        raise ValueError(
            f"the precision of particle {worst} has rank {ranks[worst]} of {precisions.shape[1]} and no inverse: "
            "some latent axis is undetermined for it. Leave out such particles."
        ) from error


def _check(latents: np.ndarray, precisions: np.ndarray, dimensions: int) -> None:
    count, width = latents.shape
    if not 1 <= dimensions <= min(MOST_DIMENSIONS, width):
        raise ValueError(
            f"a density is taken over 1 to {min(MOST_DIMENSIONS, width)} of {width} latent axes (over more than "
            f"{MOST_DIMENSIONS} its grid would be too large), got dimensions = {dimensions}."
        )
    if precisions.shape != (count, width, width) or count < 2:
        raise ValueError(f"n >= 2 latents (n, d) need precisions (n, d, d), got {latents.shape}, {precisions.shape}.")
    for name, array in (("latent", latents), ("precision", precisions)):
        finite = np.isfinite(array.reshape(count, -1)).all(axis=1)
        if not finite.all():
            raise ValueError(f"{name} {int(np.argmin(finite))} is not finite: leave out such particles.")


def _convolve(density: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolution on the grid of the density, zero beyond it."""
    from scipy.signal import fftconvolve

    return fftconvolve(density, kernel, mode="same")
