"""Scores and run records as tables: what the leaderboard, the forest plot and the FSC curves are drawn from.

Pure functions from results to pandas tables in long form. What was not measured is absent or NaN, never zero.
Intervals are those of the scores: 95 %, bootstrapped over the query particles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from cryobench.data import Reconstruction, Scores
from cryobench.metrics.registry import get_metric, list_metrics

BAND = (10, 90)
"""Percentiles over query particles between which the band around a mean curve lies."""


@dataclass(frozen=True)
class Control:
    """What a control method is, and what its score tells."""

    role: Literal["ceiling", "floor", "reference"]
    tells: str


CONTROLS: dict[str, Control] = {
    "truth": Control("ceiling", "The true volumes themselves. No run can score higher; if this is not perfect, "
                     "the files or the metric are wrong."),
    "truth-backprojection": Control(
        "reference", "Images back-projected state by state with the true labels and poses: what a perfect "
        "classifier gets from these images. A state with few images is noisy, so this is no ceiling."),
    "consensus": Control(
        "reference", "One map from all images, the same for every particle: it knows nothing of the heterogeneity. "
        "A run that does not beat it has not shown that it resolves motion."),
    "shuffled-truth": Control(
        "floor", "Back-projection with the labels shuffled: right shape on average, wrong particles in every class."),
    "random-latent": Control(
        "floor", "Latents drawn at random: conformation and particle are unrelated. A floor for latents only: its "
        "volumes are those of consensus."),
}  # fmt: skip
"""The methods that see the truth, by name."""


@dataclass(frozen=True)
class MetricText:
    """How a metric is written in tables and on axes."""

    title: str
    unit: str = ""
    decimals: int = 3
    lower_is_better: bool = False


METRIC_TEXTS: dict[str, MetricText] = {
    "fsc-auc-normalised-masked": MetricText("FSC-AUC in the mask, perfect = 1"),
    "fsc-auc-normalised": MetricText("FSC-AUC of the whole box, perfect = 1"),
    "fsc-auc-masked": MetricText("FSC-AUC in the mask, as published", "cycles/px"),
    "fsc-auc": MetricText("FSC-AUC of the whole box, as published", "cycles/px"),
    "resolution-0.5-masked": MetricText("Resolution at FSC 0.5 in the mask", "Å", 1, lower_is_better=True),
    "resolution-0.5": MetricText("Resolution at FSC 0.5, whole box", "Å", 1, lower_is_better=True),
    "resolution-0.143-masked": MetricText("Resolution at FSC 0.143 in the mask", "Å", 1, lower_is_better=True),
    "resolution-0.143": MetricText("Resolution at FSC 0.143, whole box", "Å", 1, lower_is_better=True),
}
"""Known metrics in the order of display; any other is shown under its own name after these."""


def describe_metric(metric: str) -> MetricText:
    """Words for a metric: those above, else what the metric says of itself, else its name."""
    return METRIC_TEXTS.get(metric) or _registered_texts().get(metric) or MetricText(metric.replace("-", " "))


@cache
def _registered_texts() -> dict[str, MetricText]:
    kinds = [kind for name in list_metrics() for kind in get_metric(name).scores]
    return {kind.name: MetricText(kind.label, kind.unit, lower_is_better=kind.better == "lower") for kind in kinds}


@dataclass(frozen=True, eq=False)
class Run:
    """One reconstruction under the name it carries on the page."""

    label: str
    """Method name, numbered or with its seed where several runs share it."""
    slug: str
    """For ids and file names: letters, digits and hyphens, unique on the page."""
    reconstruction: Reconstruction
    scores: Scores

    @property
    def record(self) -> Mapping[str, Any]:
        """Run record."""
        return self.reconstruction.record

    @property
    def control(self) -> Control | None:
        """What control it is, if it is one."""
        return CONTROLS.get(self.reconstruction.name)

    @property
    def status(self) -> str:
        """ "finished", "failed" or "running"; finished where the record does not say."""
        return str(self.record.get("status", "finished"))

    @property
    def reason(self) -> str:
        """Why a failed run failed."""
        return str(self.record.get("error") or "no reason recorded")


def name_runs(results: Sequence[tuple[Reconstruction, Scores]]) -> list[Run]:
    """Give each result a label and a slug that no other on the page has, in the order given."""
    names = [reconstruction.name for reconstruction, _ in results]
    runs: list[Run] = []
    for position, (reconstruction, scores) in enumerate(results):
        label = names[position]
        if names.count(label) > 1:
            seeds = [other.record.get("seed") for other, _ in results if other.name == label]
            seed = reconstruction.record.get("seed")
            told_apart = seed is not None and seeds.count(seed) == 1
            label += f" (seed {seed})" if told_apart else f" ({names[: position + 1].count(label)})"
        letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in label.lower())
        slug = "-".join(part for part in letters.split("-") if part)
        runs.append(Run(label, f"{position + 1}-{slug}"[:60].rstrip("-"), reconstruction, scores))
    return runs


def run_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run: slug, run, role ("method" or that of the control), status, reason, times and memory."""
    rows = [
        {
            "slug": run.slug,
            "run": run.label,
            "role": run.control.role if run.control else "method",
            "status": run.status,
            "reason": run.reason if run.status == "failed" else "",
            "wall_seconds": _number(run.record.get("wall_seconds")),
            "cpu_seconds": _number(run.record.get("cpu_seconds")),
            "peak_memory_bytes": _number(run.record.get("peak_memory_bytes")),
        }
        for run in runs
    ]
    columns = ["slug", "run", "role", "status", "reason", "wall_seconds", "cpu_seconds", "peak_memory_bytes"]
    return pd.DataFrame(rows, columns=columns)


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
        role = run.control.role if run.control else "method"
        for metric, score in run.scores.scores.items():
            crossed = score.items.get("crossed")
            never = 0 if crossed is None else int((~crossed.astype(bool)).sum())
            numbers = (float(score.value), float(score.low), float(score.high), int(score.n), never)
            rows.append((run.slug, run.label, role, metric, *numbers))
    return pd.DataFrame(rows, columns=columns)


def order_metrics(scores: pd.DataFrame) -> list[str]:
    """The metrics of a score table, known ones first and in their order."""
    measured = list(dict.fromkeys(scores["metric"]))
    return [name for name in METRIC_TEXTS if name in measured] + [n for n in measured if n not in METRIC_TEXTS]


def rank_runs(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Rank of every method (not control) by a metric, with ties: index slug, columns first, last.

    ``first`` counts the methods whose interval lies wholly on the better side, plus one; ``last`` leaves out those
    wholly on the worse side. Methods whose intervals overlap thus share ranks.
    """
    rows = scores.query("metric == @metric and role == 'method' and value == value")
    sign = -1.0 if describe_metric(metric).lower_is_better else 1.0
    value = sign * rows["value"].to_numpy(float)
    ends = sign * rows[["low", "high"]].to_numpy(float)
    ends = np.where(np.isfinite(ends).all(axis=1, keepdims=True), ends, value[:, None])
    low, high = ends.min(axis=1), ends.max(axis=1)
    better = (low[None, :] > high[:, None]).sum(axis=1)
    worse = (high[None, :] < low[:, None]).sum(axis=1)
    return pd.DataFrame({"first": better + 1, "last": len(rows) - worse}, index=pd.Index(rows["slug"], name="slug"))


def fsc_curves(runs: Sequence[Run]) -> pd.DataFrame:
    """FSC of every query particle: columns slug, run, particle, mask ("none" or "mask"), shell, frequency, fsc."""
    columns = ["slug", "run", "particle", "mask", "shell", "frequency", "fsc"]
    parts = [
        run.scores.curves["fsc"].assign(slug=run.slug, run=run.label).reindex(columns=columns)
        for run in runs
        if "fsc" in run.scores.curves and run.status != "failed" and len(run.scores.curves["fsc"])
    ]
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


def consensus_beats_labels(scores: pd.DataFrame) -> bool:
    """Whether here the consensus scores above back-projection by the true labels, in the mask or without."""
    for metric in ("fsc-auc-normalised-masked", "fsc-auc-normalised"):
        rows = scores[scores["metric"] == metric]
        values = dict(zip(rows["run"], rows["value"], strict=True))
        if values.get("consensus", -np.inf) > values.get("truth-backprojection", np.inf):
            return True
    return False


def _number(value: Any) -> float:
    """A recorded number, NaN where there is none."""
    return float("nan") if value is None else float(value)
