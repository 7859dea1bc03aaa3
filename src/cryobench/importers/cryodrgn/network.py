"""Weights of jobs as our coordinate network: read by an unpickler that executes nothing, and renamed."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryobench._errors import FormatError
from cryobench.data import Dataset
from cryobench.importers.cryodrgn.job import Job, describe_value
from cryobench.io.programs.cryodrgn_weights import read_decoder
from cryobench.reconstruction.networks import NetworkShape


def read_weights(path: Path) -> Mapping[str, Any]:
    """A checkpoint, by PyTorch's unpickler of weights, which executes nothing: it knows tensors, and here arrays."""
    try:
        with torch.serialization.safe_globals(_array_globals()):
            found = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged or hostile file can fail in any way inside it.
    except Exception as error:
        raise FormatError(
            f"{path} cannot be read as weights ({type(error).__name__}): it is damaged, or refers to code that would "
            "have to be executed, which is refused."
        ) from error
    if not isinstance(found, Mapping) or "model_state_dict" not in found:
        raise FormatError(f"{path} holds {describe_value(found)}, expected weights with a model_state_dict.")
    return found


def _array_globals() -> list[Any]:
    """Globals in pickles of arrays, options and times; functions of NumPy by their names in versions 1 and 2."""
    rebuild: Any = np.zeros(0).__reduce__()[0]
    scalar: Any = np.float64(0).__reduce__()[0]
    named = [
        (function, f"{core}.multiarray.{name}")
        for core in ("numpy.core", "numpy._core")
        for function, name in ((rebuild, "_reconstruct"), (scalar, "scalar"))
    ]
    kinds = {type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "?")}
    return [*named, np.ndarray, np.dtype, *kinds, argparse.Namespace, datetime.datetime, datetime.timedelta]


def tensors_of(weights: Mapping[str, Any], name: str = "model_state_dict") -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in weights[name].items() if isinstance(value, torch.Tensor)}


def read_network(
    job: Job, weights: Mapping[str, Any], z_dim: int
) -> tuple[NetworkShape, float, dict[str, np.ndarray]]:
    assert job.weights is not None
    if "hypervolume_params" in weights:
        sizes = weights["hypervolume_params"]
        named, box = tensors_of(weights, "hypervolume_state_dict"), int(sizes["resolution"]) - 1
        domain, scale = sizes["domain"], job.entry("data_norm_std")
        if sizes.get("pe_type_conf") is not None:
            raise FormatError(f"{job.weights}: this network encodes latents (pe_type_conf), which is not supported.")
    else:
        side = job.entry("lattice_args", "D")
        if side is None:
            raise FormatError(f"{job.config} does not state the box of the network (lattice_args: D).")
        named, box = tensors_of(weights), int(side) - 1
        named = {name: values for name, values in named.items() if not name.startswith("encoder.")}
        domain = job.entry("model_args", "domain") or "fourier"
        norm = weights.get("norm") or job.entry("dataset_args", "norm")
        scale = None if norm is None else norm[1]
        kind = job.entry("model_args", "pe_type")
        if kind != "gaussian":
            raise FormatError(
                f"{job.config}: positions are encoded by {kind!r}, and only gaussian is supported (the default since "
                "cryoDRGN 1). Its latents can be imported alone: remove weights.N.pkl, or use import files."
            )
    if scale is None:
        raise FormatError(f"{job.config} does not state the scale of the images (norm), so volumes have no scale.")
    try:
        read = read_decoder(named, box)
    except ValueError as error:
        raise FormatError(f"{job.weights} is not a known network: {error}.") from error
    depth = sum(name.startswith("blocks.") and name.endswith(".weight") for name in read)
    width = len(read["first.bias"])
    shape = NetworkShape(box, z_dim, width, depth, domain, n_frequencies=len(read["frequencies"]) // 3)
    expected = 2 * shape.encoding_size + z_dim
    if read["first.weight"].shape != (width, expected):
        raise FormatError(
            f"{job.weights}: its first layer takes {read['first.weight'].shape[1]} numbers, expected {expected} for "
            f"latents of {z_dim} dimensions: weights and latents belong to different jobs."
        )
    return shape, float(scale), read


def check_box(shape: NetworkShape, dataset: Dataset, notes: list[str]) -> int | None:
    size = dataset.particles.box_size
    if shape.box_size > size:
        raise FormatError(
            f"the network is for images of {shape.box_size} px, and those of {dataset.name} have {size}: it was "
            "trained on other images."
        )
    if shape.box_size == size:
        return None
    notes.append(f"the network is for images cropped to {shape.box_size} px; volumes are padded to {size} px.")
    return shape.box_size
