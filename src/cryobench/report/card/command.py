"""Command that recreates a simulated data set, and the settings it was made with, from the card's plan."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from cryobench._errors import UnknownName
from cryobench.atoms.entries import find_entry
from cryobench.io.folders.commands import write_settings
from cryobench.recipes.recipe import Recipe, SimulationSettings
from cryobench.recipes.registry import get_recipe

Setting = tuple[str, Any, Any, str]
"""Name, value, default, description."""


def make_command(card: Mapping[str, Any]) -> str | None:
    """Command line that makes the same data set again, or None.

    None for data that were not simulated, or were simulated with a version of the recipe that this package no longer
    has. Only settings that differ from those of the preset are given. Files are named without their folder, so they
    must be in the current one. The recipe's own structures are not named.
    """
    plan = card.get("plan")
    if not isinstance(plan, Mapping) or "recipe" not in plan:
        return None
    recipe = find_recipe(plan)
    if recipe is not None and plan.get("recipe_version", recipe.version) != recipe.version:
        return None
    words = ["cryobench", "simulate", str(plan["recipe"]), "-o", str(card.get("name") or plan["recipe"])]
    if plan.get("preset"):
        words += ["--preset", str(plan["preset"])]
    structures = plan.get("structures") or []
    if recipe is None or [each["sha256"] for each in structures] != [find_entry(e).sha256 for e in recipe.entries]:
        words += [word for each in structures for word in ("--structure", str(each["name"]))]
    words += ["--seed", str(plan.get("seed", 0))]
    if plan.get("particles"):
        words += ["--particles", ":".join(map(str, plan["particles"]))]
    return shlex.join([*words, *write_settings(_changed(plan))])


def changed_settings(card: Mapping[str, Any]) -> list[Setting]:
    """Settings of a simulated data set that differ from their defaults, in the order of the settings."""
    plan = card.get("plan")
    if not isinstance(plan, Mapping) or not isinstance(plan.get("settings"), Mapping):
        return []
    recipe = find_recipe(plan)
    fields = (SimulationSettings if recipe is None else recipe.settings).model_fields
    rows: list[Setting] = []
    for name, value in plan["settings"].items():
        field = fields.get(name)
        default = None if field is None else _plain(field.get_default(call_default_factory=True, validated_data={}))
        if field is None or _plain(value) != default:
            rows.append((name, value, default, "" if field is None else field.description or ""))
    return rows


def _changed(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the plan that differ from its preset; all of them if this package lacks the recipe."""
    settings = dict(plan.get("settings") or {})
    recipe = find_recipe(plan)
    if recipe is None or plan.get("preset") not in recipe.presets:
        return settings
    preset = recipe.settings.model_validate(dict(recipe.presets[plan["preset"]])).model_dump(mode="json")
    return {name: value for name, value in settings.items() if name not in preset or _plain(value) != preset[name]}


def find_recipe(plan: Mapping[str, Any]) -> Recipe | None:
    """Recipe named by a plan, or None if this package lacks it."""
    try:
        return get_recipe(str(plan["recipe"]))
    except UnknownName:
        return None


def _plain(value: Any) -> Any:
    """The value after a round trip through JSON: tuples become lists."""
    return json.loads(json.dumps(value, default=str))
