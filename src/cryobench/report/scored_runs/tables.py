"""Scores and run records as tables, from which the leaderboard, the forest plot and the FSC curves are drawn.

Pure functions from results to pandas tables in long form. Whatever was not measured is missing or NaN, never zero.
Intervals are those of the scores: 95 %, bootstrapped over their items, such as query particles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import pandas as pd

from cryobench.data import Finding, Reconstruction, RunRecord, Scores
from cryobench.methods.registry import find_control
from cryobench.metrics.display import count_censored

if TYPE_CHECKING:
    from cryobench.methods import Control

Kind = TypeVar("Kind", bound=Finding)

BAND = (10, 90)
"""Percentiles over query particles that bound the band around a mean curve."""


Group = Literal["given poses", "ab initio", "control"]
GROUPS: tuple[Group, ...] = ("given poses", "ab initio", "control")
"""Groups of runs on a leaderboard: runs with given poses are not ranked against those that estimate them."""


@dataclass(frozen=True, eq=False)
class Run:
    """One reconstruction with its scores and its name on the page."""

    label: str
    """Method name, with its seed, folder or number where several runs have the same one."""
    slug: str
    """For ids and file names: letters, digits and hyphens, unique on the page."""
    reconstruction: Reconstruction
    scores: Scores

    @property
    def record(self) -> RunRecord:
        """Run record."""
        return self.reconstruction.record

    @property
    def control(self) -> "type[Control] | None":
        """Class of the control, or None for a method."""
        return find_control(self.reconstruction.name)

    @property
    def role(self) -> str:
        """ "method", or the role of the control."""
        return self.control.role if self.control else "method"

    @property
    def group(self) -> Group:
        """Group in which it is ranked; controls are not ranked."""
        if self.control is not None:
            return "control"
        return "ab initio" if self.record.priors.poses == "estimated" else "given poses"

    @property
    def priors(self) -> str:
        """Its priors, in words, as far as they differ from those of its group; empty for a control."""
        priors = self.record.priors
        if self.control is not None:
            return ""
        said = ["whether poses were given is unknown"] if priors.poses == "unknown" else []
        said += [f"mask: {priors.mask}"] if priors.mask not in ("none", "data set", "unknown") else []
        said += [f"atomic model: {priors.atomic_model}"] if priors.atomic_model not in ("none", "unknown") else []
        return "; ".join(said)

    @property
    def status(self) -> str:
        """ "finished", "failed" or "running"."""
        return self.record.status

    @property
    def reason(self) -> str:
        """Why a failed run failed."""
        return self.record.error or "no reason recorded"

    def findings(self, kind: type[Kind]) -> list[Kind]:
        """Findings of a kind; a failed run has none."""
        found = () if self.status == "failed" else self.reconstruction.findings
        return [each for each in found if isinstance(each, kind)]

    def find(self, kind: type[Kind]) -> Kind | None:
        """The first finding of a kind, or None."""
        return next(iter(self.findings(kind)), None)


def name_runs(results: Sequence[tuple[Reconstruction, Scores]]) -> list[Run]:
    """Give each result a unique label and slug, in the order given.

    The label is the method's name; where several results have the same one, the seed, or else the name of the folder,
    is added if that distinguishes them, otherwise a number.
    """
    names = [reconstruction.name for reconstruction, _ in results]
    runs: list[Run] = []
    for position, (reconstruction, scores) in enumerate(results):
        label = names[position]
        if names.count(label) > 1:
            alike = [other for other, _ in results if other.name == label]
            seeds = [other.record.seed for other in alike]
            folders = [_folder_name(other) for other in alike]
            if len(set(seeds)) == len(seeds) and None not in seeds:
                label += f" (seed {reconstruction.record.seed})"
            elif len(set(folders)) == len(folders) and "" not in folders:
                label += f" ({_folder_name(reconstruction)})"
            else:
                label += f" ({names[: position + 1].count(label)})"
        letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in label.lower())
        slug = "-".join(part for part in letters.split("-") if part)
        runs.append(Run(label, f"{position + 1}-{slug}"[:60].rstrip("-"), reconstruction, scores))
    return runs


def _folder_name(reconstruction: Reconstruction) -> str:
    return "" if reconstruction.path is None else reconstruction.path.name


_COSTS = ("wall_seconds", "cpu_seconds", "gpu_seconds", "peak_memory_bytes", "peak_gpu_memory_bytes")


def run_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run: slug, run, role ("method" or that of the control), status, reason, times and memory."""
    rows = [
        {
            "slug": run.slug,
            "run": run.label,
            "role": run.role,
            "status": run.status,
            "reason": run.reason if run.status == "failed" else "",
            **{name: getattr(run.record.cost, name) for name in _COSTS},
        }
        for run in runs
    ]
    columns = ["slug", "run", "role", "status", "reason", *_COSTS]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_COSTS, float))


def score_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run and metric it was scored by.

    Columns: slug, run, role, metric, value, low, high, n, and never_crossed, the number of query particles whose
    curve stays above the threshold of a resolution (0 for other metrics). Failed runs have no rows.
    """
    columns = ["slug", "run", "role", "metric", "value", "low", "high", "n", "never_crossed"]
    rows = []
    for run in runs:
        if run.status == "failed":
            continue
        for metric, score in run.scores.scores.items():
            numbers = (float(score.value), float(score.low), float(score.high), int(score.n), count_censored(score))
            rows.append((run.slug, run.label, run.role, metric, *numbers))
    return pd.DataFrame(rows, columns=columns)


def reasons_missing(run: Run) -> dict[str, str]:
    """Metric name to the reason why it was not measured on a run."""
    found = run.scores.context.get("not_measured", {})
    return {str(metric): str(reason) for metric, reason in found.items()} if isinstance(found, Mapping) else {}


def curve_of(run: Run, name: str) -> pd.DataFrame | None:
    """Curve of a run's scores with its slug and label, or None if the run failed or has no such curve."""
    if run.status == "failed" or name not in run.scores.curves:
        return None
    return run.scores.curves[name].assign(slug=run.slug, run=run.label)


def gather_curve(runs: Sequence[Run], name: str) -> pd.DataFrame:
    """Concatenated curves of that name of all runs; empty if none has it."""
    parts = [table for run in runs if (table := curve_of(run, name)) is not None and len(table)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def gather_items(runs: Sequence[Run], score: str) -> pd.DataFrame:
    """Concatenated items of a score of all runs, with slug and run; empty if none has it."""
    parts = [
        run.scores.scores[score].items.assign(slug=run.slug, run=run.label)
        for run in runs
        if run.status != "failed" and score in run.scores.scores
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def by_run(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """(slug, rows) of every run in a table with slugs, in order of first appearance."""
    return [(slug, pd.DataFrame(table.loc[table["slug"] == slug])) for slug in dict.fromkeys(table["slug"])]


def column_of(table: pd.DataFrame, name: str) -> np.ndarray:
    """A column as floating-point numbers."""
    return np.asarray(table[name], dtype=np.float64)


CURVE_KINDS = {
    "mask": "in the mask",
    "none": "whole box",
    "deviation-mask": "deviations, in the mask",
    "deviation-none": "deviations, whole box",
    "variance": "where states differ",
}
"""FSC curves: name in the tables to label, in order of display. Deviations are from the mean volume."""


def fsc_curves(runs: Sequence[Run]) -> pd.DataFrame:
    """FSC of every query particle: columns slug, run, particle, mask (of ``CURVE_KINDS``), shell, frequency, fsc."""
    columns = ["slug", "run", "particle", "mask", "shell", "frequency", "fsc"]
    parts = []
    for name, prefix in (("fsc", ""), ("deviation-fsc", "deviation-"), ("variance-fsc", "")):
        table = gather_curve(runs, name)
        if len(table):
            parts.append(table.assign(mask=prefix + table["mask"].astype(str)).reindex(columns=columns))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def summarise_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean and band (``BAND``) over query particles: slug, run, mask, shell, frequency, mean, low, high, n."""
    keys = ["slug", "run", "mask", "shell", "frequency"]
    if curves.empty:
        return pd.DataFrame(columns=[*keys, "mean", "low", "high", "n"])
    groups = curves.groupby(keys, sort=False)["fsc"]
    parts = {
        "mean": groups.mean(),
        "low": groups.quantile(BAND[0] / 100),
        "high": groups.quantile(BAND[1] / 100),
        "n": groups.count(),
    }
    return pd.DataFrame(parts).reset_index()
