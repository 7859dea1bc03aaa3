"""Charts and pictures as figures: Vega-Lite, drawn by the browser on the page, and SVG.

``draw`` makes the specification of any chart, sized for page or paper; ``curves``, ``planes`` and ``fields`` build
it from the values of ``report.charts`` with the parts in ``vega``. ``pictures`` arranges images side by side.
"""

from cryobench.report.figures.draw import beside as beside
from cryobench.report.figures.draw import draw_on_page as draw_on_page
from cryobench.report.figures.draw import draw_on_paper as draw_on_paper
from cryobench.report.figures.draw import fit as fit
from cryobench.report.figures.draw import save_svg as save_svg
from cryobench.report.figures.draw import to_svg as to_svg
from cryobench.report.figures.pictures import draw_class_volumes as draw_class_volumes
from cryobench.report.figures.pictures import draw_components as draw_components
from cryobench.report.figures.pictures import draw_frames as draw_frames
from cryobench.report.figures.pictures import draw_gallery as draw_gallery
from cryobench.report.figures.pictures import draw_motion as draw_motion
from cryobench.report.figures.pictures import draw_particles as draw_particles
from cryobench.report.figures.pictures import draw_slices as draw_slices
from cryobench.report.figures.pictures import draw_surfaces as draw_surfaces
from cryobench.report.figures.vega import Spec as Spec
