"""Recipes by name; packages add their own through the entry-point group."""

from typing import TYPE_CHECKING

from cryobench._registry import Entry, list_names, load_named

if TYPE_CHECKING:
    from cryobench.recipes.recipe import Recipe

RECIPES = {
    "custom": Entry("cryobench.recipes.custom:RECIPE", "Custom: your own structures"),
    "igg-1d": Entry("cryobench.recipes.igg_1d:RECIPE", "IgG-1D: one Fab rotated through a full circle"),
    "igg-rl": Entry("cryobench.recipes.igg_rl:RECIPE", "IgG-RL: one Fab on a disordered linker"),
    "ribosembly": Entry("cryobench.recipes.ribosembly:RECIPE", "Ribosembly: assembly of a ribosomal subunit"),
    "spike-md": Entry("cryobench.recipes.spike_md:RECIPE", "Spike-MD: the spike protein, one conformation per image"),
    "tomotwin-100": Entry(
        "cryobench.recipes.tomotwin_100:RECIPE", "Tomotwin-100: a mixture of 100 different complexes"
    ),
}
"""Location and title of each recipe by name."""

GROUP = "cryobench.recipes"
"""Entry-point group for recipes of other packages."""

BASE = "cryobench.recipes.recipe:Recipe"
"""Type of the registered objects."""


def list_recipes() -> list[str]:
    """Names of all recipes: those of this package and of installed packages."""
    return list_names(RECIPES, GROUP, BASE)


def get_recipe(name: str) -> "Recipe":
    """Recipe of that name. UnknownName, with similar names, if there is none."""
    return load_named("recipe", name, RECIPES, GROUP, BASE)
