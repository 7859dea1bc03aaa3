"""Score finished runs from their files alone, and keep the scores beside them."""

from collections.abc import Sequence
from pathlib import Path

from cryobench._errors import FormatError
from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.io.store import load_dataset, load_reconstruction, load_scores, save_scores
from cryobench.metrics.evaluate import score


def score_run(
    folder: Path,
    *,
    metrics: Sequence[str] | None = None,
    dataset: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Reconstruction, Scores]:
    """Score the run in a folder and write RUN/scores.

    Parameters
    ----------
    folder
        RUN folder of a finished run.
    metrics
        Names; None for all that can be measured.
    dataset
        The data set's folder, if it is not where the run record says.

    Raises
    ------
    FormatError
        The run did not finish, or was made from another data set than the one found.
    """
    reconstruction = load_reconstruction(folder)
    data = find_dataset(reconstruction, dataset)
    scores = score(reconstruction, data, metrics, progress=progress)
    save_scores(scores, folder)
    return reconstruction, scores


def load_or_score(
    folder: Path, *, dataset: Path | None = None, progress: Progress | None = None
) -> tuple[Reconstruction, Scores]:
    """The run in a folder with its scores, taken now if they were not before."""
    if (Path(folder) / "scores" / "scores.json").exists():
        return load_reconstruction(folder), load_scores(folder)
    return score_run(folder, dataset=dataset, progress=progress)


def load_dataset_of(folders: Sequence[Path], dataset: Path | None = None) -> Dataset:
    """The one data set that all these runs were made from. FormatError if they differ."""
    runs = [load_reconstruction(folder) for folder in folders]
    hashes = {
        str(run.record.get("dataset", {}).get("sha256")): folder for run, folder in zip(runs, folders, strict=True)
    }
    if len(hashes) > 1:
        raise FormatError(
            "the runs were made from different data sets and cannot share a page: "
            + ", ".join(f"{folder} ({sha[:12]})" for sha, folder in hashes.items())
        )
    return find_dataset(runs[0], dataset)


def find_dataset(reconstruction: Reconstruction, given: Path | None) -> Dataset:
    """The data set of a run: where it is said to be, or where its record says. FormatError if it is another."""
    recorded = reconstruction.record.get("dataset", {})
    path = given or recorded.get("path")
    if path is None or not Path(path).exists():
        raise FormatError(
            f"{reconstruction.path} was made from the data set {recorded.get('name')} at {path}, which is not there: "
            "say where it is now with --dataset FOLDER."
        )
    dataset = load_dataset(Path(path))
    found, expected = dataset.card.get("sha256"), recorded.get("sha256")
    if expected is not None and found != expected:
        raise FormatError(
            f"{reconstruction.path} was made from a data set with hash {expected[:12]}, but {path} has "
            f"{str(found)[:12]}: it was made anew since. Run the method again, or point --dataset to the right one."
        )
    return dataset
