"""All methods on all recipes, at the laptop preset and the lite size, into tables of docs/results.md, by one command.

python benchmarks/all_methods.py [--work DIR] [--recipes ...] [--methods ...] [--write]

Hours on two cores. It may be stopped at any time: an interrupted run resumes, and finished cells are
kept in ``results/all_methods.json``, which is part of the repository, so that other cells can be added
later. Missing cells are named in the tables. --write puts the tables into docs/results.md; without
--recipes and --methods everything missing is run, with an empty --recipes nothing.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cells import Cell, Cells, markdown_table, pack_scores
from cryobench.io.store import read_run_record
from cryobench.methods import METHODS, Control, get_method
from cryobench.recipes import RECIPES
from cryobench.runs.score import score_run
from machine import describe_machine

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "results.md"
HEAD = """## All methods on all recipes
`python benchmarks/all_methods.py --write` fills these tables: presets `laptop` and `lite`, seed 1, the molecules
of the recipes. A cell that is `missing` has not been computed yet; `-` is a score that has no meaning there.
"""
_PERCENT = 2.0
"""Value from which a score is shown with one decimal."""
BEGIN, END = "<!-- made by benchmarks/all_methods.py: begin -->", "<!-- made by benchmarks/all_methods.py: end -->"
SHOWN = {
    "deviation-fsc-auc-normalised-masked": "Deviation FSC-AUC, normalised, in the mask (1 is best, consensus 0)",
    "fsc-auc-masked": "FSC-AUC in the mask, cycles/px",
    "neighbourhood-similarity-area": "Neighbourhood similarity, mean over radii, %",
    "imbalance-latent-to-truth": "Information imbalance, latent to truth (0 is best, 1 is no knowledge)",
    "rotation-error-median": "Rotation error of poses found, median, degrees (132 is no knowledge)",
}


def make_dataset(folder: Path, recipe: str) -> Path:
    """The recipe at lite; what is there is kept."""
    command = [sys.executable, "-m", "cryobench", "simulate", recipe, "--preset", "lite", "-o", str(folder)]
    subprocess.run([*command, "--seed", "1"], check=True, stdout=subprocess.DEVNULL)
    return folder


def make_cell(work: Path, recipe: str, method: str) -> Cell:
    """Run and score by the package's own verbs."""
    dataset = make_dataset(work / recipe / "data", recipe)
    folder = work / recipe / method
    preset = [] if issubclass(get_method(method), Control) else ["--preset", "laptop"]
    command = [sys.executable, "-m", "cryobench", "run", method, str(dataset), "-o", str(folder), "--device", "cpu"]
    done = subprocess.run([*command, *preset], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode and issubclass(get_method(method), Control) and not folder.exists():
        return {"scores": {}, "refused": done.stderr.strip().splitlines()[-1]}
    if done.returncode:  # interrupted, killed, or a fault: the cell stays missing
        raise SystemExit(f"{method} on {recipe} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    scores = score_run(folder)[1].scores
    cost = read_run_record(folder).cost
    return {
        "scores": pack_scores(scores, SHOWN),
        "cpu_seconds": round(cost.cpu_seconds or 0),
        "peak_gib": round((cost.peak_memory_bytes or 0) / 2**30, 1),
        "machine": describe_machine(),
    }


def write_tables(cells: Cells, recipes: Sequence[str], methods: Sequence[str]) -> str:
    """A table of every score, methods by recipes, and one of costs; what found its own poses comes last."""
    parts = []
    methods = sorted(methods, key=lambda method: get_method(method).poses == "estimated")
    names = {
        method: f"`{method}`" + (" (own poses)" if get_method(method).poses == "estimated" else "")
        for method in methods
    }
    begun = [method for method in methods if any(cells.get(recipe, method) for recipe in recipes)]
    for key, title in SHOWN.items():
        rows = [[names[method], *(_show(cells.get(recipe, method), key) for recipe in recipes)] for method in begun]
        rows = [row for row in rows if set(row[1:]) - {"missing", "-"}]
        if rows:
            parts.append(f"**{title}**\n\n{markdown_table(['', *recipes], rows)}")
    rows = [[names[method], *(_show_cost(cells.get(recipe, method)) for recipe in recipes)] for method in begun]
    parts.append(f"**CPU time and peak memory**\n\n{markdown_table(['', *recipes], rows)}")
    if len(begun) < len(methods):
        parts.append("Not computed yet: " + ", ".join(names[each] for each in methods if each not in begun) + ".")
    return "\n\n".join(parts)


def _show(cell: Cell | None, key: str) -> str:
    if cell is None:
        return "missing"
    if key not in cell["scores"]:
        return "-"
    value, low, high = cell["scores"][key]
    decimals = 3 if abs(value) < _PERCENT else 1
    words = [f"{each:.{decimals}f}" for each in (value, low, high) if each is not None]
    return words[0] if low is None else f"{words[0]} [{words[1]}, {words[2]}]"


def _show_cost(cell: Cell | None) -> str:
    if cell is None:
        return "missing"
    if "refused" in cell:
        return "no meaning there"
    return f"{cell['cpu_seconds'] / 60:.1f} min, {cell['peak_gib']} GiB"


def main() -> None:
    recipes, methods = [name for name in RECIPES if name != "custom"], list(METHODS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("all-methods"))
    parser.add_argument("--recipes", nargs="*", default=recipes, choices=recipes)
    parser.add_argument("--methods", nargs="*", default=methods, choices=methods)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "all_methods.json")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/results.md")
    options = parser.parse_args()
    cells = Cells(options.results)
    for method in options.methods:
        for recipe in options.recipes:
            cells.fill((recipe, method), partial(make_cell, options.work, recipe, method))
    tables = write_tables(cells, recipes, methods)
    print(tables)
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{HEAD}\n{tables}\n{END}{after}")


if __name__ == "__main__":
    main()
