"""Parsing of command-line values."""

import json
from typing import Any

_MANY = ("--structure", "--weights")
"""Options that take several values."""


def parse_settings(pairs: list[str] | None) -> dict[str, Any]:
    """Dictionary of KEY=VALUE pairs; values are parsed as JSON if they are valid JSON, else kept as text."""
    settings: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"--set expects KEY=VALUE, got {pair!r}.")
        try:
            settings[key.strip()] = json.loads(text)
        except json.JSONDecodeError:
            settings[key.strip()] = text
    return settings


def parse_sweep(text: str | None) -> tuple[str | None, list[Any]]:
    """Name of a setting and its values from KEY=VALUE,VALUE,..., parsed as in ``parse_settings``."""
    if text is None:
        return None, []
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values:
        raise ValueError(f"--vary expects KEY=VALUE,VALUE,..., got {text!r}.")
    pairs = [f"value={value.strip()}" for value in values.split(",")]
    return key.strip(), [parse_settings([pair])["value"] for pair in pairs]


def parse_range(text: str | None) -> tuple[int, int] | None:
    """The two integers of FIRST:STOP."""
    if text is None:
        return None
    first, colon, stop = text.partition(":")
    if not (colon and first.isdecimal() and stop.isdecimal()):
        raise ValueError(f"--particles expects FIRST:STOP, two whole numbers, got {text!r}.")
    return int(first), int(stop)


def spread_values(arguments: list[str]) -> list[str]:
    """Arguments with ``--structure a b`` expanded to ``--structure a --structure b``.

    All arguments up to the next option are its values, so the recipe's name must come first.
    """
    spread: list[str] = []
    option, expected = "", False
    for argument in arguments:
        if argument.startswith("-") and not _is_number(argument):
            option, expected = (argument if argument in _MANY else ""), True
        elif option and not expected:
            spread.append(option)
        else:
            expected = False
        spread.append(argument)
    return spread


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
