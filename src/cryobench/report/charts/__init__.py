"""Charts of data sets, scores and findings of runs: small values, drawn by ``report.drawing``.

``kinds`` defines the kinds of chart; each other file makes the charts of one subject from tables and arrays, with how
to read them in ``captions.toml``. ``collect`` makes all charts of the page that do not depend on a selector.
"""
