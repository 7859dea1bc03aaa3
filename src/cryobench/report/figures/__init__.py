"""Charts and pictures as figures: Vega-Lite, drawn by the browser on the page, and SVG.

``draw`` makes the specification of any chart, sized for page or paper; ``curves``, ``planes`` and ``fields`` build
it from the values of ``report.charts`` with the parts in ``vega``. ``pictures`` arranges images side by side.
"""

from cryobench.report.figures.draw import beside, draw_on_page, draw_on_paper, fit, save_svg, to_svg
from cryobench.report.figures.pictures import (
    draw_class_volumes,
    draw_components,
    draw_frames,
    draw_gallery,
    draw_motion,
    draw_particles,
    draw_slices,
    draw_surfaces,
)
from cryobench.report.figures.vega import Spec

__all__ = [
    "Spec",
    "beside",
    "draw_class_volumes",
    "draw_components",
    "draw_frames",
    "draw_gallery",
    "draw_motion",
    "draw_on_page",
    "draw_on_paper",
    "draw_particles",
    "draw_slices",
    "draw_surfaces",
    "fit",
    "save_svg",
    "to_svg",
]
