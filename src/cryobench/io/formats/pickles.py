"""Pickles of other programs, read without running any code they name, and written for old NumPy versions.

A pickle may name any function and have it called. Here only constructors of NumPy arrays and plain containers are
allowed; every other name is refused before it is looked up. NumPy 2 writes the module name ``numpy._core`` where
NumPy 1 wrote ``numpy.core``: both are read, and the old one, which both understand, is written.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.io.atomic import write_bytes

_PROTOCOL = 3
"""The newest protocol that names globals in plain text, which allows ``numpy._core`` to be renamed."""


_NDARRAY = object()
"""Placeholder for the class ``numpy.ndarray``, which a pickle may name but not call with an arbitrary shape."""


def _start_array(reconstruct: Callable[..., Any], kind: object, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """The empty array that a pickle then fills, and of which it must hold every byte."""
    if kind is not _NDARRAY or tuple(shape) != (0,):
        raise pickle.UnpicklingError(f"an array begins with the shape {shape!r}, expected (0,)")
    return reconstruct(np.ndarray, (0,), code)


def _array_builders() -> dict[tuple[str, str], Any]:
    """The functions that NumPy itself names in the pickle of an array, a data type and a scalar."""
    reconstruct: Callable[..., Any] = np.zeros(0).__reduce__()[0]  # type: ignore[assignment]
    scalar: Callable[..., Any] = np.float64(0).__reduce__()[0]  # type: ignore[assignment]
    from_buffer: Callable[..., Any] = np.zeros(1).__reduce_ex__(5)[0]  # type: ignore[assignment]
    known: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _NDARRAY,
        ("numpy", "dtype"): np.dtype,
        ("collections", "OrderedDict"): OrderedDict,
        ("_codecs", "encode"): _encode_latin1,
    }
    for core in ("numpy.core", "numpy._core"):
        known[f"{core}.multiarray", "_reconstruct"] = partial(_start_array, reconstruct)
        known[f"{core}.multiarray", "scalar"] = scalar
        known[f"{core}.numeric", "_frombuffer"] = from_buffer
    return known


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as spelled by protocols 0 to 2; other encodings are refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin1")


_KNOWN = _array_builders()


class _ArrayUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BufferedIOBase, path: Path) -> None:
        super().__init__(file, encoding="latin1")
        self._path = path

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _KNOWN[module_name, global_name]
        except KeyError:
            raise FormatError(
                f"{self._path} asks for {module_name}.{global_name}, which is refused: a pickle of arrays needs only"
                " NumPy's own constructors, and any other name could run code. Export the file as plain arrays."
            ) from None


def read_pickle(path: Path) -> Any:
    """The first object of a pickle made of arrays, numbers, strings, lists, tuples and dictionaries.

    Raises
    ------
    FormatError
        If the file is missing or not a pickle, or names anything but NumPy's array constructors; nothing is run.
    """
    return _load(path, several=False)[0]


def read_pickles(path: Path) -> list[Any]:
    """All objects of a file of one or more consecutive pickles. FormatError as ``read_pickle``."""
    return _load(path, several=True)


def _load(path: Path, *, several: bool) -> list[Any]:
    path = Path(path)
    try:
        with path.open("rb") as file:
            found = [_ArrayUnpickler(file, path).load()]
            while several and file.peek(1):
                found.append(_ArrayUnpickler(file, path).load())
            return found
    except FormatError:
        raise
    except FileNotFoundError:
        raise FormatError(f"{path} does not exist.") from None
    # A damaged pickle can fail in any way inside the unpickler.
    except Exception as error:
        raise FormatError(
            f"{path} cannot be read as a pickle of arrays ({type(error).__name__}: {error})."
        ) from error


def write_pickle(path: Path, *values: Any) -> None:
    """Pickle arrays and plain containers atomically, readable by NumPy 1 and 2, with reproducible bytes.

    Several are written one after the other, to be loaded one by one.
    """
    write_bytes(path, b"".join(map(_dump, values)))


def _dump(value: Any) -> bytes:
    data = pickle.dumps(value, protocol=_PROTOCOL)
    pieces, done = [], 0
    for operation, argument, position in pickletools.genops(data):
        if operation.name == "GLOBAL" and str(argument).startswith("numpy._core"):
            end = data.index(b"\n", data.index(b"\n", position) + 1) + 1
            pieces += [data[done:position], data[position:end].replace(b"numpy._core", b"numpy.core", 1)]
            done = end
    return b"".join([*pieces, data[done:]])
