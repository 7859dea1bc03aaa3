"""Fourier transforms, frequency grids, radial shells, crop and pad. The only code of the package that calls fft.

Real-space arrays are centred on index ``n // 2``. Spectra are half-spectra in native FFT order and unshifted:
the last axis (x) holds the ``n // 2 + 1`` non-negative frequencies, the others all ``n`` in the order of
``torch.fft.fftfreq``; the zero frequency is at index 0. The phase origin is the centre voxel ``n // 2``.
The forward transform is unnormalised (a sum), the inverse divides by the number of voxels.
"""

from cryobench.fourier.grids import frequency_axis, frequency_grid, hermitian_weights
from cryobench.fourier.power import crop_with_power, shell_power
from cryobench.fourier.resample import fourier_crop, fourier_pad
from cryobench.fourier.shells import shell_average, shell_indices, shell_sum
from cryobench.fourier.transform import fft_images, fft_volume, fft_volume_from_corner, ifft_images, ifft_volume

__all__ = [
    "crop_with_power",
    "fft_images",
    "fft_volume",
    "fft_volume_from_corner",
    "fourier_crop",
    "fourier_pad",
    "frequency_axis",
    "frequency_grid",
    "hermitian_weights",
    "ifft_images",
    "ifft_volume",
    "shell_average",
    "shell_indices",
    "shell_power",
    "shell_sum",
]
