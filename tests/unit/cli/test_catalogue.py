"""``cryobench list`` says of each thing what the thing itself says."""

import pytest

from cryobench._errors import UnknownName
from cryobench.cli.catalogue import describe_itself, show_catalogue
from cryobench.importers import IMPORTERS
from cryobench.methods import METHODS
from cryobench.recipes import RECIPES, get_recipe

REGISTRIES = {"recipes": RECIPES, "methods": METHODS, "importers": IMPORTERS}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_lines_of_a_list_are_those_of_what_it_lists(kind):
    lines = {name: entry.what for name, entry in REGISTRIES[kind].items()}
    assert lines == {name: describe_itself(kind, name) for name in lines}


def test_a_recipe_is_listed_with_its_version_and_its_molecules(capsys):
    show_catalogue("recipes", "spike-md")
    printed = " ".join(capsys.readouterr().out.split())
    recipe = get_recipe("spike-md")
    assert f"version: {recipe.version} " in printed
    assert f"molecules: {recipe.sources} --structure: {recipe.alternatives} " in printed


def test_a_name_alone_is_found_in_whatever_kind_it_is(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for name, words in (
        ("igg-1d", "--set KEY=VALUE"),
        ("ari", None),
        ("labels", "Formula"),
        ("3d-class", "n_classes"),
    ):
        if words is None:
            with pytest.raises(UnknownName, match="no recipe, method, metric or importer named 'ari'"):
                show_catalogue(name, None)
            continue
        show_catalogue(name, None)
        printed = capsys.readouterr().out
        assert words in printed
        assert max(map(len, printed.splitlines())) <= 80
    show_catalogue("cryodrgn", None)
    printed = capsys.readouterr().out
    assert printed.startswith("methods\n")
    assert "\nimporters\n" in printed
    with pytest.raises(UnknownName, match="no recipe, method, metric or importer named 'ari'") as refused:
        show_catalogue("ari", None)
    assert str(refused.value).count("cryodrgn,") == 1  # a method, and an importer
    with pytest.raises(UnknownName, match="no kind named 'labels'"):
        show_catalogue("labels", "methods")
