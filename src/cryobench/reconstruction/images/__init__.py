"""Images for methods in Fourier space: on half-discs, with poses or without, in order or in minibatches."""

from cryobench.reconstruction.images.background import level_background as level_background
from cryobench.reconstruction.images.power import ImagePower as ImagePower
from cryobench.reconstruction.images.predicted import predict_images as predict_images
from cryobench.reconstruction.images.predicted import subtract_volume as subtract_volume
from cryobench.reconstruction.images.sampler import Minibatches as Minibatches
from cryobench.reconstruction.images.sampler import draw_stretch as draw_stretch
from cryobench.reconstruction.images.sampler import prefetch as prefetch
from cryobench.reconstruction.images.spectra import ImageSpectra as ImageSpectra
from cryobench.reconstruction.images.spectra import Posed as Posed
from cryobench.reconstruction.images.spectra import PosedSpectra as PosedSpectra
from cryobench.reconstruction.images.spectra import Spectra as Spectra
from cryobench.reconstruction.images.spectra import block_size as block_size
from cryobench.reconstruction.images.spectra import bytes_to_keep as bytes_to_keep
from cryobench.reconstruction.images.spectra import centre as centre
from cryobench.reconstruction.images.spectra import require_poses as require_poses
from cryobench.reconstruction.images.spectra import spectra_bytes as spectra_bytes
from cryobench.reconstruction.images.spectra import transform_images as transform_images
