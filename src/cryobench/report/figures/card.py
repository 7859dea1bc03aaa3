"""Figures of the data set's card: particles, CTF, poses, states."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cryobench.report.card.views import ParticleViews, grey_limits
from cryobench.report.figures.style import COLUMN_WIDTH, PAGE_WIDTH, fixed_figure, styled, tile_pictures

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"


@styled
def draw_particles(particles: Sequence[ParticleViews]) -> Figure:
    """Views of example particles: a row per view, a column per particle, each picture on its own grey scale."""
    titles = list(dict.fromkeys(title for views in particles for title in views.views))
    width, left, head = PAGE_WIDTH, 0.42, 0.2  # inch
    height = head + (width - left) * len(titles) / len(particles)
    figure = fixed_figure(width, height, left=left / width, right=1, bottom=0, top=1 - head / height)
    axis = figure.subplots()
    axis.set_axis_off()
    rows = [[_greys(views.views.get(title)) for views in particles] for title in titles]
    mosaic, step = tile_pictures(rows)
    axis.imshow(mosaic, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="auto")
    for column, views in enumerate(particles):
        state = "" if views.state is None else f", state {views.state}"
        words = f"particle {views.particle}{state}"
        axis.text((column + 0.48) * step, -0.06 * step, words, fontsize=6.5, ha="center", va="bottom")
    for row, title in enumerate(titles):
        words = title.replace(", ", ",\n")
        axis.text(-0.06 * step, (row + 0.48) * step, words, fontsize=7, ha="right", va="center", rotation=90)
    return figure


def _greys(image: np.ndarray | None) -> np.ndarray | None:
    """A picture from black (0) to white (1), its first row at the bottom."""
    if image is None:
        return None
    low, high = grey_limits(image)
    return np.clip((image[::-1] - low) / (high - low), 0, 1)


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
