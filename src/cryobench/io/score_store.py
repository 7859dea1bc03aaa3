"""Scores of a run as RUN/scores: scores.json with the values, and one Parquet table per score and per curve."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cryobench._errors import FormatError
from cryobench.data import Score, Scores
from cryobench.io.atomic import atomic_folder, read_json, write_json

SCHEMA = 1
"""Version of this layout. Older ones stay readable; a newer one is refused."""


def save_scores(scores: Scores, folder: Path) -> None:
    """Write scores to ``folder``/scores, all or nothing; earlier ones are replaced.

    Raises
    ------
    ValueError
        If the name of a score or curve cannot be a file name.
    """
    for name in [*scores.scores, *scores.curves]:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
            raise ValueError(f"the score or curve {name!r} needs a name of letters, digits, '_', '-' and '.'.")
    with atomic_folder(Path(folder) / "scores", replace=True) as target:
        values = {}
        for name, score in scores.scores.items():
            score.items.to_parquet(target / f"{name}.parquet", index=False)
            values[name] = {
                "metric": score.metric,
                "value": _nan_to_none(score.value),
                "low": _nan_to_none(score.low),
                "high": _nan_to_none(score.high),
                "n": int(score.n),
            }
        for name, curve in scores.curves.items():
            curve.to_parquet(target / f"curve-{name}.parquet", index=False)
        write_json(
            target / "scores.json",
            {"schema": SCHEMA, "context": dict(scores.context), "scores": values, "curves": sorted(scores.curves)},
        )


def load_scores(folder: Path) -> Scores:
    """Scores of the run in ``folder``.

    Raises
    ------
    FormatError
        If the run was not scored, a newer version wrote the scores, or a table is missing or damaged.
    """
    source = Path(folder) / "scores"
    path = source / "scores.json"
    if not path.exists():
        raise FormatError(f"{folder} has no scores. Make them: cryobench score {folder}")
    content = read_json(path)
    schema = content.get("schema")
    if not isinstance(schema, int) or schema < 1 or "scores" not in content:
        raise FormatError(f"{path} does not hold scores. Make them again: cryobench score {folder}")
    if schema > SCHEMA:
        raise FormatError(
            f"{path} was written by a newer cryobench (schema {schema}; this version reads up to {SCHEMA})."
            " Upgrade: pip install -U cryobench."
        )
    scores = {
        name: Score(
            metric=values["metric"],
            value=_none_to_nan(values["value"]),
            low=_none_to_nan(values["low"]),
            high=_none_to_nan(values["high"]),
            n=values["n"],
            items=_read_table(source / f"{name}.parquet"),
        )
        for name, values in content["scores"].items()
    }
    curves = {name: _read_table(source / f"curve-{name}.parquet") for name in content.get("curves", [])}
    return Scores(scores, curves, content.get("context", {}))


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise FormatError(f"{path} does not exist. Score the run again.") from None
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{path} cannot be read as a Parquet table ({error}). Score the run again.") from error


def _nan_to_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _none_to_nan(value: Any) -> float:
    return float("nan") if value is None else float(value)
