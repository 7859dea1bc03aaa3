"""Charts and pictures as figures: Vega-Lite, drawn by the browser on the page, and SVG.

``draw`` makes the specification of any chart, sized for page or paper; ``curves``, ``planes`` and ``fields`` build
it from the values of ``report.charts`` with the parts in ``vega``. ``pictures`` arranges images side by side.
"""
