"""``cryobench list``: the available names, and for one of them its settings, metric page or importer files."""

from collections.abc import Mapping
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cryobench._errors import UnknownName
from cryobench._registry import Entry, list_broken, list_names, load_named
from cryobench.cli.layout import plain_table

if TYPE_CHECKING:
    from cryobench.importers import Importer
    from cryobench.methods import Method
    from cryobench.metrics import Metric
    from cryobench.recipes import Recipe

_KINDS = ("recipes", "methods", "metrics", "importers")
_EXPLAINS = {"metrics": "explains one: formula, scores, limits", "importers": "lists the files it reads"}


def show_catalogue(kind: str | None, name: str | None) -> None:
    """Print the names of one kind or of all, or the card, settings or page of one name.

    A name given as the only argument is looked up in all kinds.
    """
    console = Console()
    if kind is None or (kind in _KINDS and name is None):
        for each in [kind] if kind else _KINDS:
            _print_names(console, each)
        return
    if kind in _KINDS and name is not None:
        _print_named(console, kind, name)
        return
    if name is not None:
        raise UnknownName("kind", kind, _KINDS)
    names = {each: list_names(*_registry(each)) for each in _KINDS}
    if not any(kind in listed for listed in names.values()):
        raise UnknownName("recipe, method, metric or importer", kind, [*_KINDS, *chain(*names.values())])
    for each in (each for each in _KINDS if kind in names[each]):
        console.print(f"[dim]{each}[/dim]", highlight=False)
        _print_named(console, each, kind)


def _registry(kind: str) -> tuple[Mapping[str, Entry], str, str]:
    """Entries of this package, entry-point group of others, and their base."""
    registry = import_module(f"cryobench.{kind}.registry")
    return getattr(registry, kind.upper()), registry.GROUP, registry.BASE


def _load(kind: str, name: str) -> Any:
    return load_named(kind.removesuffix("s"), name, *_registry(kind))


def _print_names(console: Console, kind: str) -> None:
    table = Table(title=kind, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("description")
    ours, group, base = _registry(kind)
    for name in list_names(ours, group, base):
        table.add_row(name, describe(kind, name))
    console.print(table)
    for name, reason in list_broken(ours, group, base).items():
        console.print(f"[red]{name}[/red]: {reason}", highlight=False)
    what = _EXPLAINS.get(kind, "shows its settings")
    console.print(f"[dim]cryobench list {kind} NAME {what}[/dim]\n", highlight=False)


def describe(kind: str, name: str) -> str:
    """Title of a recipe or importer, first line of a method's card, or question of a metric, as listed."""
    ours = _registry(kind)[0]
    if name not in ours:
        return describe_itself(kind, name)
    if kind == "metrics":
        from cryobench.metrics.registry import read_texts

        return read_texts(name)["question"]
    return ours[name].what


def describe_itself(kind: str, name: str) -> str:
    """The same from the object itself, which is imported."""
    found = _load(kind, name)
    if kind == "methods":
        return next(iter((found.__doc__ or "").strip().splitlines()), "")
    return found.question if kind == "metrics" else found.title


def _print_named(console: Console, kind: str, name: str) -> None:
    printers = {
        "recipes": _print_recipe,
        "methods": _print_method,
        "metrics": _print_metric,
        "importers": _print_importer,
    }
    printers[kind](console, name, _load(kind, name))


def _print_recipe(console: Console, name: str, recipe: "Recipe") -> None:
    console.print(f"[bold]{recipe.title}[/bold]\n\n{recipe.description}\n", highlight=False)
    facts = {
        "version": str(recipe.version),
        "heterogeneity": recipe.heterogeneity,
        "molecules": recipe.sources,
        "--structure": recipe.alternatives,
        "citation": recipe.citation,
    }
    for label, text in facts.items():
        if text:
            console.print(f"{label}: {escape(text)}", highlight=False)
    _print_settings(console, recipe.settings, {preset: dict(values) for preset, values in recipe.presets.items()})


def _print_method(console: Console, name: str, method: "type[Method]") -> None:
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


def _print_metric(console: Console, name: str, metric: "type[Metric]") -> None:
    from rich.markdown import Markdown

    from cryobench.metrics.documentation import KNOWN_TITLE, list_facts, list_sections

    console.print(f"[bold]{metric.label}[/bold]\n\n{metric.question}", highlight=False)
    table = plain_table("score", "range", "better", "over items")
    for kind in metric.scores:
        label, unit, reach, better, statistic = list_facts(kind)
        main = " [bold](main)[/bold]" if kind.main else ""
        named = f"{kind.name}{main}\n[dim]{escape(label)}{'' if unit == 'none' else f' / {escape(unit)}'}[/dim]"
        table.add_row(named, reach, better, statistic)
    for title, text in list_sections(metric).items():
        console.print(f"\n[bold]{title}[/bold]")
        if title == "Scores":
            console.print(table)
        elif title == KNOWN_TITLE:
            console.print(_lay_out_known_answers(metric))
        elif title == "Formula":
            console.print(text, markup=False, highlight=False)
        else:
            console.print(Markdown(text))


def _lay_out_known_answers(metric: "type[Metric]") -> Table:
    """Table with a row per answer and its main scores; the page under docs/metrics has all of them."""
    from cryobench.metrics.display import choose_main
    from cryobench.metrics.documentation import list_known_answers

    kinds, answers = list_known_answers(metric)
    main = {kind.name for kind in choose_main(kind.name for kind in kinds)}
    shown = [column for column, kind in enumerate(kinds) if kind.name in main]
    table = plain_table("answer")
    for column in shown:
        table.add_column(kinds[column].name, overflow="fold", justify="right")
    for answer, cells in answers.items():
        table.add_row(answer, *(cells[column] for column in shown))
    return table


def _print_importer(console: Console, name: str, importer: "type[Importer]") -> None:
    console.print(f"[bold]{importer.title}[/bold]\n", highlight=False)
    console.print(plain_table("files", "imported as", rows=importer.reads.items()))


def _print_settings(console: Console, settings: type[BaseModel], presets: dict[str, dict[str, Any]]) -> None:
    """Print a row per setting: default, description, and the presets that change it."""
    table = Table(title="settings (--set KEY=VALUE)", title_justify="left", box=None, pad_edge=False)
    table.add_column("key", overflow="fold", max_width=32)
    table.add_column("default", overflow="fold", max_width=16)
    table.add_column("description")
    for key, field in settings.model_fields.items():
        others = [f"{preset} {values[key]}" for preset, values in presets.items() if key in values]
        words = escape(field.description or "")
        if others:
            words += f"\n[dim]at {escape('; '.join(others))}[/dim]"
        table.add_row(escape(key), escape(str(field.default)), words)
    console.print(table)
