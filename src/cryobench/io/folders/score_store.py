"""Scores of a run as RUN/scores.

    scores.json           all values and the context; the folders of the tables of each score and curve
    METRIC-KEY/           for one metric: part.json with its values and context, and one Parquet table per score and
                          per curve (curve-NAME.parquet); KEY identifies the content it was measured on
    alignment.json        alignment of the volumes to the truth, if they were aligned (``alignment_store``)

A folder METRIC-KEY appears complete when its metric is measured, and scores.json last: interrupted scoring resumes
with the missing metrics, and until then scores.json has the earlier scores. Folders that it no longer
names are removed when it is written. Scores saved all at once have their tables next to scores.json.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cryobench._errors import FormatError
from cryobench.data import Score, Scores
from cryobench.io.atomic import atomic_folder, read_json, remove_partial_files, to_plain, write_json
from cryobench.io.formats.parquet_table import read_parquet
from cryobench.io.formats.schemas import check_schema

SCHEMA = 2
"""Version of this layout. Older ones can be read; a newer one is refused. 1: no folders of single metrics."""
_PART = "part.json"
_NUMBERS = ("value", "low", "high")


def save_scores(scores: Scores, folder: Path) -> None:
    """Write scores to ``folder``/scores, all or nothing; earlier ones, including their parts, are replaced.

    Raises
    ------
    ValueError
        If the name of a score or curve cannot be a file name.
    """
    _check_names([*scores.scores, *scores.curves])
    with atomic_folder(Path(folder) / "scores", replace=True) as target:
        values = _write_tables(scores, target)
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
    check_schema(content, path, SCHEMA, "a file of scores", f"Make them again: cryobench score {folder}")
    curves = content.get("curves", [])
    places = curves if isinstance(curves, dict) else dict.fromkeys(curves, "")
    return Scores(
        {
            name: _read_score(source / values.get("part", ""), name, values)
            for name, values in content["scores"].items()
        },
        {name: _read_table(source / part / f"curve-{name}.parquet") for name, part in places.items()},
        content.get("context", {}),
    )


def name_part(metric: str, key: str) -> str:
    """Folder in RUN/scores for the result of a metric measured on the content identified by ``key``."""
    _check_names([metric])
    return f"{metric}-{key[:20]}"


def save_part(measured: Scores, folder: Path, metric: str, key: str) -> None:
    """Keep the result of one metric in ``folder``/scores, all or nothing. ValueError as ``save_scores``."""
    _check_names([*measured.scores, *measured.curves])
    with atomic_folder(Path(folder) / "scores" / name_part(metric, key), replace=True) as target:
        values = _write_tables(measured, target)
        header = {"schema": SCHEMA, "metric": metric, "key": key, "context": dict(measured.context)}
        write_json(target / _PART, {**header, "scores": values, "curves": sorted(measured.curves)})


def load_part(folder: Path, metric: str, key: str) -> Scores | None:
    """Kept result of one metric under this key; None if there is none, or it cannot be read."""
    source = Path(folder) / "scores" / name_part(metric, key)
    try:
        content = read_json(source / _PART)
        if content.get("schema") != SCHEMA or content.get("key") != key:
            return None
        scores = {name: _read_score(source, name, values) for name, values in content["scores"].items()}
        curves = {name: _read_table(source / f"curve-{name}.parquet") for name in content["curves"]}
    except (FormatError, KeyError):
        return None
    return Scores(scores, curves, content["context"])


def write_index(folder: Path, context: Mapping[str, Any], keys: Mapping[str, str]) -> None:
    """Write scores.json for the kept results of some metrics, and remove every other result.

    Parameters
    ----------
    context
        Common context; that of each metric is added under its name.
    keys
        Key of the kept result, by metric.
    """
    target = Path(folder) / "scores"
    full, values, curves = dict(context), {}, {}
    for metric, key in keys.items():
        part = name_part(metric, key)
        content = read_json(target / part / _PART)
        full[metric] = content["context"]
        values |= {name: {**of_score, "part": part} for name, of_score in content["scores"].items()}
        curves |= dict.fromkeys(content["curves"], part)
    write_json(target / "scores.json", {"schema": SCHEMA, "context": full, "scores": values, "curves": curves})
    named = {name_part(metric, key) for metric, key in keys.items()}
    remove_partial_files(target)
    for path in target.iterdir():
        if path.is_dir() and (path / _PART).exists() and path.name not in named:
            shutil.rmtree(path)
        elif path.suffix == ".parquet":
            path.unlink()


def read_context(folder: Path) -> dict[str, Any]:
    """Context of a run's scores, for rewriting with new measurements; {} if it cannot be read."""
    try:
        context = read_json(Path(folder) / "scores" / "scores.json").get("context")
    except FormatError:
        return {}
    return context if isinstance(context, dict) else {}


def _write_tables(scores: Scores, target: Path) -> dict[str, dict[str, Any]]:
    """Write the tables, and return the values for JSON."""
    values = {}
    for name, score in scores.scores.items():
        score.items.to_parquet(target / f"{name}.parquet", index=False)
        values[name] = to_plain({each: getattr(score, each) for each in ("metric", *_NUMBERS, "n")})
    for name, curve in scores.curves.items():
        curve.to_parquet(target / f"curve-{name}.parquet", index=False)
    return values


def _read_score(source: Path, name: str, values: Mapping[str, Any]) -> Score:
    numbers = {each: float("nan") if values[each] is None else float(values[each]) for each in _NUMBERS}
    return Score(values["metric"], **numbers, n=values["n"], items=_read_table(source / f"{name}.parquet"))


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
            raise ValueError(f"the score or curve {name!r} needs a name of letters, digits, '_', '-' and '.'.")


def _read_table(path: Path) -> pd.DataFrame:
    return read_parquet(path, "Score the run again.").to_pandas()
