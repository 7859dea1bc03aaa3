"""Arrays of a run's model, taken only where they are what their name says."""

from dataclasses import dataclass

import numpy as np

from cryobench.report.tables import Run


@dataclass(frozen=True, eq=False)
class Components:
    """A mean volume and the directions in which volumes vary about it."""

    mean: np.ndarray
    """(z, y, x)."""
    components: np.ndarray
    """(k, z, y, x) of unit norm."""
    variances: np.ndarray
    """(k,) of the latents along them."""

    @property
    def deviations(self) -> np.ndarray:
        """(k,) standard deviations, 0 where the variance is none."""
        known = np.isfinite(self.variances) & (self.variances > 0)
        return np.sqrt(np.where(known, self.variances, 0))


def model_array(run: Run, name: str, *dimensions: int) -> np.ndarray | None:
    """A numeric array of a run's model with one of these numbers of dimensions; None if there is no such thing.

    Nothing is copied or read through, so that a mapped file stays on the disk.
    """
    values = run.reconstruction.model.get(name)
    if run.status == "failed" or values is None or values.dtype.kind not in "fiu":
        return None
    return values if values.ndim in dimensions and values.size else None


def read_components(run: Run) -> Components | None:
    """Mean, components and variances, if the run has all three and they fit each other."""
    mean, components = model_array(run, "mean", 3), model_array(run, "components", 4)
    variances = model_array(run, "variances", 1)
    if mean is None or components is None or variances is None:
        return None
    if len(set(mean.shape)) > 1 or components.shape[1:] != mean.shape or len(variances) < len(components):
        return None
    return Components(mean, components, variances[: len(components)].astype(np.float64))


def read_class_volumes(run: Run) -> np.ndarray | None:
    """Volumes (k, z, y, x), if there is one per class of ``populations`` or ``resolutions``."""
    volumes = model_array(run, "volumes", 4)
    described = [
        values for name in ("populations", "resolutions") if (values := model_array(run, name, 1)) is not None
    ]
    if volumes is None or len(set(volumes.shape[1:])) > 1 or not described:
        return None
    return volumes if all(len(values) == len(volumes) for values in described) else None


def read_density(run: Run) -> tuple[np.ndarray, np.ndarray] | None:
    """Density over the first one or two latents, summed over further ones, and its axes (1, g) or (2, g)."""
    density, axes = model_array(run, "density", 1, 2, 3, 4), model_array(run, "density_axes", 2)
    if density is None or axes is None or density.shape != (axes.shape[1],) * axes.shape[0] or axes.shape[1] < 2:
        return None
    values = np.asarray(density, dtype=np.float64)
    for axis in reversed(range(2, values.ndim)):
        values = values.sum(axis=axis) * float(axes[axis, 1] - axes[axis, 0])
    return values, np.asarray(axes[:2], dtype=np.float64)
