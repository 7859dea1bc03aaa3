"""Colours and pictures: palettes, colour maps over arrays, and PNG files of them.

Palettes are from or similar to Okabe & Ito ("Color Universal Design", 2008), distinguishable by colour-blind readers.
"""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
NEUTRAL = "#8a8f98"
"""Colour of whatever belongs to no run, such as true volumes."""
CYCLIC = ("#7a44a8", "#3f8fd2", "#efe3b4", "#dd7430", "#7a44a8")
"""Violet, blue, sand, orange and back: distinguishable by colour-blind readers, visible on white and on black."""
DIVERGING = ("#0072B2", "#ffffff", "#D55E00")
"""Less in blue, more in vermilion; pictures on the page are transparent instead of white."""
SEQUENTIAL = (
    "#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
)  # fmt: skip
"""Ten colours of viridis (van der Walt & Smith, 2015)."""
DISCRETE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#808080", "#F0E442")
"""Colours of a few states."""


def rgb(colour: str) -> np.ndarray:
    """(3,) red, green and blue in [0, 1] of "#rrggbb"."""
    return np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255


def to_hex(colour: np.ndarray) -> str:
    """ "#rrggbb" of red, green and blue in [0, 1]; more channels are left out."""
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in colour[:3])


def map_colours(values: np.ndarray | float, colours: Sequence[str]) -> np.ndarray:
    """RGB (..., 3) of values in [0, 1] (clipped), linearly interpolated between evenly spaced colours."""
    values = np.clip(np.asarray(values, dtype=np.float64), 0, 1)
    stops = np.linspace(0, 1, len(colours))
    parts = np.stack([rgb(colour) for colour in colours], axis=-1)
    return np.stack([np.interp(values, stops, part) for part in parts], axis=-1)


def greys(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """A picture (y, x) from black (0) at ``low`` to white (1) at ``high``, flipped so that rows run downwards."""
    return np.clip((image[::-1] - low) / (high - low), 0, 1)


def colour_change(values: np.ndarray, limit: float) -> np.ndarray:
    """RGBA (..., 4) of a change: blue for less, vermilion for more, more transparent the smaller it is."""
    scaled = np.clip(values / limit, -1, 1)
    colours = np.where(scaled[..., None] < 0, rgb(DIVERGING[0]), rgb(DIVERGING[-1]))
    return np.concatenate([colours, np.abs(scaled)[..., None]], axis=-1)


def tint(shade: np.ndarray, colour: str) -> np.ndarray:
    """RGBA (..., 4) of a shaded picture in a colour, transparent where it is NaN."""
    seen = np.isfinite(shade)
    light = np.where(seen, shade, 0)[..., None]
    return np.concatenate([np.clip(rgb(colour) * light * 1.25 + 0.08 * light, 0, 1), seen[..., None]], axis=-1)


def encode_png(picture: np.ndarray) -> bytes:
    """PNG of a picture in [0, 1] whose first row is at the top: grey (y, x), RGB (y, x, 3) or RGBA (y, x, 4)."""
    buffer = BytesIO()
    Image.fromarray((255 * np.clip(picture, 0, 1)).round().astype(np.uint8)).save(buffer, format="png")
    return buffer.getvalue()


def png_link(picture: np.ndarray) -> str:
    """The picture as a data URI, for SVG files."""
    return f"data:image/png;base64,{b64encode(encode_png(picture)).decode('ascii')}"
