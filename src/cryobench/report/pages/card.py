"""The card of a data set as a page: one folder that opens from disk, without a server and without a network.

    CARD/index.html  card.json  assets/  figures/*.svg  tables/*.csv

In a report the same page is ``card.html``, next to the report's ``index.html`` and with the same assets.
"""

from pathlib import Path

from cryobench._progress import Progress, Silent, Task
from cryobench._version import __version__
from cryobench.data import Dataset
from cryobench.io.atomic import write_json
from cryobench.report.card.contents import Card
from cryobench.report.card.dataset_tables import flatten_entries
from cryobench.report.card.facts import describe_contrast, headline
from cryobench.report.charts.dataset import draw_card
from cryobench.report.drawing.draw import draw_on_page
from cryobench.report.pages import card_downloads, card_pictures, pictures
from cryobench.report.pages.downloads import write_svg
from cryobench.report.pages.folder import page_folder, render, write_script, write_static
from cryobench.report.pages.specs import plot_data


def write_card(dataset: Dataset, folder: Path, *, progress: Progress | None = None) -> Path:
    """Write the card of a data set as a page, and return the path of its ``index.html``.

    Reads a few hundred images and at most 48 true volumes, whatever the size of the data set. Unknown quantities are
    shown as not known. An earlier card in ``folder`` is replaced when the new one is complete.

    Raises
    ------
    FileExistsError
        If ``folder`` exists and is not a card; it is left unchanged.
    """
    folder = Path(folder)
    with (progress or Silent()).task("Card") as task, page_folder(folder, kind="card") as part:
        card = Card(dataset, task)
        write_static(part)
        fill_card(card, part, "index.html", task)
        write_json(part / "card.json", {"cryobench": __version__, "dataset": dataset.name})
    return folder / "index.html"


def fill_card(
    card: Card, folder: Path, page: str, task: Task, *, report: str | None = None
) -> tuple[list[pictures.Entry], dict[str, str]]:
    """Write a card as ``page`` into a folder that has its static assets; ``report`` is the page it belongs to.

    Returns the parts that the report shows too: rows of pictures of particles, and the SVG file of each figure.
    """
    assets, dataset = folder / "assets", card.dataset
    charts = draw_card(card)
    specs = {name: draw_on_page(chart, {}) for name, chart in charts.items()}
    write_script(assets / "card_data.js", "cryobench.receiveData", plot_data(specs))
    particle_rows = pictures.write_particles(card.examples, assets / "particles")
    surfaces = card_pictures.write_state_surfaces(card, assets / "surfaces")
    write_script(assets / "card_surfaces.js", "cryobench.receiveSurfaces", surfaces)
    task.advance()
    figures = write_svg(card_downloads.draw_figures(card, charts), folder / "figures", task)
    text = render(
        "card.html",
        card=card,
        dataset=dataset,
        facts=headline(dataset),
        describe_contrast=describe_contrast,
        report=report,
        gallery=card_pictures.write_gallery(card, assets / "states"),
        surfaces=surfaces,
        particle_rows=particle_rows,
        check=card.check,
        half_maps=pictures.write_halves(card.check, assets / "conventions"),
        mask_picture=pictures.write_mask(dataset.particles.mask, assets / "particles"),
        figures=figures,
        tables=card_downloads.write_tables(card, folder / "tables"),
        entries=list(flatten_entries({key: value for key, value in dataset.card.items() if key != "files"})),
    )
    (folder / page).write_text(text, encoding="utf-8")
    task.advance()
    return particle_rows, figures
