"""The plan of a data set, on its card: the call that makes it. A folder is finished for one plan only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryobench._errors import FormatError
from cryobench.io.atomic import read_json


def is_finished(folder: Path, plan: Mapping[str, Any]) -> bool:
    """Whether this very data set is already complete; FormatError if the folder holds another."""
    card_path = folder / "dataset.json"
    if not card_path.exists():
        return False
    card = read_json(card_path)
    if differing := compare_plans(card.get("plan") or {}, plan):
        raise FormatError(
            f"{folder} holds another data set ({card.get('name')}; they differ in {differing}). Nothing was changed:"
            " choose another folder, or remove this one first."
        )
    return True


def compare_plans(found: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """Names of the entries that differ, with both values of names, numbers and versions; empty if none does."""
    return ", ".join(
        f"{key} ({found.get(key)} there, {plan[key]} here)" if isinstance(plan.get(key), (str, int)) else key
        for key in sorted({**found, **plan})
        if found.get(key) != plan.get(key)
    )
