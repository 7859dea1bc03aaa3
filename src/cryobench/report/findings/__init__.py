"""What runs found by themselves, before anything is compared with a truth: the report's section of that name.

It is drawn of ``Reconstruction.findings`` by their types (``data.findings``) and of its notes, never of the arrays of
a model or the name of a method; a run without findings adds nothing. ``tables`` has the numbers, ``volumes`` the
slices and projections, ``pictures`` writes those and the surfaces of components for the page.
"""
