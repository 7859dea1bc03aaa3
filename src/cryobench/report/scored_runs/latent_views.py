"""Latents in two dimensions: principal components of all particles, and UMAP of a random subset.

At most ``MOST_POINTS`` particles are drawn, at random with a fixed seed. UMAP takes seconds per run, so the table of
an earlier report in the same folder is reused where latents, seed and version are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from cryobench._sampling import spread_indices
from cryobench.latents.principal import PrincipalAxes, principal_axes
from cryobench.metrics.latents.latent_spaces import draw_subset
from cryobench.report.scored_runs.umap_layout import explain_no_umap, lay_out_umap
from cryobench.rng import stream

MOST_POINTS = 4_000
"""Particles drawn, and laid out by UMAP."""
SEED = 0
JITTER = 0.012
"""Standard deviation of the random offset of coinciding particles, as a fraction of the width of the plot."""
TABLE = "latents.parquet"
"""File of all views in the tables of a report."""

LayOut = Callable[..., np.ndarray]


@dataclass(frozen=True, eq=False)
class LatentView:
    """Latents of one run in two dimensions."""

    points: pd.DataFrame
    """Columns particle, first, second (principal components), umap_first, umap_second (NaN without UMAP)."""
    explained: tuple[float, float]
    """Fractions of the variance along the two principal components."""
    axes: PrincipalAxes
    """Principal axes of all particles."""
    n_particles: int
    """Particles that have a latent; ``points`` are some of them."""
    no_umap: str | None
    """Reason for having no UMAP."""
    content: str
    """Hash of what the UMAP depends on."""
    jittered: bool = False
    """Whether particles are drawn with a random offset because most coincide with others (``scatter``)."""

    def scatter(self, *, umap: bool) -> np.ndarray:
        """Coordinates (n, 2) of drawn particles in the UMAP or principal components, with the offset if jittered."""
        first, second = ("umap_first", "umap_second") if umap else ("first", "second")
        positions = np.asarray(self.points[[first, second]], dtype=np.float64)
        if not self.jittered or not len(positions):
            return positions
        noise = stream(SEED, "report/jitter").standard_normal(positions.shape)
        return positions + JITTER * max(float(np.ptp(positions, axis=0).max()), 1e-12) * noise

    def thin(self, most: int) -> "LatentView":
        """The same view with at most ``most`` particles, evenly spaced in order."""
        rows = spread_indices(len(self.points), most)
        return replace(self, points=self.points.iloc[rows])

    def project(self, latents: np.ndarray) -> np.ndarray:
        """Coordinates (m, 2) of latents (m, d) on the first two principal components."""
        return _first_two(self.axes, latents)

    @property
    def n_dimensions(self) -> int:
        """Dimension of the latents."""
        return len(self.axes.mean)

    @property
    def has_umap(self) -> bool:
        """Whether there is a UMAP."""
        return self.no_umap is None


def view_latents(
    latents: np.ndarray, *, earlier: pd.DataFrame | None = None, lay_out: LayOut = lay_out_umap
) -> LatentView:
    """Principal components and UMAP of latents (n, d); rows with NaN, particles a method left out, are not drawn.

    ``earlier`` is the table of an earlier report: a UMAP of the same content is reused.
    """
    latents = np.asarray(latents, dtype=np.float64)
    kept = np.flatnonzero(np.isfinite(latents).all(axis=1))
    shown = draw_subset(kept, MOST_POINTS, seed=SEED, purpose="report/latents")
    axes = principal_axes(latents[kept])
    points = latents[shown]
    scores = _first_two(axes, points)
    reason = explain_no_umap(points)
    content = _hash(points)
    plane = np.full((len(shown), 2), np.nan)
    if reason is None:
        found = _find_earlier(earlier, content, shown)
        plane = lay_out(points, seed=SEED) if found is None else found
    table = pd.DataFrame(
        {
            "particle": shown,
            "first": scores[:, 0],
            "second": scores[:, 1],
            "umap_first": plane[:, 0],
            "umap_second": plane[:, 1],
        }
    )
    power = axes.variances
    fractions = [*(power / max(float(power.sum()), 1e-300)).tolist(), 0.0, 0.0]
    jittered = 2 * len(np.unique(points, axis=0)) < len(points)
    return LatentView(table, (fractions[0], fractions[1]), axes, len(kept), reason, content, jittered)


def _first_two(axes: PrincipalAxes, latents: np.ndarray) -> np.ndarray:
    """Coordinates (n, 2) along the first two axes, 0 along a missing one."""
    scores = axes.project(latents)[:, :2]
    return np.pad(scores, ((0, 0), (0, 2 - scores.shape[1])))


def _hash(points: np.ndarray) -> str:
    digest = sha256(f"umap-learn {version('umap-learn')} seed {SEED} shape {points.shape}".encode())
    digest.update(np.ascontiguousarray(points).tobytes())
    return digest.hexdigest()


def _find_earlier(earlier: pd.DataFrame | None, content: str, shown: np.ndarray) -> np.ndarray | None:
    if earlier is None:
        return None
    rows = earlier.loc[earlier["content"] == content]
    rows = rows.loc[~rows["particle"].duplicated()]
    same = len(rows) == len(shown) and bool((np.asarray(rows["particle"]) == shown).all())
    return np.asarray(rows[["umap_first", "umap_second"]], dtype=np.float64) if same else None


def tabulate_views(views: dict[str, LatentView]) -> pd.DataFrame:
    """Table of all views, with the slug of the run and the hash of its content."""
    parts = [view.points.assign(slug=slug, content=view.content) for slug, view in views.items()]
    columns = ["slug", "particle", "first", "second", "umap_first", "umap_second", "content"]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns) if parts else pd.DataFrame(columns=columns)


def read_earlier(folder: Path) -> pd.DataFrame | None:
    """Table of an earlier report in ``folder``; None if it is missing or has another form."""
    path = folder / "tables" / TABLE
    try:
        table = pd.read_parquet(path)
    except (FileNotFoundError, NotADirectoryError, pa.ArrowException, OSError):
        return None
    return table if {"particle", "umap_first", "umap_second", "content"} <= set(table.columns) else None
