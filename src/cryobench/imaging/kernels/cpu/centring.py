"""Packed spectra times the phases of shifts, compiled: every entry by the same operations, at any position.

PyTorch's complex products round the last entries of an array, and of each thread's part, differently from the
rest, so that a particle's result would depend on whether it is alone or in a block.
"""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def turn_phases(spectra, along_x, along_y, columns, rows, result, first, last):
    """Write spectra (n, p, 2) times along_x[i, columns[p]] · along_y[i, rows[p]] to the result, for images i.

    Phases (n, 2 r + 1, 2), columns and rows (p,).
    """
    for i in range(first, last):
        for p in range(len(columns)):
            x_re, x_im = along_x[i, columns[p], 0], along_x[i, columns[p], 1]
            y_re, y_im = along_y[i, rows[p], 0], along_y[i, rows[p], 1]
            re = np.float32(x_re * y_re) - np.float32(x_im * y_im)
            im = np.float32(x_re * y_im) + np.float32(x_im * y_re)
            s_re, s_im = spectra[i, p, 0], spectra[i, p, 1]
            result[i, p, 0] = np.float32(re * s_re) - np.float32(im * s_im)
            result[i, p, 1] = np.float32(re * s_im) + np.float32(im * s_re)
