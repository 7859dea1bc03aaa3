"""The numbers of the published sets agree with one another and with the recipes that make these sets."""

import pytest

from cryobench.recipes import RECIPES, get_recipe
from cryobench.recipes.published import PUBLISHED, RIBOSEMBLY_COUNTS, TOMOTWIN_MASSES_KDA

SETS = {
    "igg-1d": (128, 3.0, 1.5, 0.01),
    "igg-rl": (128, 3.0, 1.5, 0.01),
    "ribosembly": (128, 3.0, 1.5, 0.01),
    "tomotwin-100": (128, 4.5, 2.25, 0.01),
    "spike-md": (256, 1.5, 1.5, 0.1),
}
"""Side in px and pixel size in Å of the released images, pixel size at which their SNR is defined, and that SNR: as
published (Jeon et al., arXiv:2408.05526; 2.25 Å is inferred from the cell of 576 Å, other sets being of 256 px)."""


def test_tables_are_whole():
    assert (len(RIBOSEMBLY_COUNTS), sum(RIBOSEMBLY_COUNTS)) == (16, 335_240)
    assert (min(RIBOSEMBLY_COUNTS), max(RIBOSEMBLY_COUNTS)) == (3_915, 44_366)
    assert len(TOMOTWIN_MASSES_KDA) == 100
    assert list(TOMOTWIN_MASSES_KDA) == sorted(TOMOTWIN_MASSES_KDA)
    assert (TOMOTWIN_MASSES_KDA[0], TOMOTWIN_MASSES_KDA[-1]) == (156, 1131)


def test_every_published_set_has_a_recipe():
    assert set(PUBLISHED) == set(SETS)
    assert set(PUBLISHED) <= set(RECIPES)


@pytest.mark.parametrize("name", SETS)
def test_the_paper_preset_is_the_published_set(name: str):
    recipe, (box_size, pixel_size, simulated_pixel_size, snr) = get_recipe(name), SETS[name]
    settings = recipe.settings(**recipe.presets["paper"])
    assert (settings.box_size, settings.pixel_size) == (box_size, pixel_size)
    assert settings.snr == snr
    assert (settings.snr_pixel_size or settings.pixel_size) == simulated_pixel_size
