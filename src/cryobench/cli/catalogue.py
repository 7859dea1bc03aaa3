"""``cryobench list``: what there is, and of one: settings, the page of a metric, files of an importer."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from cryobench._errors import UnknownName
from cryobench._registry import Entry, list_broken, list_names

_KINDS = ("recipes", "methods", "metrics", "importers")
_EXPLAINS = {"metrics": "explains one: formula, scores, limits", "importers": "says which files it reads"}


def show_catalogue(kind: str | None, name: str | None) -> None:
    """Print the names of a kind (or of all), or the card and settings, or the page, of one."""
    if kind is not None and kind not in _KINDS:
        raise UnknownName("kind of thing to list", kind, _KINDS)
    console = Console()
    if name is None:
        for each in [kind] if kind else _KINDS:
            _print_names(console, each)
        return
    printers = {"recipes": _print_recipe, "methods": _print_method, "metrics": _print_metric}
    printers["importers"] = _print_importer
    printers[str(kind)](console, name)


def _print_names(console: Console, kind: str) -> None:
    table = Table(title=kind, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is")
    folder = import_module(f"cryobench.{kind}")
    ours: Mapping[str, Entry] = getattr(folder, kind.upper())
    for name in list_names(ours, folder.GROUP, folder.BASE):
        table.add_row(name, ours[name].what if name in ours else describe(kind, name))
    console.print(table)
    for name, reason in list_broken(ours, folder.GROUP, folder.BASE).items():
        console.print(f"[red]{name}[/red]: {reason}", highlight=False)
    what = _EXPLAINS.get(kind, "shows its settings")
    console.print(f"[dim]cryobench list {kind} NAME {what}[/dim]\n", highlight=False)


def describe(kind: str, name: str) -> str:
    """The line by which a recipe or an importer (its title), a method (first of its card) or a metric is listed."""
    if kind == "recipes":
        from cryobench.recipes import get_recipe

        return get_recipe(name).title
    if kind == "methods":
        from cryobench.methods import get_method

        return next(iter((get_method(name).__doc__ or "").strip().splitlines()), "")
    if kind == "importers":
        from cryobench.importers import get_importer

        return get_importer(name).title
    from cryobench.metrics import get_metric

    return get_metric(name).label


def _print_recipe(console: Console, name: str) -> None:
    from cryobench.recipes import get_recipe

    recipe = get_recipe(name)
    console.print(f"[bold]{recipe.title}[/bold]\n\n{recipe.description}\n", highlight=False)
    for label in ("heterogeneity", "sources", "citation"):
        console.print(f"{label}: {getattr(recipe, label)}", highlight=False)
    _print_settings(console, recipe.settings, {preset: dict(values) for preset, values in recipe.presets.items()})


def _print_method(console: Console, name: str) -> None:
    from cryobench.methods import get_method

    method = get_method(name)
    console.print(
        f"[bold]{name}[/bold] (poses {method.poses})\n\n{(method.__doc__ or '').strip()}\n", highlight=False
    )
    for preset, values in method.presets.items():
        console.print(f"--preset {preset}: {values.source}", highlight=False)
    presets = {preset: dict(values.settings) for preset, values in method.presets.items()}
    for preset, values in method.presets.items():
        for recipe, changes in values.by_recipe.items():
            presets.setdefault(f"{preset}, {recipe}", dict(changes))
    _print_settings(console, method.Settings, presets)


def _print_metric(console: Console, name: str) -> None:
    from rich.markdown import Markdown

    from cryobench.metrics import get_metric
    from cryobench.metrics.pages import list_facts, list_sections

    metric = get_metric(name)
    console.print(f"[bold]{metric.label}[/bold]\n\n{metric.question}", highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("score", no_wrap=True)
    for column in ("what", "unit", "range", "better", "over items"):
        table.add_column(column)
    for kind in metric.scores:
        table.add_row(kind.name, *list_facts(kind))
    for title, text in list_sections(metric).items():
        console.print(f"\n[bold]{title}[/bold]")
        if title == "Scores":
            console.print(table)
        elif title == "Formula":
            console.print(text, markup=False, highlight=False)
        else:
            console.print(Markdown(text))


def _print_importer(console: Console, name: str) -> None:
    from cryobench.importers import get_importer

    importer = get_importer(name)
    console.print(f"[bold]{importer.title}[/bold]\n", highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("files")
    table.add_column("what is taken")
    for files, what in importer.reads.items():
        table.add_row(files, what)
    console.print(table)


def _print_settings(console: Console, settings: type[BaseModel], presets: dict[str, dict[str, Any]]) -> None:
    table = Table(title="settings (--set KEY=VALUE)", title_justify="left", box=None, pad_edge=False)
    table.add_column("key", no_wrap=True)
    table.add_column("default")
    for preset in presets:
        table.add_column(preset)
    table.add_column("what it is")
    for key, field in settings.model_fields.items():
        at_presets = [str(values.get(key, "")) for values in presets.values()]
        table.add_row(key, str(field.default), *at_presets, field.description or "")
    console.print(table)
