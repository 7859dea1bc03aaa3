"""Bodies for the CPU, compiled by numba: those of the slice operators (``slices``), and other loops.

The kernels release the GIL and run over parts of the work on ordinary Python threads (``_threads.py``), so they
need no numba threading layer and may be called from several threads or Dask workers at once. The number of
threads is ``torch.get_num_threads()``. The result has the same bits for any number of threads: extraction
computes each image separately; insertion gives each thread its own slab of the grid, into which it adds all
images in order, so there is neither a race nor a private copy of the grid.
"""
