"""Alignments of the volumes of a run as one JSON file, reusable for other runs in the same frame.

    {"schema": 1, "mode": "reconstruction" | "class" | "volume", "why": ..., "key": ..., "alignments": [...]}

x_reference = R S x_volume + t, (x, y, z) in Å from voxel ``n // 2``, S reversing z if ``mirrored``: see
``volumes.Alignment``. A volume whose alignment is null keeps its position.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.io.atomic import read_json, write_json
from cryobench.io.formats.schemas import check_schema
from cryobench.volumes import Alignment

SCHEMA = 1
_NUMBERS = ("score", "other_hand_score", "pixel_size")


def save_alignments(path: Path, alignments: Sequence[Alignment | None], **entries: Any) -> None:
    """Write alignments, atomically, with further entries such as ``mode``."""
    convention = "x_reference = R S x_volume + t; (x, y, z) in Å from voxel n // 2; S reverses z or nothing"
    content = [None if each is None else describe_alignment(each) for each in alignments]
    write_json(path, {"schema": SCHEMA, "convention": convention, **entries, "alignments": content})


def load_alignments(path: Path) -> tuple[list[Alignment | None], dict[str, Any]]:
    """The alignments of a file, and its other entries.

    Raises
    ------
    FormatError
        If the file is missing or damaged, a newer version wrote it, or it holds something else.
    """
    content = read_json(path)
    check_schema(content, path, SCHEMA, "a file of alignments")
    try:
        # Volumes of one class have one alignment object, also when read back.
        known = {json.dumps(each): None if each is None else _read(each) for each in content["alignments"]}
        found = [known[json.dumps(each)] for each in content["alignments"]]
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} does not hold alignments ({error!r}). Make it again.") from error
    return found, {key: content[key] for key in content if key not in ("schema", "convention", "alignments")}


def describe_alignment(alignment: Alignment) -> dict[str, Any]:
    """All numbers of an alignment, as stored."""
    return {
        "rotation": alignment.rotation.tolist(),
        "shift": alignment.shift.tolist(),
        "mirrored": bool(alignment.mirrored),
        **{name: getattr(alignment, name) for name in _NUMBERS},
    }


def _read(entry: dict[str, Any]) -> Alignment:
    if not isinstance(entry["mirrored"], bool):
        raise ValueError(f"mirrored is {entry['mirrored']!r}")
    numbers = {name: None if entry[name] is None else float(entry[name]) for name in _NUMBERS}
    return Alignment(np.array(entry["rotation"]), np.array(entry["shift"]), entry["mirrored"], **numbers)  # type: ignore[arg-type]
