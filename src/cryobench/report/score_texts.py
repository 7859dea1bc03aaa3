"""How each score is written: title, unit, decimals, direction, the metric it belongs to, and the order of display."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cryobench.metrics import get_metric, list_metrics

_TITLES = {
    "fsc-auc-normalised-masked": "FSC-AUC in the mask, perfect = 1",
    "fsc-auc-normalised": "FSC-AUC of the whole box, perfect = 1",
    "fsc-auc-masked": "FSC-AUC in the mask, as published",
    "fsc-auc": "FSC-AUC of the whole box, as published",
    "resolution-0.5-masked": "Resolution at FSC 0.5 in the mask",
    "resolution-0.5": "Resolution at FSC 0.5, whole box",
    "resolution-0.143-masked": "Resolution at FSC 0.143 in the mask",
    "resolution-0.143": "Resolution at FSC 0.143, whole box",
}
"""Longer titles than the metric's own; these stand first, in this order."""
_UNITS = {"deg": "°"}
_DECIMALS = {"Å": 1, "°": 1, "%": 1, "s": 1, "GiB": 2, "bit": 2, "nat": 2, "kT": 2}


@dataclass(frozen=True)
class ScoreText:
    """How a score is written in tables and on axes."""

    name: str
    title: str
    unit: str = ""
    decimals: int = 3
    lower_is_better: bool = False
    metric: str = ""
    """The metric that yields it; empty if that is not installed."""
    statistic: Literal["mean", "median"] = "mean"
    blind: bool = False
    """Whether labels shuffled over the particles score as well as the truth."""

    @property
    def axis(self) -> str:
        """Title with its unit, as it stands on an axis."""
        return f"{self.title} / {self.unit}" if self.unit else self.title

    def write(self, value: float) -> str:
        """A number of this score, without its unit."""
        return f"{value:.{self.decimals}f}".replace("-", "−")


def describe_score(name: str) -> ScoreText:
    """Words for a score: what its metric says of it, or its name if no metric installed yields it."""
    return _registered().get(name) or ScoreText(name, name.replace("-", " "))


def order_scores(names: Iterable[str]) -> list[str]:
    """Each name once: FSC-AUC and resolution, then others in the order of their metrics, then what no metric has."""
    found = list(dict.fromkeys(names))
    known = [*_TITLES, *(name for name in _registered() if name not in _TITLES)]
    return [name for name in known if name in found] + [name for name in found if name not in known]


@cache
def _registered() -> dict[str, ScoreText]:
    texts = {}
    for metric in list_metrics():
        for kind in get_metric(metric).scores:
            unit = _UNITS.get(kind.unit, kind.unit)
            texts[kind.name] = ScoreText(
                name=kind.name,
                title=_TITLES.get(kind.name, kind.label),
                unit=unit,
                decimals=_DECIMALS.get(unit, 3),
                lower_is_better=kind.better == "lower",
                metric=metric,
                statistic=kind.statistic,
                blind=kind.blind,
            )
    return texts
