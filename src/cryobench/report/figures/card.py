"""Figures of the data set's card: particles, CTF, poses, states."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cryobench.report.figures.style import COLUMN_WIDTH, PAGE_WIDTH, fixed_figure, styled
from cryobench.report.views import ParticleViews, grey_limits

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"


@styled
def draw_particles(particles: Sequence[ParticleViews]) -> Figure:
    """Views of example particles: a row per view, a column per particle, each picture on its own grey scale."""
    titles = list(dict.fromkeys(title for views in particles for title in views.views))
    height = 0.2 + 1.1 * len(titles)
    figure = fixed_figure(
        PAGE_WIDTH, height, left=0.06, right=0.995, bottom=0.01, top=1 - 0.2 / height, wspace=0.04, hspace=0.04
    )
    grid = figure.subplots(len(titles), len(particles), squeeze=False)
    for column, views in enumerate(particles):
        for row, title in enumerate(titles):
            axis = grid[row, column]
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
            if title in views.views:
                low, high = grey_limits(views.views[title])
                axis.imshow(views.views[title], vmin=low, vmax=high, origin="lower", interpolation="none")
            if row == 0:
                state = "" if views.state is None else f", state {views.state}"
                axis.set_title(f"particle {views.particle}{state}", fontsize=7)
            if column == 0:
                axis.set_ylabel(title.replace(", ", ",\n"), fontsize=7)
    return figure


@styled
def draw_ctf(table: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Defocus and astigmatism histograms, and the CTF at least, median and most defocus."""
    figure = Figure(figsize=(PAGE_WIDTH, 2.1))
    defocus, astigmatism, curve = figure.subplots(1, 3, width_ratios=(1, 1, 1.5))
    defocus.hist(table["defocus"], bins=30, color=BLUE)
    defocus.set_xlabel("defocus / µm")
    defocus.set_ylabel("particles")
    astigmatism.hist(table["astigmatism"], bins=30, color=BLUE)
    astigmatism.set_xlabel("astigmatism / nm")
    pairs = zip(curves.groupby("particle", sort=False), (ORANGE, GREEN, BLUE), strict=False)
    for (_, rows), colour in pairs:
        curve.plot(
            rows["frequency"], rows["value"], color=colour, linewidth=0.8, label=f"{rows['defocus'].iloc[0]:.2f} µm"
        )
    groups = [rows for _, rows in curves.groupby("particle", sort=False)]
    middle = groups[len(groups) // 2]
    if middle["envelope"].to_numpy().min() < 1:
        for sign in (1, -1):
            curve.plot(middle["frequency"], sign * middle["envelope"], color="0.5", linewidth=0.7, linestyle=":")
    curve.set_xlabel("spatial frequency / Å⁻¹")
    curve.set_ylabel("CTF")
    curve.legend(loc="upper center", bbox_to_anchor=(0.5, 1.22), ncols=3, handlelength=1.2, columnspacing=1)
    return figure


@styled
def draw_poses(directions: pd.DataFrame, poses: pd.DataFrame) -> Figure:
    """Viewing directions on the sphere (Mollweide, equal area), in-plane angles and shifts."""
    figure = Figure(figsize=(PAGE_WIDTH, 2.1))
    sphere, plane, shift = figure.subplots(1, 3, width_ratios=(2, 1, 1))
    grid = directions.pivot(index="y", columns="x", values="count")
    image = sphere.imshow(
        np.ma.masked_invalid(grid.to_numpy()), extent=(-2, 2, -1, 1), origin="lower", cmap="cividis", vmin=0,
        aspect="equal",
    )  # fmt: skip
    sphere.set_axis_off()
    sphere.set_title("viewing direction (longitude 0° in the middle)", loc="left")
    figure.colorbar(image, ax=sphere, label="particles per cell", shrink=0.8)
    plane.hist(poses["psi"], bins=np.linspace(-180, 180, 25), color=BLUE)
    plane.set_xlabel("in-plane angle / °")
    plane.set_xticks([-180, 0, 180])
    plane.set_ylabel("particles")
    shift.plot(poses["x"], poses["y"], ".", markersize=1.5, color=BLUE, alpha=0.6)
    shift.set_xlabel("shift x / Å")
    shift.set_ylabel("shift y / Å")
    shift.set_aspect("equal", adjustable="datalim")
    return figure


@styled
def draw_states(table: pd.DataFrame) -> Figure:
    """Particles per state."""
    figure = Figure(figsize=(COLUMN_WIDTH, 1.8))
    axis = figure.subplots()
    width = 0.85 * float(np.diff(table["state"]).min()) if len(table) > 1 else 0.85
    axis.bar(table["state"], table["particles"], width=width, color=BLUE)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("state")
    axis.set_ylabel("particles")
    return figure
