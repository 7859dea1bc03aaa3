"""Settings and runs as command-line words."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MACHINE_SETTINGS = ("memory_gb",)
"""Settings of the first run records that have become options."""


def write_settings(settings: Mapping[str, Any]) -> list[str]:
    """Words ``--set NAME=VALUE`` for each setting, not yet quoted: values as JSON, plain text unchanged."""
    words = []
    for name, value in settings.items():
        plain = isinstance(value, str) and not _is_json(value)
        words += ["--set", f"{name}={value if plain else json.dumps(value, ensure_ascii=False)}"]
    return words


def compose_run(entries: Mapping[str, Any], folder: Path) -> str:
    """Command that repeats a run, from the entries of its record: as typed, or composed of them."""
    if isinstance(entries.get("command"), str):
        return entries["command"]
    dataset, settings = entries.get("dataset"), entries.get("settings")
    dataset = dataset if isinstance(dataset, dict) else {}
    settings = settings if isinstance(settings, dict) else {}
    source = dataset.get("path") or dataset.get("name") or "DATASET"
    words = ["cryobench", "run", str(entries.get("method") or "METHOD"), str(source), "-o", str(folder)]
    if entries.get("seed") is not None:
        words += ["--seed", str(entries["seed"])]
    kept = {name: value for name, value in settings.items() if name not in _MACHINE_SETTINGS}
    return shlex.join([*words, *write_settings(kept)])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True
