"""The section of a card that shows the convention check which is kept with the data set."""

from dataclasses import replace

import numpy as np
import pytest

from cryobench.check import check_conventions, keep_check
from cryobench.io.store import load_dataset
from cryobench.report.card.conventions import view_conventions
from cryobench.report.pages.card import write_card
from cryobench.report.scored_runs.inputs import digest_inputs
from page_parser import ParsedPage, check_references
from stored import store_dataset
from toy import toy_dataset


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Of inverted contrast."""
    toy = toy_dataset(n=300)
    folder = tmp_path_factory.mktemp("checked") / "toy"
    store_dataset(replace(toy, particles=replace(toy.particles, sign=-toy.particles.sign)), folder)
    dataset = load_dataset(folder)
    keep_check(check_conventions(dataset, quick=True), folder)
    return dataset


def test_the_card_shows_faults_curves_and_half_maps(checked, tmp_path):
    page = ParsedPage(write_card(checked, tmp_path / "card").read_text(encoding="utf-8"))
    assert "conventions" in page.plots
    assert "adopt --contrast" in page.text
    assert "rotations-transposed" in page.text
    check_references(page, tmp_path / "card")
    for number in (1, 2):
        assert (tmp_path / "card" / "assets" / "conventions" / f"half-map-{number}.png").is_file()
    data = (tmp_path / "card" / "assets" / "card_data.js").read_text()
    assert "reading that was found" in data


def test_a_curve_is_shown_once_where_nothing_was_mended(checked):
    view = view_conventions(checked)
    assert view is not None
    assert view.curves is not None
    assert list(view.curves["curve"].unique()) == ["reading that was found", "poses of other images"]
    found = view.curves[view.curves["curve"] == "reading that was found"]
    # Shells of one over the 96 Å of the box.
    np.testing.assert_allclose(found["frequency"].iloc[:3], [0, 1 / 96, 2 / 96])
    assert view.trials["gain"].is_monotonic_decreasing


def test_a_page_is_out_of_date_after_another_check(checked, tmp_path, monkeypatch):
    monkeypatch.setattr("cryobench.report.scored_runs.inputs.find_commit", lambda: "0" * 40)
    dataset = replace(checked, card={**checked.card, "sha256": "1" * 64})
    with_check = digest_inputs(dataset, [])
    assert with_check is not None
    monkeypatch.setattr("cryobench.report.scored_runs.inputs.read_check", lambda folder: None)
    assert digest_inputs(dataset, []) != with_check
