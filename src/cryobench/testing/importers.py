"""Laws of importers."""

import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import CryobenchError
from cryobench.data import Dataset, GroundTruth, Reconstruction
from cryobench.importers import Found, Importer
from cryobench.importers.bring_in import import_results

_DATA = (".pkl", ".npy", ".npz", ".parquet", ".star", ".cs", ".mrc")
"""Suffixes of the files that are damaged; half of a text file may be valid."""


def check_importer(
    importer: type[Importer],
    job: Path,
    dataset: Dataset,
    scratch: Path,
    *,
    options: Callable[[Path], Mapping[str, Any]] = lambda folder: {},
    takes_folder: bool = True,
) -> Found:
    """Check an importer on a job of its program.

    Parameters
    ----------
    importer
        Registered under its name.
    job
        Folder with the files of a job; it is copied, not changed.
    dataset
        Data set of the particles.
    scratch
        Empty folder.
    options
        Options of the import of a copy of ``job``, where they name files in it.
    takes_folder
        Whether the importer takes a folder; False where options name every file.

    Returns
    -------
    Results, for further tests.

    Raises
    ------
    AssertionError
        If a law is broken; the message says which, and how.
    """
    trial = _Import(importer, options, takes_folder, dataset)
    found = importer.open(job if takes_folder else None, options(job)).read(dataset)
    _check_rows(found, dataset)
    _check_account(trial, job, scratch / "run")
    refused = scratch / "refused"
    # Files elsewhere, such as the table of images that the program read, are neither copied nor damaged.
    inner = [file.resolve() for file in dict.fromkeys(found.files) if file.resolve().is_relative_to(job.resolve())]
    assert inner, "it lists no file in the folder of the job as read"
    for number, file in enumerate(inner):
        inside = file.relative_to(job.resolve())
        for damage in ("missing", "truncated", "hostile"):
            folder = scratch / f"{number}-{damage}"
            shutil.copytree(job, folder)
            if not _damage(folder / inside, damage, marker := scratch / "executed"):
                continue
            said = trial.refusal(folder, refused)
            assert not marker.exists(), f"a pickle in {inside} was executed"
            if said is None:
                assert damage == "missing", f"{inside} was {damage}, and the import did not fail"
            else:
                named = inside.name in said or str(folder) in said
                assert named, f"{inside} was {damage}: it is not named in {said!r}"
            assert not refused.exists(), f"{inside} was {damage}: a partial output was left"
    said = replace(trial, dataset=_fewer(dataset)).refusal(job, refused)
    assert said is not None, "results of another number of particles were accepted"
    assert not refused.exists(), "results of another data set left a partial output"
    return found


@dataclass(frozen=True)
class _Import:
    """An import of a job, or of a copy of it."""

    importer: type[Importer]
    options: Callable[[Path], Mapping[str, Any]]
    takes_folder: bool
    dataset: Dataset

    def make(self, job: Path, run: Path) -> Reconstruction:
        """Run of the import."""
        folder = job if self.takes_folder else None
        return import_results(self.importer.name, folder, self.dataset, run, options=self.options(job))

    def refusal(self, job: Path, run: Path) -> str | None:
        """Message of an import that is refused; None if it is not."""
        try:
            self.make(job, run)
        except (CryobenchError, ValueError) as error:
            return str(error)
        shutil.rmtree(run)
        return None


def _check_rows(found: Found, dataset: Dataset) -> None:
    parts = ("latents", "posteriors", "rotations", "shifts")
    present = {name: values for name in parts if (values := getattr(found, name)) is not None}
    assert present or found.volumes is not None, "nothing was found"
    for name, values in present.items():
        assert len(values) == len(dataset.particles), f"{len(values)} {name} for {len(dataset.particles)} particles"
        finite = np.isfinite(values.reshape(len(values), -1))
        assert (finite.all(axis=1) == finite.any(axis=1)).all(), f"{name} of a particle are partly NaN"
    assert found.files, "it does not list the files it read"
    assert all(file.exists() for file in found.files), "it names files that do not exist"


def _check_account(trial: _Import, job: Path, run: Path) -> None:
    def make() -> tuple[str, dict[Path, bytes]]:
        name = trial.make(job, run).name
        return name, {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    first = make()
    assert (run / "import.json").exists(), "the run has no account of the import"
    assert make() == first, "the same import again changed the run"


def _damage(file: Path, how: str, marker: Path) -> bool:
    """Damage a file in the given way; whether that was possible."""
    if how == "missing":
        file.unlink()
    elif how == "truncated" and file.suffix.lower() in _DATA:
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
    elif how == "hostile" and file.suffix.lower() == ".pkl":
        file.write_bytes(pickle.dumps(_Hostile(marker)))
    else:
        return False
    return True


class _Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self._marker),)


def _fewer(dataset: Dataset) -> Dataset:
    """The same without its last three particles, in another order, and without names of images."""
    n = len(dataset.particles) - 3
    kept = np.arange(n)[::-1]
    truth = None if dataset.truth is None else GroundTruth(dataset.truth.states[kept])
    queries = np.arange(min(2, n))
    return replace(
        dataset, particles=dataset.particles.select(kept), truth=truth, queries=queries, path=None, card={}
    )
