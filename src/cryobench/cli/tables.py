"""Summary printed after making a data set; ``score_table`` prints scores."""

from rich.console import Console

from cryobench.cli.layout import say
from cryobench.data import Dataset
from cryobench.report.card.facts import describe_contrast


def print_dataset(dataset: Dataset) -> None:
    """Print a data set's notes, name, size, SNR and path."""
    particles, card = dataset.particles, dataset.card
    console = Console()
    for note in card.get("notes", []):
        say(console, note)
    count = None if dataset.truth is None else dataset.truth.n_states
    states = "no truth" if count is None else "1 state" if count == 1 else f"{count} states"
    say(
        console,
        f"{dataset.name}: {len(particles):,} images of {particles.box_size} px at {particles.pixel_size:g} Å/px, "
        f"{states}, {len(dataset.queries)} query particles",
    )
    snr = card.get("snr")
    if snr:
        pixels, disc = f"{snr['all_pixels']:.3g}", f"{snr['inside_disc']:.3g}"
        say(console, f"SNR {pixels} over all pixels, {disc} inside the molecule's disc")
    say(console, f"-> {dataset.path}")


def print_adoption(dataset: Dataset) -> None:
    """Print contrast, poses, labels and mask of adopted particles, then as ``print_dataset``."""
    console, particles = Console(), dataset.particles
    poses = "no poses" if particles.rotations is None else "poses given"
    mask = "no mask" if particles.mask is None else "mask"
    labelled = f"{dataset.card['n_labelled']:,} particles labelled"
    say(console, f"protein {describe_contrast(particles)} in the stored images, {poses}, {labelled}, {mask}")
    print_dataset(dataset)
