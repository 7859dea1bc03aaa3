"""Short representations of values: a line for each part, arrays by type and shape, as a table in notebooks."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

_MOST_LINES = 17
_MOST_CHARACTERS = 100


class Displayed:
    """A dataclass, decorated with repr=False, that shows itself in fewer than twenty lines whatever it holds."""

    def _headline(self) -> str:
        return type(self).__name__

    def describe(self) -> list[tuple[str, str]]:
        """Name and text of each line; parts that are None or empty are left out."""
        found = ((field.name, _write(getattr(self, field.name))) for field in fields(self))  # pyright: ignore
        return [(name, text) for name, text in found if text]

    def __repr__(self) -> str:
        lines = self.describe()
        width = max((len(name) for name, _ in lines), default=0)
        written = [f"  {name:{width}}  {text}" for name, text in lines[:_MOST_LINES]]
        if len(lines) > _MOST_LINES:
            written.append(f"  and {len(lines) - _MOST_LINES} more")
        return "\n".join([self._headline(), *written])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(text)}</td></tr>'
            for name, text in self.describe()
        )
        return f"<table><caption>{escape(self._headline())}</caption><tbody>{rows}</tbody></table>"


def _write(value: Any) -> str:
    """A value in at most a line; empty for nothing."""
    if value is None:
        return ""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} {tuple(value.shape)}" if value.shape else f"{value}"
    if hasattr(value, "columns") and hasattr(value, "index"):
        return _cut(f"table of {len(value):,} rows: {', '.join(map(str, value.columns))}")
    if isinstance(value, Mapping):
        return _cut(f"{len(value):,}: {', '.join(map(str, value))}") if value else ""
    if isinstance(value, (tuple, list)) and any(is_dataclass(each) for each in value):
        return _cut(", ".join(type(each).__name__ for each in value))
    if isinstance(value, Displayed):
        inner = "; ".join(f"{name} {text}" for name, text in value.describe())
        return _cut(f"{type(value).__name__}: {inner}")
    if isinstance(value, (tuple, list)) and not value:
        return ""
    if isinstance(value, (str, int, float, tuple, list)):
        return _cut(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
    if hasattr(value, "__len__"):
        return f"{type(value).__name__} of {len(value):,}"
    return _cut(str(value).splitlines()[0] if str(value) else "")


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
