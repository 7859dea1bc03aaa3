"""The page of a card: every figure is there, nothing is outside the folder, what is not known is said to be so."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryobench.data import ArrayImages, GroundTruth
from cryobench.report.pages.card import write_card
from fabricated import HOSTILE_NAME, N_STATES, fabricate_dataset, fabricate_rich_dataset
from page_parser import ParsedPage, check_references

PLOTS = {
    "states", "spectra", "snr", "defocus", "astigmatism", "ctf", "directions", "psi", "shifts", "variable", "pair",
    "occupancies", "assembly",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("card") / "page"
    assert write_card(fabricate_rich_dataset(), target) == target / "index.html"
    return target


@pytest.fixture(scope="module")
def page(folder) -> ParsedPage:
    return ParsedPage((folder / "index.html").read_text(encoding="utf-8"))


def test_every_plot_has_its_place_and_every_reference_its_file(folder, page):
    assert set(page.plots) == PLOTS
    assert page.plots.count("variable") == 2
    assert len(page.references) > 60
    check_references(page, folder)
    assert page.pictures_without_words == 0


def test_nothing_is_asked_from_the_network(folder):
    own = [path for path in folder.rglob("*") if path.suffix in (".html", ".css", ".js") and path.name != "vega.js"]
    assert len(own) > 15
    for path in own:
        assert not re.search(r"https?:|//cdn|@import|url\(", path.read_text(encoding="utf-8")), path


def test_images_with_a_masked_background_have_a_card(tmp_path):
    dataset = fabricate_dataset(with_truth=False)
    images = dataset.particles.read(np.arange(len(dataset.particles)))
    axis = np.arange(images.shape[-1]) - images.shape[-1] // 2
    masked = np.where(axis[:, None] ** 2 + axis**2 < (0.45 * len(axis)) ** 2, images, 0).astype(np.float32)
    particles = replace(dataset.particles, images=ArrayImages(masked), mask=None)
    path = write_card(replace(dataset, particles=particles), tmp_path / "card")
    text = ParsedPage(path.read_text(encoding="utf-8")).text
    assert text.count("not known: the background is constant") == 2
    spectra = pd.read_csv(path.parent / "tables" / "spectra.csv")
    assert (spectra["noise"] == 0).all()
    assert spectra["snr"].isna().all()


def test_names_are_shown_as_text(page):
    assert HOSTILE_NAME in page.text
    assert "A <made-up> set" in page.text
    assert "on" not in page.tags


def test_page_says_what_the_set_is_and_how_to_make_it_again(page):
    for words in (
        "step 7",
        "521.1 kDa",
        "dihedral 126°",
        "estimated over all pixels",
        "Nobody et al.",
        "by hand; CC0 1.0",
    ):
        assert words in page.text, words
    assert "cryobench simulate igg-1d -o 'blobs <on> a circle' --preset tiny --seed 4 --set snr=0.25" in page.text


def test_every_state_has_a_picture_of_its_own(folder):
    pictures = sorted((folder / "assets" / "states").glob("*.png"))
    assert len(pictures) == N_STATES
    assert len({path.read_bytes() for path in pictures}) == N_STATES


def test_figures_are_vector_drawings_and_tables_are_whole(folder):
    figures = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert figures == {
        "gallery", "particles", "spectra", "ctf", "poses", "states", "variables", "occupancies", "assembly",
    }  # fmt: skip
    for path in (folder / "figures").glob("*.svg"):
        parts = [part.tag.rsplit("}")[-1] for part in ElementTree.parse(path).iter()]
        assert sum(part in ("path", "circle", "image") for part in parts) > 10, path
        assert parts.count("text") > 2, path
    states = pd.read_csv(folder / "tables" / "states.csv")
    assert states["particles"].sum() == 100
    assert states["mass"].iloc[-1] == 900
    occupancies = pd.read_csv(folder / "tables" / "occupancies.csv", index_col="component")
    assert occupancies.shape == (6, N_STATES)
    assert (pd.read_csv(folder / "tables" / "spectra.csv")["images"] > 0).all()


def test_the_gallery_says_what_states_are_coloured_by(folder):
    root = ElementTree.parse(folder / "figures" / "gallery.svg")
    words = [part.text or "" for part in root.iter() if part.tag.endswith("text")]
    assert sum(word.startswith("dihedral") for word in words) == N_STATES


def test_data_of_the_page_are_plain_numbers(folder):
    text = (folder / "assets" / "card_data.js").read_text(encoding="utf-8")
    data = json.loads(text.removeprefix("cryobench.receiveData(").removesuffix(");\n"))
    specs = data["specs"]
    titles = [specs[f"variable-{place}"]["encoding"]["x"]["title"] for place in range(2)]
    assert titles == ["dihedral / °", "length / Å"]
    turn = _rows(specs["variable-0"])["y"]
    assert turn[:-1].sum() == 100
    assert turn.iloc[-1] == turn.iloc[0]  # at 360° as at 0°
    assert len(_rows(next(layer for layer in specs["snr"]["layer"] if "run" in layer["data"]["values"]))) == 15
    assert len(_rows(specs["assembly"]["layer"][0])) == N_STATES - 1
    assert {key.split("-")[0] for key in specs} == PLOTS


def _rows(layer: dict[str, Any]) -> pd.DataFrame:
    return pd.read_csv(StringIO(layer["data"]["values"]))


@pytest.mark.parametrize("known", ["nothing", "no state", "labels"])
def test_what_is_not_known_is_said_to_be_so(known, tmp_path):
    dataset = fabricate_dataset(with_truth=known != "nothing", box_size=33, n=30)
    if known == "labels":
        truth = replace(dataset.truth, volumes=None, rotations=None, shifts=None, variables={}, embedding=None)
        dataset = replace(dataset, truth=truth)
    if known == "no state":
        dataset = replace(dataset, truth=GroundTruth(np.full(30, -1)))
    bare = replace(dataset.particles, rotations=None, shifts=None, mask=None)
    folder = write_card(replace(dataset, particles=bare, card={"name": "mine"}), tmp_path / "page").parent
    page = ParsedPage((folder / "index.html").read_text(encoding="utf-8"))
    check_references(page, folder)
    for words in ("Volumes of the states: not known", "Poses: not known", "Mask: none", "not recorded"):
        assert words in page.text, words
    assert ("True states: not known" in page.text) == (known != "labels")
    assert "variable" not in page.plots
    assert "surface-grid" not in page.ids


def test_an_earlier_card_is_replaced_and_another_folder_is_not(tmp_path):
    dataset = fabricate_dataset(with_truth=False, n=20)
    report = tmp_path / "report"
    report.mkdir()
    (report / "report.json").write_text("{}")
    with pytest.raises(FileExistsError, match=r"is not a card"):
        write_card(dataset, report)
    assert [path.name for path in report.iterdir()] == ["report.json"]
    earlier = tmp_path / "card"
    earlier.mkdir()
    for name in ("card.json", "old.txt"):
        (earlier / name).write_text("{}")
    assert write_card(dataset, earlier).exists()
    assert not (earlier / "old.txt").exists()
