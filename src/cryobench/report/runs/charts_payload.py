"""Charts and latents as the page's scripts read them: plain JSON, numbers rounded, what is not drawn null."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cryobench.report.charts.kinds import (
    Axis,
    Chart,
    DensityChart,
    DotChart,
    GridChart,
    LineChart,
    Picture,
    PlaneChart,
    Point,
    Reference,
    Series,
    SnapshotChart,
)
from cryobench.report.page import number, numbers
from cryobench.report.runs.colourings import Colouring
from cryobench.report.runs.latent_views import LatentView
from cryobench.report.runs.series import SeriesView


def chart_data(pictures: Sequence[Picture]) -> dict[str, Any]:
    """Charts by their key."""
    return {picture.key: _chart(picture.chart) for picture in pictures}


def latent_data(
    views: dict[str, LatentView], colourings: Sequence[Colouring], series: Sequence[SeriesView] = ()
) -> dict[str, Any]:
    """Places of particles and volume series by run, and once for all runs the numbers particles are coloured by."""
    shown = np.unique(np.concatenate([view.points["particle"].to_numpy(int) for view in views.values()] or [[]]))
    shown = shown.astype(np.int64)
    return {
        "particles": shown.tolist(),
        "colourings": [_colouring(colouring, shown) for colouring in colourings],
        "views": {
            slug: {**_view(view, shown), "series": [_series_places(each) for each in series if each.slug == slug]}
            for slug, view in views.items()
        },
    }


def _series_places(view: SeriesView) -> dict[str, Any]:
    return {
        "name": view.name,
        "joined": view.series.positions is not None,
        "captions": [view.caption(frame) for frame in range(len(view.components))],
        "particles": view.series.particles.tolist(),
        "components": [numbers(places, 4) for places in view.components.T],
        "umap": None if view.umap is None else [numbers(places, 4) for places in view.umap.T],
    }


def _colouring(colouring: Colouring, particles: np.ndarray) -> dict[str, Any]:
    return {
        "title": colouring.axis.title,
        "values": numbers(colouring.axis.values[particles], 4),
        "limits": [number(end) for end in colouring.limits],
        "circular": colouring.axis.period is not None,
        "degrees": colouring.axis.period == 360,
        "classes": colouring.n_classes,
    }


def _view(view: LatentView, shown: np.ndarray) -> dict[str, Any]:
    return {
        "rows": np.searchsorted(shown, view.points["particle"].to_numpy(int)).tolist(),
        "components": [numbers(places, 4) for places in view.scatter(umap=False).T],
        "umap": [numbers(places, 4) for places in view.scatter(umap=True).T] if view.has_umap else None,
        "explained": list(view.explained),
    }


def _chart(chart: Chart) -> dict[str, Any]:
    if isinstance(chart, LineChart):
        return {
            "x": _axis(chart.x),
            "y": _axis(chart.y),
            "shape": chart.shape,
            "series": [_series(series) for series in chart.series],
            "references": [_reference(reference) for reference in chart.references],
        }
    if isinstance(chart, DotChart):
        return {
            "x": _axis(chart.value),
            "names": chart.names,
            "series": [_series(series) for series in chart.series],
            "references": [_reference(reference) for reference in chart.references],
        }
    if isinstance(chart, PlaneChart):
        return {
            "x": _axis(chart.x),
            "y": _axis(chart.y),
            "points": [_point(point) for point in chart.points],
            "marks": [_point(mark) for mark in chart.marks],
        }
    if isinstance(chart, DensityChart):
        return _density(chart)
    if isinstance(chart, SnapshotChart):
        return {
            "x": _axis(chart.x),
            "y": _axis(chart.y),
            "titles": chart.titles,
            "places": [[numbers(axis, 4) for axis in panel.T] for panel in chart.places],
            "particles": chart.particles.tolist(),
            "colouring": None if chart.colouring is None else _colouring(chart.colouring, chart.particles),
        }
    return _grid(chart)


def _density(chart: DensityChart) -> dict[str, Any]:
    places = {
        name: None if values is None else [numbers(axis, 4) for axis in values.T]
        for name, values in (("path", chart.path), ("points", chart.points))
    }
    return {
        "x": _axis(chart.x),
        "y": _axis(chart.y),
        "columns": numbers(chart.columns, 4),
        "rows": numbers(chart.rows, 4),
        "values": [numbers(row, 3) for row in chart.values],
        **places,
    }


def _grid(chart: GridChart) -> dict[str, Any]:
    return {
        "x": _axis(chart.x),
        "y": _axis(chart.y),
        "columns": chart.columns,
        "rows": chart.rows,
        "shares": [numbers(row, 3) for row in chart.shares],
        "counts": [[round(float(count)) for count in row] for row in chart.counts],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    ends = [None if end is None else number(end) for end in (axis.low, axis.high)]
    return {
        "title": axis.title,
        "low": ends[0],
        "high": ends[1],
        "degrees": axis.period == 360,
        "whole": axis.whole,
        "logarithmic": axis.logarithmic,
        "inverse": axis.inverse,
    }


def _series(series: Series) -> dict[str, Any]:
    ends = {
        name: None if values is None else numbers(values, 4)
        for name, values in (("low", series.low), ("high", series.high))
    }
    return {"run": series.slug, "x": numbers(series.x), "y": numbers(series.y), **ends}


def _reference(reference: Reference) -> dict[str, Any]:
    return {
        "label": reference.label,
        "shape": reference.shape,
        "x": numbers(reference.x),
        "y": numbers(reference.y),
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "run": point.slug,
        "x": number(point.x),
        "y": number(point.y),
        "spread": [number(point.x_spread), number(point.y_spread)],
    }
