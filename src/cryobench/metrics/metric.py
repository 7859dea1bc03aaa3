"""What a metric is: a measurement on (Reconstruction, Dataset) that yields named scores."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from cryobench._progress import Progress, Silent
from cryobench.data import Dataset, Reconstruction, RunRecord, Scores

Need = Literal[
    "volumes",
    "latents",
    "posteriors",
    "poses",
    "record",
    "cost",
    "decoder",
    "truth",
    "true volumes",
    "true states",
    "true poses",
    "mask",
]
"""The first seven are parts of the reconstruction, the others of the data set; "truth" is any part of it. "record" is
how the reconstruction came about, "cost" the time and memory it took and on which machine."""
_OF_RECONSTRUCTION = {"volumes", "latents", "posteriors", "poses", "record", "cost", "decoder"}


@dataclass(frozen=True)
class ScoreKind:
    """One number a metric yields, and how to read it."""

    name: str
    """Key in ``Scores``, such as "fsc-auc"."""
    label: str
    """As printed in tables and axes."""
    unit: str
    """"Å", "cycles/px" or "" for a pure number."""
    better: Literal["higher", "lower"]
    low: float
    """Smallest value possible."""
    high: float
    """Largest value possible; infinity if there is no bound."""
    statistic: Literal["mean", "median"] = "mean"
    """How the items (query particles) become one value."""
    blind: bool = False
    """Whether labels shuffled over the particles score as well as the truth: to be read beside scores that tell."""
    short: str = ""
    """Heading of a narrow column; empty for the label."""
    main: bool = False
    """Whether tables of main scores have it. Of a metric without any main score they have the first one."""
    otherwise: str = ""
    """Name of the score that takes the place of this main one where no run has this one."""
    decimals: int = 3
    """Digits after the point in tables."""
    negative: str = ""
    """The likely cause of negative values of a reconstruction that should score high; empty where there is none."""

    @property
    def heading(self) -> str:
        """The short label."""
        return self.short or self.label

    @property
    def shown_unit(self) -> str:
        """The unit that stands beside the label; empty where values carry their own, as times do."""
        return "" if self.unit == "s" else self.unit

    @property
    def axis(self) -> str:
        """Label with its unit, as it stands on an axis."""
        return f"{self.label} / {self.unit}" if self.unit else self.label

    def write(self, value: float) -> str:
        """A value as text, without its unit; a time with the unit it is best read in."""
        return format_seconds(value) if self.unit == "s" else f"{value:.{self.decimals}f}"


def format_seconds(seconds: float) -> str:
    """A time in the unit it is best read in."""
    if seconds < 0.1:
        return "< 0.1 s"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Metric(ABC):
    """A measurement. Subclasses are default-constructible and keep no state between calls."""

    name: ClassVar[str]
    label: ClassVar[str]
    scores: ClassVar[tuple[ScoreKind, ...]]
    """Everything it can yield; kinds that need a mask are absent from the result when there is none."""
    needs: ClassVar[frozenset[Need]]
    """Without these nothing can be measured."""
    uses: ClassVar[frozenset[Need] | None] = None
    """What it reads beyond its needs where that is there; None where it may read anything. The truth is always read.

    A result that was kept is measured anew when what it needs or uses has changed, and not when the rest has."""
    version: ClassVar[int] = 1
    """Raised with every change of its values, so that results kept of an earlier version are measured anew."""
    reference: ClassVar[str]
    """Publication and code that define it."""
    curves: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Curves of its scores that are tables of their own in a report: name, and what it holds."""

    # What its page says besides (``metrics.pages``): plain text, formulas in Unicode, lists as short sentences.
    question: ClassVar[str] = ""
    """What it asks, in one sentence that ends in a question mark."""
    formula: ClassVar[str] = ""
    """How a score is made, every symbol said: lines of plain text, shown as they stand."""
    conditions: ClassVar[tuple[str, ...]] = ()
    """What it takes beyond ``needs``, if anything."""
    calibration: ClassVar[tuple[str, ...]] = ()
    """What known answers score: the truth, chance, one map for all."""
    invariances: ClassVar[tuple[str, ...]] = ()
    """What may be done to a reconstruction without moving a score, and what may not."""
    cost: ClassVar[str] = ""
    """Order of time and memory, and a measured time."""
    limits: ClassVar[tuple[str, ...]] = ()
    """How it fails, and what it does not see."""

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Why this cannot be measured, in words, or None if it can."""
        truth = dataset.truth
        present = {
            "volumes": reconstruction.volumes is not None,
            "latents": reconstruction.latents is not None,
            "posteriors": reconstruction.posteriors is not None,
            "poses": reconstruction.rotations is not None,
            "record": reconstruction.record != RunRecord(),
            "cost": reconstruction.record.cost.is_known,
            "decoder": reconstruction.decoder is not None,
            "truth": truth is not None,
            "true volumes": truth is not None and truth.volumes is not None,
            "true states": truth is not None and bool((truth.states >= 0).any()),
            "true poses": truth is not None and truth.rotations is not None,
            "mask": dataset.particles.mask is not None,
        }
        missing = sorted(
            {
                "truth" if truth is None and need.startswith("true") else need
                for need in self.needs
                if not present[need]
            }
        )
        return f"needs {' and '.join(missing)}, which {_who_lacks(missing)}" if missing else None

    @abstractmethod
    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """The scores of one reconstruction; ``seed`` is that of the bootstrap intervals.

        Raises
        ------
        ValueError
            If something it needs is missing or does not fit the data set.
        """


def reads(metric: Metric, part: Need) -> bool:
    """Whether a metric may read a part, by what it says it needs and uses."""
    return metric.uses is None or part in metric.needs | metric.uses


def _who_lacks(missing: Sequence[str]) -> str:
    if _OF_RECONSTRUCTION.isdisjoint(missing):
        return "the data set does not have"
    if _OF_RECONSTRUCTION.issuperset(missing):
        return "the reconstruction does not have"
    return "the reconstruction and the data set do not have"


def shown(progress: Progress | None) -> Progress:
    """The progress given, or one that nobody sees."""
    return Silent() if progress is None else progress
