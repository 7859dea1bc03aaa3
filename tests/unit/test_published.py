"""The numbers of the published sets agree with one another and with the recipes that make these sets."""

import numpy as np
import pytest

from cryobench.recipes import RECIPES, get_recipe
from cryobench.recipes.published import (
    IGG_1D_ANGLES,
    PUBLISHED,
    RIBOSEMBLY_COUNTS,
    RIBOSEMBLY_ENTRIES,
    TOMOTWIN_MASSES_KDA,
)


def test_tables_are_whole():
    assert (len(RIBOSEMBLY_COUNTS), sum(RIBOSEMBLY_COUNTS)) == (16, 335_240)
    assert (min(RIBOSEMBLY_COUNTS), max(RIBOSEMBLY_COUNTS)) == (3_915, 44_366)
    assert len(set(RIBOSEMBLY_ENTRIES)) == 16
    assert (RIBOSEMBLY_ENTRIES[0], RIBOSEMBLY_ENTRIES[-1]) == ("8C8X", "8C9C")
    assert len(TOMOTWIN_MASSES_KDA) == 100
    assert list(TOMOTWIN_MASSES_KDA) == sorted(TOMOTWIN_MASSES_KDA)
    assert (TOMOTWIN_MASSES_KDA[0], TOMOTWIN_MASSES_KDA[-1]) == (156, 1131)
    np.testing.assert_allclose(IGG_1D_ANGLES, np.linspace(0, 356.4, 100), atol=1e-9)


def test_sets_agree_with_their_tables():
    assert {name: each.name for name, each in PUBLISHED.items()} == {name: name for name in PUBLISHED}
    assert PUBLISHED["ribosembly"].n_structures == len(RIBOSEMBLY_COUNTS)
    assert PUBLISHED["tomotwin-100"].n_structures == len(TOMOTWIN_MASSES_KDA)
    assert PUBLISHED["igg-1d"].n_structures == len(IGG_1D_ANGLES)
    boxes = {name: each.box_size * each.pixel_size for name, each in PUBLISHED.items()}
    assert boxes == {"igg-1d": 384, "igg-rl": 384, "ribosembly": 384, "tomotwin-100": 576, "spike-md": 384}
    assert {each.box_size * each.pixel_size / each.simulated_pixel_size for each in PUBLISHED.values()} == {256}


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name in RECIPES])
def test_the_paper_preset_is_the_published_set(name: str):
    recipe, published = get_recipe(name), PUBLISHED[name]
    settings = recipe.settings(**recipe.presets["paper"])
    assert (settings.box_size, settings.pixel_size) == (published.box_size, published.pixel_size)
    assert settings.snr == published.snr
    assert (settings.snr_pixel_size or settings.pixel_size) == published.simulated_pixel_size
