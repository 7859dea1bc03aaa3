"""Digest of all inputs of a report, by which an existing page is recognised as up to date."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from cryobench._version import __version__, find_commit
from cryobench.check import read_check
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.io.atomic import canonical_json, read_json, to_plain


def is_up_to_date(folder: Path, inputs: str | None) -> bool:
    """Whether ``folder`` holds a report made from inputs with this digest (``digest_inputs``)."""
    path = Path(folder) / "report.json"
    if inputs is None or not path.is_file() or not (Path(folder) / "index.html").is_file():
        return False
    return read_json(path).get("made_of") == inputs


def digest_inputs(dataset: Dataset, results: Sequence[tuple[Reconstruction, Scores]]) -> str | None:
    """Digest of a data set, runs and their scores, and of this package.

    None where equality cannot be decided: scores that were not read from files, or a modified checkout.
    """
    commit = find_commit()
    if dataset.card.get("sha256") is None or (commit or "").endswith("+"):
        return None
    runs = []
    for reconstruction, scores in results:
        if reconstruction.path is None or "contents" not in scores.context:
            return None
        series = reconstruction.path.glob("series/*/series.json")
        values = {name: [score.value, score.low, score.high, score.n] for name, score in scores.scores.items()}
        runs.append(
            {
                "record": reconstruction.record.to_json(),
                "scores": {name: [repr(float(each)) for each in entries] for name, entries in values.items()},
                "context": scores.context,
                "series": [(path.parent.name, path.stat().st_mtime_ns) for path in sorted(series)],
            }
        )
    made_of: dict[str, Any] = {
        "version": __version__,
        "commit": commit,
        "dataset": dataset.card,
        "path": str(dataset.path),
        "check": None if (kept := read_check(dataset.path)) is None else kept.found,
        "runs": runs,
    }
    return blake2b(canonical_json(to_plain(made_of)), digest_size=20).hexdigest()
