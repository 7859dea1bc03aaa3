"""Paper figures: pure functions from tables to ``matplotlib.figure.Figure``, sized for a column or a page width.

Units stand on the axes, fonts are 7 pt or more, colours stay apart for colour-blind readers and in print.
"""

from matplotlib.figure import Figure

from cryobench.report.figures.assignments import draw_class_map
from cryobench.report.figures.card import draw_ctf, draw_particles, draw_poses, draw_states
from cryobench.report.figures.charts import draw_chart
from cryobench.report.figures.distributions import draw_assembly, draw_occupancies, draw_spectra, draw_variables
from cryobench.report.figures.findings import draw_class_volumes, draw_components, draw_frames, draw_motion
from cryobench.report.figures.latents import draw_latents
from cryobench.report.figures.scores import draw_cost, draw_forest, draw_fsc
from cryobench.report.figures.states import draw_gallery
from cryobench.report.figures.style import RunStyle, save_svg, style_runs
from cryobench.report.figures.volumes import draw_slices, draw_surfaces

__all__ = [
    "Figure",
    "RunStyle",
    "draw_assembly",
    "draw_chart",
    "draw_class_map",
    "draw_class_volumes",
    "draw_components",
    "draw_cost",
    "draw_ctf",
    "draw_forest",
    "draw_frames",
    "draw_fsc",
    "draw_gallery",
    "draw_latents",
    "draw_motion",
    "draw_occupancies",
    "draw_particles",
    "draw_poses",
    "draw_slices",
    "draw_spectra",
    "draw_states",
    "draw_surfaces",
    "draw_variables",
    "save_svg",
    "style_runs",
]
