"""Named arrays in safetensors files: numbers only, each read on demand."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cryobench._errors import FormatError
from cryobench.io.atomic import write_bytes

SUFFIX = ".safetensors"


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, atomically. ValueError if one is not of numbers."""
    for name, values in arrays.items():
        if values.dtype.kind not in "fiub":
            raise ValueError(f"{path.name} holds arrays of numbers only, but {name!r} is of {values.dtype}.")
    write_bytes(path, save({name: np.asarray(values, order="C") for name, values in arrays.items()}))


def read_tensor(path: Path, name: str) -> np.ndarray:
    """One array, read-only. FormatError if the file is missing or damaged, or has no array of that name."""
    try:
        with safe_open(path, framework="np") as file:
            values = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise FormatError(f"{path} cannot be read as a file with a tensor named {name!r} ({error}).") from error
    values.flags.writeable = False
    return values
