"""What every recipe must do, asked of each by being registered."""

import numpy as np
import pytest

from cryobench.methods import get_method
from cryobench.metrics.volumes.heterogeneity import heterogeneity_fsc
from cryobench.recipes import RECIPES, get_recipe
from cryobench.recipes.simulate import build_settings, simulate

ALL = pytest.mark.parametrize("name", list(RECIPES))


@ALL
def test_card_is_complete(name):
    recipe = get_recipe(name)
    assert recipe.name == name
    for text in (recipe.title, recipe.description, recipe.heterogeneity, recipe.sources):
        assert text.strip()
    assert "arXiv" in recipe.citation or "doi" in recipe.citation.lower()


@ALL
def test_every_setting_is_explained(name):
    for key, field in get_recipe(name).settings.model_fields.items():
        assert field.description, key


@ALL
def test_presets_are_valid_and_molecules_fit_into_each(name):
    recipe = get_recipe(name)
    presets = [build_settings(recipe, preset, {}) for preset in ("lite", "tiny", "paper", "realistic")]
    ensemble = recipe.ensemble(presets[0], recipe.choose_structures([]))
    reach = np.abs(ensemble.model(len(ensemble.counts) // 2).positions).max()
    assert reach < min(settings.box_size * settings.pixel_size for settings in presets) / 2


FEWER = {"spike-md": {"n_frames": 120}}
"""Where every image is a state of its own, whose volume is rendered when it is asked for: not a thousand of them."""


@pytest.fixture(scope="module", params=list(RECIPES))
def tiny(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "data"
    return simulate(request.param, folder, preset="tiny", settings=FEWER.get(request.param, {}), seed=0)


def test_tiny_data_set_holds_together(tiny):
    dataset, truth = tiny, tiny.truth
    assert truth is not None
    assert len(truth) == len(dataset.particles)
    assert set(np.unique(truth.states)) == set(range(len(truth.volumes)))
    assert dataset.particles.mask is not None
    inside = dataset.particles.mask > 0.5
    for state in (0, len(truth.volumes) - 1):
        volume = truth.volumes.read(state)
        assert volume[inside].sum() > 0.95 * volume.sum()
    # It is a mask: it does not reach the border, and most of the box is outside.
    border = np.ones_like(inside)
    border[1:-1, 1:-1, 1:-1] = False
    assert not (dataset.particles.mask > 0)[border].any()
    assert inside.mean() < 0.25
    assert dataset.card["plan"]["seed"] == 0


def test_heterogeneity_fsc_tells_the_truth_from_one_map_for_all(tiny):
    """The published per-image FSC need not: on rigid molecules a consensus scores near the truth."""
    scores = {}
    for name in ("truth", "consensus"):
        control = get_method(name)().with_truth(tiny.truth)
        scores[name] = heterogeneity_fsc(control.reconstruct(tiny.particles, queries=tiny.queries), tiny)
    for score in ("deviation-fsc-auc-normalised", "deviation-fsc-auc-normalised-masked"):
        assert scores["truth"][score].value == pytest.approx(1, abs=1e-6)
        assert scores["consensus"][score].value == 0
    assert scores["truth"]["variance-fsc-gain"].value == pytest.approx(1, abs=1e-6)
    assert scores["consensus"]["variance-fsc-gain"].value <= 0
