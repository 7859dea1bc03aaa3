"""Network weights under the names and in the order of cryoDRGN.

From checkpoints of cryoDRGN 4.3.1. A perceptron there is a list of layers and activations, numbered together:

    main.0      first layer          main.2, main.4, …      residual blocks      main.2 (n + 1)      last layer

A layer W x + b has ``weight`` and ``bias``; one that adds its input, W x + b + x, has ``linear.weight`` and
``linear.bias``, as every layer there whose input is as wide as its output. ``rand_freqs`` are the frequencies
of the encoding over half the box. The encoder takes the disc |k| ≤ D / 2 without its centre from the D + 1 rows of a
Hartley image, row by row from −D / 2, x fastest; ours takes the half-disc, then its Friedel mates.
"""

import re
from collections.abc import Mapping

import numpy as np

from cryobench.imaging.half_disc import HalfDisc


def name_decoder(weights: Mapping[str, np.ndarray], box_size: int, prefix: str = "") -> dict[str, np.ndarray]:
    """Weights of a ``CoordinateNetwork`` under cryoDRGN's names after ``prefix``."""
    frequencies = weights["frequencies"] / (box_size // 2)
    return {f"{prefix}rand_freqs": frequencies.astype(np.float32), **_name_layers(weights, f"{prefix}decoder.main.")}


def name_encoder(weights: Mapping[str, np.ndarray], box_size: int, prefix: str = "") -> dict[str, np.ndarray]:
    """Weights of an ``ImageEncoder`` under cryoDRGN's names after ``prefix``, with inputs in cryoDRGN's order."""
    order = order_pixels(box_size)
    first, width = weights["first.weight"], weights["first.bias"].shape[0]
    if first.shape[1] == width:  # the residual layer adds inputs to outputs of the same number, whatever their order
        first = first + np.eye(width, dtype=first.dtype)
    moved = first[:, order]
    return _name_layers({**weights, "first.weight": moved}, f"{prefix}main.")


def order_pixels(box_size: int) -> np.ndarray:
    """(m,) position of each pixel of cryoDRGN's disc in ours: half-disc without its centre, then Friedel mates."""
    x, y = HalfDisc(box_size, box_size // 2).frequencies[1:].T
    every = np.concatenate([np.stack([y, x]), -np.stack([y, x])], axis=1)
    return np.lexsort(every[::-1])


def count_blocks(weights: Mapping[str, np.ndarray]) -> int:
    """Number of residual blocks of a network with these weights."""
    return sum(name.startswith("blocks.") and name.endswith(".weight") for name in weights)


def _name_layers(weights: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """First and last layer as plain ones, W x + b, and the residual blocks between them."""
    n_blocks = count_blocks(weights)
    layers = ["first", *(f"blocks.{number}" for number in range(n_blocks)), "last"]
    named = {}
    for number, layer in enumerate(layers):
        weight, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
        adds = weight.shape[0] == weight.shape[1]
        if adds and layer in ("first", "last"):
            weight = weight - np.eye(len(weight), dtype=weight.dtype)
        position = f"{prefix}{2 * number}." + ("linear." if adds else "")
        named |= {f"{position}weight": weight, f"{position}bias": bias}
    return named


def read_decoder(named: Mapping[str, np.ndarray], box_size: int) -> dict[str, np.ndarray]:
    """Weights of a ``CoordinateNetwork`` from those of a perceptron and ``rand_freqs`` under cryoDRGN's names.

    Parameters
    ----------
    named
        ``rand_freqs`` and the layers, whose names end in ``main.N.weight`` and the like; others are ignored.
    box_size
        D of the images.

    Raises
    ------
    ValueError
        If there is no such perceptron, or no encoding by Gaussian frequencies.
    """
    frequencies = next((values for name, values in named.items() if name.endswith("rand_freqs")), None)
    if frequencies is None:
        raise ValueError("it has no frequencies of a Gaussian encoding (rand_freqs)")
    layers: dict[int, dict[str, np.ndarray]] = {}
    for name, values in named.items():
        found = re.search(r"main\.(\d+)\.(linear\.)?(weight|bias)$", name)
        if found:
            layer = layers.setdefault(int(found[1]), {})
            adds = found[2] is not None and found[3] == "weight"
            layer[found[3]] = np.asarray(values, dtype=np.float32)
            layer["adds"] = np.array(adds or bool(layer.get("adds", False)))
    if len(layers) < 2 or not all({"weight", "bias"} <= set(layer) for layer in layers.values()):
        raise ValueError("it has no perceptron of layers with weight and bias")
    order = sorted(layers)
    names = ["first", *(f"blocks.{number}" for number in range(len(order) - 2)), "last"]
    read = {"frequencies": np.asarray(frequencies, dtype=np.float32) * (box_size // 2)}
    for position, name in zip(order, names, strict=True):
        weight, adds = layers[position]["weight"], bool(layers[position]["adds"])
        if name in ("first", "last") and adds:
            weight = weight + np.eye(len(weight), dtype=weight.dtype)
        if name.startswith("blocks.") and not adds:
            raise ValueError("its hidden layers do not add their input (encode_mode or decoder of another kind)")
        read |= {f"{name}.weight": weight, f"{name}.bias": layers[position]["bias"]}
    return read
