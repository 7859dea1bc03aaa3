"""Results of single metrics kept in RUN/scores, identified by the content they were measured on.

The key of a result is a digest of the metric's name and version, the seed, the data set's hash, and of each part of
the run that the metric reads: for volumes their files and the alignment, for the mask its voxels. Parts that a metric
does not read do not enter its key, so changes there leave the result valid. An installed metric that does not
declare its inputs is assumed to read everything.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.io.atomic import canonical_json
from cryobench.io.folders.alignment_store import describe_alignment
from cryobench.io.store import hash_run, load_part, read_context, save_part, write_index
from cryobench.metrics.metric import Metric, Need, reads
from cryobench.metrics.registry import get_metric, list_metrics
from cryobench.metrics.volumes.frames import Frame
from cryobench.metrics.volumes.query_pairs import hash_mask


class KeptScores:
    """The kept results of one run; a ``Keeper``.

    Parameters
    ----------
    mask
        Mask to score in; None for the data set's own, "none" for none.
    fresh
        Ignore kept results: everything is measured again, and kept.
    """

    def __init__(
        self,
        folder: Path,
        reconstruction: Reconstruction,
        dataset: Dataset,
        *,
        mask: np.ndarray | Literal["none"] | None,
        seed: int,
        fresh: bool,
    ) -> None:
        self._folder, self._seed, self._fresh = Path(folder), seed, fresh
        self._dataset = str(dataset.card.get("sha256"))
        scored_in = dataset.particles.mask if mask is None else None if isinstance(mask, str) else mask
        self.contents = {**hash_run(reconstruction), "mask": str(hash_mask(scored_in))}
        """Digest of each part."""
        self.frame = Frame("none")
        """Alignment of volumes to the truth."""
        self.found = self.measured = 0
        """Numbers of metrics whose results were kept, and that were measured now."""
        self._keys: dict[str, str] = {}

    def name_content(self, parts: Iterable[str], entries: Mapping[str, Any]) -> str:
        """Digest of the data set, some parts of the run, and further entries."""
        digests = {part: self.contents[part] for part in sorted(parts)}
        content = {"dataset": self._dataset, "parts": digests, **entries}
        return blake2b(canonical_json(content), digest_size=20).hexdigest()

    def name_key(self, metric: Metric) -> str:
        """Key of a metric's result."""
        parts = [part for part in get_args(Need) if part in self.contents and reads(metric, part)]
        entries: dict[str, Any] = {"metric": metric.name, "version": metric.version, "seed": self._seed}
        if {"volumes", "decoder"} & set(parts):
            alignments = [None if each is None else describe_alignment(each) for each in self.frame.alignments]
            entries["frame"] = {"mode": self.frame.mode, "alignments": alignments}
        return self.name_content(parts, entries)

    def find(self, metric: Metric) -> Scores | None:
        """As ``Keeper.find``."""
        key = self.name_key(metric)
        measured = None if self._fresh else load_part(self._folder, metric.name, key)
        if measured is not None:
            self._keys[metric.name] = key
            self.found += 1
        return measured

    def keep(self, metric: Metric, measured: Scores) -> None:
        """As ``Keeper.keep``."""
        key = self.name_key(metric)
        save_part(measured, self._folder, metric.name, key)
        self.measured += 1
        self._keys[metric.name] = key

    def write(self, context: Mapping[str, Any], asked: Sequence[str]) -> None:
        """Write scores.json with the metrics just found or measured, and others kept that are still valid."""
        earlier = {} if self._fresh else read_context(self._folder)
        reasons = dict(context["not_measured"])
        for name in list_metrics():
            if name in asked:
                continue
            metric = get_metric(name)()
            key = self.name_key(metric)
            if load_part(self._folder, name, key) is not None:
                self._keys[name] = key
            elif name in (known := earlier.get("not_measured", {})):
                reasons[name] = known[name]
        order = [name for name in list_metrics() if name in self._keys]
        full = {**context, "not_measured": reasons, "contents": self.contents}
        write_index(self._folder, full, {name: self._keys[name] for name in order})


def still_hold(scores: Scores, reconstruction: Reconstruction) -> bool:
    """Whether scores read from a run's folder match its present files."""
    stored = scores.context.get("contents")
    if not isinstance(stored, Mapping):
        return False
    return all(stored.get(part) == digest for part, digest in hash_run(reconstruction).items())
