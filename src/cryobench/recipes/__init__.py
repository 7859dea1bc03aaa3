"""The data sets: a recipe says what is simulated, ``simulate`` carries it out."""

from cryobench._registry import list_names, load_named
from cryobench.recipes.recipe import Ensemble, FrameEnsemble, Recipe
from cryobench.recipes.settings import SimulationSettings

RECIPES = {
    "custom": "cryobench.recipes.custom:RECIPE",
    "igg-1d": "cryobench.recipes.igg_1d:RECIPE",
    "igg-rl": "cryobench.recipes.igg_rl:RECIPE",
    "ribosembly": "cryobench.recipes.ribosembly:RECIPE",
    "spike-md": "cryobench.recipes.spike_md:RECIPE",
    "tomotwin-100": "cryobench.recipes.tomotwin_100:RECIPE",
}
"""Name of each recipe and where it is."""

GROUP = "cryobench.recipes"
"""Entry-point group by which other packages add theirs."""


def list_recipes() -> list[str]:
    """Names of all recipes: those of this package and those that installed packages add."""
    return list_names(RECIPES, GROUP, Recipe)


def get_recipe(name: str) -> Recipe:
    """The recipe of that name. UnknownName, with near names, if there is none."""
    return load_named("recipe", name, RECIPES, GROUP, Recipe)


__all__ = ["RECIPES", "Ensemble", "FrameEnsemble", "Recipe", "SimulationSettings", "get_recipe", "list_recipes"]
