"""Fourier transforms, frequency grids, radial shells, crop and pad. Only this and ``testing`` call fft.

Real-space arrays are centred on index ``n // 2``. Spectra are half-spectra in native FFT order and unshifted:
the last axis (x) holds the ``n // 2 + 1`` non-negative frequencies, the others all ``n`` in the order of
``torch.fft.fftfreq``; the zero frequency is at index 0. The phase origin is the centre voxel ``n // 2``.
The forward transform is unnormalised (a sum), the inverse divides by the number of voxels.
"""

from cryobench.fourier.grids import frequency_axis as frequency_axis
from cryobench.fourier.grids import frequency_grid as frequency_grid
from cryobench.fourier.grids import hermitian_weights as hermitian_weights
from cryobench.fourier.power import crop_with_power as crop_with_power
from cryobench.fourier.power import shell_power as shell_power
from cryobench.fourier.resample import fast_even_size as fast_even_size
from cryobench.fourier.resample import fourier_crop as fourier_crop
from cryobench.fourier.resample import fourier_pad as fourier_pad
from cryobench.fourier.shells import shell_average as shell_average
from cryobench.fourier.shells import shell_indices as shell_indices
from cryobench.fourier.shells import shell_sum as shell_sum
from cryobench.fourier.transform import fft_images as fft_images
from cryobench.fourier.transform import fft_volume as fft_volume
from cryobench.fourier.transform import fft_volume_from_corner as fft_volume_from_corner
from cryobench.fourier.transform import ifft_images as ifft_images
from cryobench.fourier.transform import ifft_volume as ifft_volume
