"""Volume series in a run's folder: pictures of their volumes, and their positions among the latents.

The series are those that ``cryobench series`` wrote to RUN/series. A series with positions is joined by a line, and
one with counts is labelled with them; nothing depends on its kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cryobench.data import VolumeSeries
from cryobench.io.folders.series_store import list_series, load_series
from cryobench.latents.centres import nearest_particles
from cryobench.report.findings.volumes import FramesView, view_frames
from cryobench.report.scored_runs.latent_views import LatentView
from cryobench.report.scored_runs.tables import Run


@dataclass(frozen=True, eq=False)
class SeriesView:
    """A series as the report shows it."""

    slug: str
    """Slug of the run."""
    name: str
    """Name of the series in the run."""
    number: int
    """Number of the series in the run, from 1."""
    series: VolumeSeries
    frames: FramesView
    components: np.ndarray
    """(f, 2) on the first two principal components of the latents."""
    umap: np.ndarray | None
    """(f, 2) position in the UMAP of the nearest drawn particle; None without a UMAP."""

    @property
    def key(self) -> str:
        """Prefix of its file names."""
        return f"series-{self.slug}-{self.number}"

    def caption(self, frame: int) -> str:
        """Caption of a volume: its number, and its particles if counted."""
        counts = self.series.counts
        made_of = "" if counts is None else f", {counts[frame]:.0f} particles"
        return f"{frame + 1}{made_of}"

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Rows of all volumes: number, nearest particle, and position and particles where known."""
        parts = (self.series.particles, self.series.positions, self.series.counts)
        columns = [values for values in parts if values is not None]
        return [
            (str(frame + 1), *(f"{value:.6g}" for value in values))
            for frame, values in enumerate(zip(*columns, strict=True))
        ]

    @property
    def header(self) -> tuple[str, ...]:
        """Column titles of ``rows``."""
        known = (("position", self.series.positions), ("particles", self.series.counts))
        return ("volume", "nearest particle", *(name for name, values in known if values is not None))


def view_series(runs: Sequence[Run], views: dict[str, LatentView]) -> list[SeriesView]:
    """Finished series in the folders of runs whose latents are drawn, in the order of the runs.

    Raises FormatError if one is damaged.
    """
    found = []
    for run in runs:
        if run.slug not in views or run.reconstruction.path is None:
            continue
        view, latents = views[run.slug], np.asarray(run.reconstruction.latents)
        for number, (name, folder) in enumerate(list_series(run.reconstruction.path).items(), start=1):
            series = load_series(folder)
            frames = view_frames(len(series.latents), series.volumes.read)
            umap = _place_in_umap(view, latents, series)
            found.append(SeriesView(run.slug, name, number, series, frames, view.project(series.latents), umap))
    return found


def _place_in_umap(view: LatentView, latents: np.ndarray, series: VolumeSeries) -> np.ndarray | None:
    if not view.has_umap:
        return None
    drawn = view.points["particle"].to_numpy(int)
    return view.scatter(umap=True)[nearest_particles(latents[drawn], series.latents)]
