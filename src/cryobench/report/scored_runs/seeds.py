"""Scores over seeds: mean and standard deviation of runs that differ only in their seed.

The intervals of scores are over query particles or particles of one run. How much a method varies when it is run
again shows only here.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from cryobench.metrics.display import choose_main
from cryobench.metrics.metric import ScoreKind
from cryobench.report.scored_runs.tables import Run


@dataclass(frozen=True)
class SeedSpread:
    """A score of a method over its seeds."""

    kind: ScoreKind
    values: tuple[float, ...]
    """One for each seed."""

    @property
    def text(self) -> str:
        """Mean and sample standard deviation."""
        mean, deviation = np.mean(self.values), np.std(self.values, ddof=1)
        return f"{self.kind.write(float(mean))} ± {self.kind.write(float(deviation))}"


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ only in their seed, at least two."""

    method: str
    seeds: tuple[int, ...]
    spreads: tuple[SeedSpread, ...]
    """Of the main scores that all of them have."""


def group_seeds(runs: Sequence[Run]) -> list[SeedGroup]:
    """Groups of finished runs of one method, data set, settings, inputs and version but different seeds."""
    found: dict[str, dict[int, Run]] = {}
    for run in runs:
        if run.status == "finished" and run.record.seed is not None:
            found.setdefault(_identify(run), {})[run.record.seed] = run
    groups = []
    for alike in found.values():
        members = [alike[seed] for seed in sorted(alike)]
        shared = set.intersection(*(set(run.scores.scores) for run in members))
        spreads = tuple(
            SeedSpread(kind, values)
            for kind in choose_main(shared)
            if np.isfinite(values := tuple(float(run.scores.scores[kind.name].value) for run in members)).all()
        )
        if len(members) > 1 and spreads:
            groups.append(SeedGroup(members[0].reconstruction.name, tuple(sorted(alike)), spreads))
    return groups


def tabulate_seeds(groups: Sequence[SeedGroup]) -> list[tuple[ScoreKind, list[str]]]:
    """A row for each score: its kind, and the text of each group, "–" for one that lacks it."""
    kinds = {each.kind.name: each.kind for group in groups for each in group.spreads}
    texts = [{each.kind.name: each.text for each in group.spreads} for group in groups]
    return [(kind, [own.get(name, "–") for own in texts]) for name, kind in kinds.items()]


def _identify(run: Run) -> str:
    record = run.record
    dataset = record.dataset.sha256 or record.dataset.path
    same = (record.method, dict(record.settings), dataset, asdict(record.priors), record.version)
    return json.dumps(same, sort_keys=True, default=str)
