"""Base class of metrics: a measurement on (Reconstruction, Dataset) that yields named scores."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeVar

import numpy as np

from cryobench._progress import Progress
from cryobench.data import Dataset, GroundTruth, Reconstruction, RunRecord, Scores
from cryobench.metrics.registry import read_texts

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
"""The first seven are parts of the reconstruction, the rest of the data set; "truth" is any part of it. "record" is
how the reconstruction was made, "cost" the time and memory it took and on which machine."""
_OF_RECONSTRUCTION = {"volumes", "latents", "posteriors", "poses", "record", "cost", "decoder"}


@dataclass(frozen=True)
class ScoreKind:
    """One number that a metric yields, and how to read it."""

    name: str
    """Key in ``Scores``, such as "fsc-auc"."""
    label: str
    """As printed in tables and axes."""
    unit: str = ""
    """"Å", "cycles/px" or "" for a pure number."""
    better: Literal["higher", "lower"] = "higher"
    low: float = 0.0
    """Smallest value possible."""
    high: float = float("inf")
    """Largest value possible; infinity if there is no bound."""
    statistic: Literal["mean", "median"] = "mean"
    """How values of the items (query particles) are reduced to one."""
    ignores_identity: bool = False
    """Whether it ignores particle identity: labels shuffled over the particles score as well as the truth."""
    short: str = ""
    """Heading of a narrow column; empty for the label."""
    main: bool = False
    """Whether it is in tables of main scores. A metric without any main score is shown by its first one."""
    otherwise: str = ""
    """Name of the score shown instead of this main one where no run has this one."""
    decimals: int = 3
    """Digits after the point in tables."""
    negative: str = ""
    """Likely cause of negative values in a reconstruction that should score high; empty where there is none."""

    @property
    def heading(self) -> str:
        """Short label."""
        return self.short or self.label

    @property
    def shown_unit(self) -> str:
        """Unit shown next to the label; empty where values carry their own, as times do."""
        return "" if self.unit == "s" else self.unit

    @property
    def axis(self) -> str:
        """Label with its unit, as on an axis."""
        return f"{self.label} / {self.unit}" if self.unit else self.label

    def write(self, value: float) -> str:
        """Value as text, without its unit; a time in a readable unit."""
        return format_seconds(value) if self.unit == "s" else f"{value:z.{self.decimals}f}"


def add_masked(*kinds: ScoreKind) -> tuple[ScoreKind, ...]:
    """The kinds, and those of the same scores in the mask.

    In the mask, those with a short heading are main scores; the unmasked one is shown where there is no mask.
    """
    masked = [
        replace(
            kind,
            name=f"{kind.name}-masked",
            label=f"{kind.label}, in the mask",
            main=bool(kind.short),
            otherwise=kind.name if kind.short else "",
        )
        for kind in kinds
    ]
    return (*kinds, *masked)


def format_seconds(seconds: float) -> str:
    """Time in a readable unit."""
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
    """Parts without which nothing can be measured."""
    uses: ClassVar[frozenset[Need] | None] = None
    """Optional parts that it reads where they exist; None if it may read anything. The truth is always read.

    A stored result is measured again when a part that it needs or uses has changed, and only then."""
    version: ClassVar[int] = 1
    """Raised with every change of its values, so that stored results of an earlier version are measured again."""
    reference: ClassVar[str]
    """Publication and code that define it."""
    curves: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Curves of its scores that are separate tables in a report: name, and content."""

    # Texts of its page (``metrics.documentation``): plain text, formulas in Unicode, lists as short sentences.
    question: ClassVar[str] = ""
    """The question it answers, in one sentence that ends in a question mark."""
    formula: ClassVar[str] = ""
    """How a score is computed, every symbol defined: lines of plain text, shown verbatim."""
    conditions: ClassVar[tuple[str, ...]] = ()
    """Requirements beyond ``needs``, if any."""
    calibration: ClassVar[tuple[str, ...]] = ()
    """Scores of known answers: the truth, chance, one map for all particles."""
    invariances: ClassVar[tuple[str, ...]] = ()
    """Changes of a reconstruction that leave the scores unchanged, and changes that do not."""
    cost: ClassVar[str] = ""
    """Order of time and memory, and a measured time."""
    limits: ClassVar[tuple[str, ...]] = ()
    """Failure modes, and effects that it does not see."""

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason, in words, why this cannot be measured; None if it can."""
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

    def explain_wait(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason, in words, for measuring this only where it is named: its time. None if there is none."""
        return None

    def require(self, reconstruction: Reconstruction, dataset: Dataset) -> GroundTruth:
        """Truth of a data set on which this can be measured. ValueError with the reason if it cannot."""
        missing = self.explain_missing(reconstruction, dataset)
        if missing is not None or dataset.truth is None:
            raise ValueError(f"{self.name} of {reconstruction.name} cannot be measured: it {missing}.")
        check_particles(reconstruction, dataset)
        return dataset.truth

    @abstractmethod
    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores of one reconstruction; ``seed`` is for the bootstrap intervals and other random draws.

        Raises
        ------
        ValueError
            If a needed part is missing or does not fit the data set.
        """


_Described = TypeVar("_Described", bound=type[Metric])


def described(metric: _Described) -> _Described:
    """The class of a metric of this package, with the texts of its page from ``texts/NAME.toml``."""
    for name, text in read_texts(metric.name).items():
        setattr(metric, name, tuple(text) if isinstance(text, list) else text)
    return metric


def reads(metric: Metric, part: Need) -> bool:
    """Whether a metric may read a part, by its ``needs`` and ``uses``."""
    return metric.uses is None or part in metric.needs | metric.uses


def _who_lacks(missing: Sequence[str]) -> str:
    if _OF_RECONSTRUCTION.isdisjoint(missing):
        return "the data set does not have"
    if _OF_RECONSTRUCTION.issuperset(missing):
        return "the reconstruction does not have"
    return "the reconstruction and the data set do not have"


def check_particles(reconstruction: Reconstruction, dataset: Dataset) -> None:
    """ValueError if the number of particles differs from the data set's, or a query particle does not exist in it."""
    n = len(dataset.particles)
    for name in ("latents", "posteriors", "rotations"):
        values = getattr(reconstruction, name)
        if values is not None and len(values) != n:
            raise ValueError(
                f"{reconstruction.name} has {name} of {len(values)} particles, but {dataset.name} has {n}: "
                "was it made from another data set?"
            )
    outside = (reconstruction.queries < 0) | (reconstruction.queries >= n)
    if outside.any():
        raise ValueError(
            f"query particle {reconstruction.queries[np.argmax(outside)]} of {reconstruction.name} is not among the "
            f"{n} particles of {dataset.name}: was it made from another data set?"
        )
