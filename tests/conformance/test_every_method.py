"""The law book over every registered method."""

from functools import lru_cache

import pytest

from cryobench._errors import UnknownName
from cryobench.methods import METHODS, get_method
from cryobench.metrics import per_image_fsc
from cryobench.testing import METHOD_LAWS, check_method
from cryobench.testing.methods import MethodCase


@lru_cache
def case_of(name: str) -> MethodCase:
    return MethodCase(get_method(name))


LONGEST = ("3d-class-ensemble", "3dflex", "opus-dsd")
"""Methods whose smallest runs take about a second: the gate alone asks all laws of them."""
SHORT = ("is described", "same input, same bits", "withheld poses are refused")
SPREAD = ("3d-class", "3dva", "consensus", "truth-backprojection")
"""Methods of which every tier asks that they spread over workers."""
LAWS = [law for law in METHOD_LAWS if law != "spreads over workers"]


def marked(*values, gate):
    return pytest.param(*values, marks=pytest.mark.gate if gate else ())


@pytest.mark.parametrize(
    ("name", "law"),
    [marked(name, law, gate=name in LONGEST and law not in SHORT) for name in METHODS for law in LAWS],
)
def test_law(name, law):
    check_method(get_method(name), [law], case=case_of(name))


@pytest.mark.parametrize("name", [marked(name, gate=name not in SPREAD) for name in METHODS])
def test_spreads_over_workers(name, two_workers):
    case = case_of(name)
    case.workers = two_workers
    check_method(get_method(name), ["spreads over workers"], case=case)


def test_methods_and_true_labels_beat_shuffled_ones_on_the_toy():
    scores = {
        name: per_image_fsc(case_of(name).answer, case_of(name).dataset)["fsc-auc-normalised-masked"].value
        for name in ("truth", "truth-backprojection", "shuffled-truth", "3d-class", "3dva", "recovar")
    }
    assert scores["truth"] == 1.0
    for name in ("truth-backprojection", "3d-class", "3dva", "recovar"):
        assert scores["shuffled-truth"] < scores[name] < 1, name
    assert scores["3d-class"] > scores["truth-backprojection"] - 0.02


def test_unknown_method_is_named_with_a_suggestion():
    with pytest.raises(UnknownName, match="Did you mean '3d-class'"):
        get_method("3d-clas")
