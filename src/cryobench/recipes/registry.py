"""Recipes by name; packages add their own through the entry-point group."""

from typing import TYPE_CHECKING

from cryobench._registry import Entry, list_names, load_named

if TYPE_CHECKING:
    from cryobench.recipes.recipe import Recipe

RECIPES = {
    "custom": Entry("cryobench.recipes.custom:RECIPE", "Custom: structures of your own"),
    "igg-1d": Entry("cryobench.recipes.igg_1d:RECIPE", "IgG-1D: one Fab turned through a full circle"),
    "igg-rl": Entry("cryobench.recipes.igg_rl:RECIPE", "IgG-RL: one Fab on a disordered linker"),
    "ribosembly": Entry("cryobench.recipes.ribosembly:RECIPE", "Ribosembly: a ribosomal subunit being assembled"),
    "spike-md": Entry("cryobench.recipes.spike_md:RECIPE", "Spike-MD: the spike protein, one conformation per image"),
    "tomotwin-100": Entry(
        "cryobench.recipes.tomotwin_100:RECIPE", "Tomotwin-100: a mixture of 100 different complexes"
    ),
}
"""Name of each recipe, where it is, and its title."""

GROUP = "cryobench.recipes"
"""Entry-point group by which other packages add theirs."""

BASE = "cryobench.recipes.recipe:Recipe"
"""What those are."""


def list_recipes() -> list[str]:
    """Names of all recipes: those of this package and those that installed packages add."""
    return list_names(RECIPES, GROUP, BASE)


def get_recipe(name: str) -> "Recipe":
    """The recipe of that name. UnknownName, with near names, if there is none."""
    return load_named("recipe", name, RECIPES, GROUP, BASE)
