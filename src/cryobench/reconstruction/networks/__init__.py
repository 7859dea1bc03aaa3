"""Networks of volumes and images, their training, and their tables of latents."""

from cryobench.reconstruction.networks.coordinate_network import CoordinateNetwork, NetworkShape, make_slice_encoder
from cryobench.reconstruction.networks.encoding import SliceEncoder, centred_points, encode_points
from cryobench.reconstruction.networks.image_encoder import ImageEncoder
from cryobench.reconstruction.networks.optimisers.adam import adam_tensors, make_adam
from cryobench.reconstruction.networks.optimisers.row_adam import AdamSettings, RowAdam
from cryobench.reconstruction.networks.optimisers.sparse_row_adam import SparseRowAdam
from cryobench.reconstruction.networks.prepared_images.real_space import RealSpaceBatch, RealSpaceImages, cut_middle
from cryobench.reconstruction.networks.prepared_images.spectra import NetworkBatch, NetworkImages
from cryobench.reconstruction.networks.residual import slice_residual, squared_residual
from cryobench.reconstruction.networks.spectrum import evaluate_slices, evaluate_spectrum
from cryobench.reconstruction.networks.template_decoder import TemplateDecoder, TemplateShape
from cryobench.reconstruction.networks.training import (
    TRAINED_BYTES,
    Training,
    check_sizes,
    open_images,
    open_training,
    seeded_weights,
)
from cryobench.reconstruction.networks.volume_encoder import LEAST_SIDE, VolumeEncoder

__all__ = [
    "LEAST_SIDE",
    "TRAINED_BYTES",
    "AdamSettings",
    "CoordinateNetwork",
    "ImageEncoder",
    "NetworkBatch",
    "NetworkImages",
    "NetworkShape",
    "RealSpaceBatch",
    "RealSpaceImages",
    "RowAdam",
    "SliceEncoder",
    "SparseRowAdam",
    "TemplateDecoder",
    "TemplateShape",
    "Training",
    "VolumeEncoder",
    "adam_tensors",
    "centred_points",
    "check_sizes",
    "cut_middle",
    "encode_points",
    "evaluate_slices",
    "evaluate_spectrum",
    "make_adam",
    "make_slice_encoder",
    "open_images",
    "open_training",
    "seeded_weights",
    "slice_residual",
    "squared_residual",
]
