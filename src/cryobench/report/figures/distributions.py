"""Figures of distributions: collective variables, spectra of signal and noise, components of states."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cryobench.report.card.composition import Assembly
from cryobench.report.card.variables import Histogram
from cryobench.report.figures.style import PAGE_WIDTH, shorten, styled

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"


@styled
def draw_variables(histograms: Sequence[Histogram], pair: pd.DataFrame | None) -> Figure:
    """Particles by each collective variable, and the first two against each other."""
    panels = len(histograms) + (pair is not None)
    columns = min(panels, 4)
    rows = -(-panels // columns)
    figure = Figure(figsize=(PAGE_WIDTH * max(columns, 2) / 4, 1.75 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[panels:]:
        axis.set_axis_off()
    for axis, histogram in zip(axes, histograms, strict=False):
        axis.bar(histogram.centres, histogram.counts, width=0.9 * histogram.width, color=BLUE)
        axis.set_xlabel(shorten(histogram.axis.title, 28))
        axis.set_ylabel("particles")
        if histogram.axis.period is not None:
            start = histogram.turn[0] + histogram.width / 2
            axis.set_xticks(start + histogram.axis.period * np.linspace(0, 1, 5))
            axis.set_xlim(*histogram.turn)
            axis.set_title("on a circle", loc="right", color="0.4")
    if pair is not None:
        axis = axes[panels - 1]
        axis.plot(pair["first"], pair["second"], ".", markersize=1.5, color=BLUE, alpha=0.6)
        axis.set_xlabel(shorten(pair.attrs["titles"][0], 28))
        axis.set_ylabel(shorten(pair.attrs["titles"][1], 28))
    return figure


@styled
def draw_spectra(table: pd.DataFrame, *, from_truth: bool) -> Figure:
    """Power of images, noise and signal by frequency, and the ratio of the last two."""
    figure = Figure(figsize=(PAGE_WIDTH, 2.4))
    power, ratio = figure.subplots(1, 2)
    power.plot(table["frequency"], table["images"], color=BLUE, label="images")
    power.plot(table["frequency"], table["noise"], color="0.45", linestyle="--", label="noise")
    positive = table[table["signal"] > 0]
    words = "signal, from true volumes" if from_truth else "images less noise"
    power.plot(positive["frequency"], positive["signal"], color=ORANGE, label=words)
    power.set_yscale("log")
    power.set_ylabel("power")
    power.legend()
    positive = table[table["snr"] > 0]
    ratio.plot(positive["frequency"], positive["snr"], color=GREEN)
    ratio.axhline(1, color="0.55", linewidth=0.6, linestyle=(0, (2, 2)))
    ratio.set_yscale("log")
    ratio.set_ylabel("signal-to-noise ratio")
    for axis in (power, ratio):
        axis.set_xlabel("spatial frequency / Å⁻¹")
    return figure


@styled
def draw_occupancies(table: pd.DataFrame) -> Figure:
    """Occupancy of each component (row) in each state (column)."""
    rows, columns = table.shape
    figure = Figure(figsize=(min(PAGE_WIDTH, 2.2 + 0.16 * columns), min(1.2 + 0.14 * rows, 8)))
    axis = figure.subplots()
    image = axis.imshow(table.to_numpy(), aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    axis.set_xticks(range(columns), [shorten(str(name), 18) for name in table.columns], rotation=90, fontsize=6)
    axis.set_yticks(range(rows), [shorten(str(name), 18) for name in table.index], fontsize=6)
    axis.set_xlabel("state")
    figure.colorbar(image, ax=axis, label="occupancy", shrink=0.9)
    return figure


@styled
def draw_assembly(assembly: Assembly) -> Figure:
    """States by the number of components present, joined by the steps of the assembly graph; area by particles."""
    figure = Figure(figsize=(PAGE_WIDTH, 2.9))
    axis = figure.subplots()
    nodes = assembly.nodes
    for source, target in assembly.edges:
        axis.annotate(
            "", xy=(nodes["x"][target], nodes["y"][target]), xytext=(nodes["x"][source], nodes["y"][source]),
            arrowprops={"arrowstyle": "-|>", "color": "0.6", "linewidth": 0.7, "shrinkA": 5, "shrinkB": 5},
        )  # fmt: skip
    size = 20 + 160 * nodes["particles"] / max(nodes["particles"].max(), 1)
    axis.scatter(nodes["x"], nodes["y"], s=size, color=BLUE, zorder=2, linewidths=0)
    for _, node in nodes.iterrows():
        axis.annotate(
            shorten(str(node["name"]), 16), (node["x"], node["y"]), xytext=(0, 8), textcoords="offset points",
            ha="center", fontsize=6,
        )  # fmt: skip
    axis.set_xlabel("components present")
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.margins(y=0.2)
    return figure
