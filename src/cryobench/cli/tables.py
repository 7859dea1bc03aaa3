"""What commands print when they are done: a data set in a few lines, scores as a table."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from cryobench.data import Dataset, Reconstruction, Score, Scores

_COLUMNS = {
    "fsc-auc-masked": "FSC-AUC in mask",
    "fsc-auc": "FSC-AUC",
    "fsc-auc-normalised-masked": "of best",
    "resolution-0.5-masked": "FSC = 0.5 at",
}
_INTERVALS = ("fsc-auc-masked", "fsc-auc")
_WIDTH = 110


def print_dataset(dataset: Dataset) -> None:
    """Name, size, SNR and place of a data set."""
    particles, card = dataset.particles, dataset.card
    console = _console()
    states = "no truth" if dataset.truth is None else f"{dataset.truth.n_states} states"
    console.print(
        f"{dataset.name}: {len(particles):,} images of {particles.box_size} px at {particles.pixel_size:g} Å/px, "
        f"{states}, {len(dataset.queries)} query particles",
        highlight=False,
    )
    snr = card.get("snr")
    if snr:
        console.print(
            f"SNR {snr['all_pixels']:.3g} over all pixels, {snr['inside_disc']:.3g} inside the molecule's disc",
            highlight=False,
        )
    console.print(f"-> {dataset.path}", highlight=False)


def print_adoption(dataset: Dataset) -> None:
    """As ``print_dataset``, and what was found on the way."""
    console, particles = _console(), dataset.particles
    contrast = "bright" if particles.sign == -1 else "dark"
    poses = "no poses" if particles.rotations is None else "poses given"
    mask = "no mask" if particles.mask is None else "mask"
    labelled = f"{dataset.card['n_labelled']:,} particles labelled"
    console.print(f"protein {contrast} in the stored images, {poses}, {labelled}, {mask}", highlight=False)
    for note in dataset.card.get("notes", []):
        console.print(note, highlight=False)
    print_dataset(dataset)


def print_scores(results: Sequence[tuple[Reconstruction, Scores]]) -> None:
    """One row per reconstruction, best masked FSC-AUC first, each value with its 95 % interval."""
    present = [name for name in _COLUMNS if any(name in scores.scores for _, scores in results)]
    table = Table(box=None, pad_edge=False)
    table.add_column("reconstruction", no_wrap=True)
    for name in present:
        table.add_column(_COLUMNS[name], justify="right")
    table.add_column("time", justify="right")

    def rank(result: tuple[Reconstruction, Scores]) -> float:
        score = result[1].scores.get("fsc-auc-masked") or result[1].scores.get("fsc-auc")
        return -score.value if score else 1.0

    for reconstruction, scores in sorted(results, key=rank):
        cells = [_cell(name, scores.scores.get(name)) for name in present]
        seconds = reconstruction.record.get("wall_seconds")
        table.add_row(reconstruction.name, *cells, "" if seconds is None else f"{seconds:.1f} s")
    console = _console()
    console.print(table)
    counts = {scores.scores[name].n for _, scores in results for name in present if name in scores.scores}
    for reason, names in _reasons(results).items():
        console.print(f"[dim]not measured ({', '.join(names)}): {reason}[/dim]", highlight=False)
    if counts:
        console.print(
            f"[dim]mean \\[95 % interval] over {max(counts)} query particles, resolution the median; 'of best': the "
            "masked area over the largest possible, just below 0.5[/dim]",
            highlight=False,
        )


def _reasons(results: Sequence[tuple[Reconstruction, Scores]]) -> dict[str, list[str]]:
    """Why metrics were not measured: reason to the runs it holds for."""
    found: dict[str, list[str]] = {}
    for reconstruction, scores in results:
        for metric, reason in scores.context.get("not_measured", {}).items():
            found.setdefault(f"{metric} {reason}", []).append(reconstruction.name)
    return found


def _cell(name: str, score: Score | None) -> str:
    if score is None:
        return "not measured"
    if name.startswith("resolution"):
        # A curve that stays above the threshold tells only that the resolution is at least this.
        censored = "crossed" in score.items and bool(np.mean(score.items["crossed"].to_numpy()) < 0.5)
        return "never crossed" if censored else f"{score.value:.1f} Å"
    if name in _INTERVALS:
        return f"{score.value:.3f} \\[{score.low:.3f}, {score.high:.3f}]"
    return f"{score.value:.3f}"


def _console() -> Console:
    """The terminal's own width; where there is no terminal, enough for a row."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)
