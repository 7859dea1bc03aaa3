"""Findings of runs, before anything is compared with a truth: the report's section of that name.

They come from ``Reconstruction.findings``, by type (``data.findings``), and from the notes of a run, never from the
arrays of a model or the name of a method; a run without findings adds nothing. ``tables`` has the numbers,
``volumes`` slices and projections, ``motion`` displacements and ``series`` volume series; ``gather`` collects them.
"""
