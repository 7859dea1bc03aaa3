"""What commands print when they are done making a data set; ``score_table`` prints scores."""

from rich.console import Console

from cryobench.data import Dataset

_WIDTH = 110


def print_dataset(dataset: Dataset) -> None:
    """What there is to note of a data set; its name, size, SNR and place."""
    particles, card = dataset.particles, dataset.card
    console = make_console()
    for note in card.get("notes", []):
        console.print(note, highlight=False, markup=False)
    count = None if dataset.truth is None else dataset.truth.n_states
    states = "no truth" if count is None else "1 state" if count == 1 else f"{count} states"
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
    console, particles = make_console(), dataset.particles
    contrast = "bright" if particles.sign == -1 else "dark"
    poses = "no poses" if particles.rotations is None else "poses given"
    mask = "no mask" if particles.mask is None else "mask"
    labelled = f"{dataset.card['n_labelled']:,} particles labelled"
    console.print(f"protein {contrast} in the stored images, {poses}, {labelled}, {mask}", highlight=False)
    print_dataset(dataset)


def make_console() -> Console:
    """The terminal's own width; where there is no terminal, enough for a row."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)
