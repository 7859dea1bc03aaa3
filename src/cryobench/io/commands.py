"""Settings as the command line takes them."""

import json
from collections.abc import Mapping
from typing import Any


def write_settings(settings: Mapping[str, Any]) -> list[str]:
    """Words ``--set NAME=VALUE`` of each setting, not quoted yet: values as JSON, but plain text as it is."""
    words = []
    for name, value in settings.items():
        plain = isinstance(value, str) and not _is_json(value)
        words += ["--set", f"{name}={value if plain else json.dumps(value, ensure_ascii=False)}"]
    return words


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True
