"""``cryobench list`` says of each thing what the thing itself says."""

import pytest

from cryobench.cli.catalogue import describe
from cryobench.importers import IMPORTERS
from cryobench.methods import METHODS
from cryobench.metrics import METRICS
from cryobench.recipes import RECIPES

REGISTRIES = {"recipes": RECIPES, "methods": METHODS, "metrics": METRICS, "importers": IMPORTERS}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_lines_of_a_list_are_those_of_what_it_lists(kind):
    lines = {name: entry.what for name, entry in REGISTRIES[kind].items()}
    assert lines == {name: describe(kind, name) for name in lines}
