"""The law book over every registered metric."""

from functools import lru_cache

import pytest

from cryobench._errors import UnknownName
from cryobench.metrics import METRICS, get_metric, score
from cryobench.testing import METRIC_LAWS, check_metric
from cryobench.testing.metrics import MetricCase


@lru_cache
def case_of(name: str) -> MetricCase:
    return MetricCase(get_metric(name))


@pytest.mark.parametrize("law", METRIC_LAWS)
@pytest.mark.parametrize("name", METRICS)
def test_law(name, law):
    check_metric(get_metric(name), [law], case=case_of(name))


def test_unknown_metric_is_named_with_a_suggestion():
    case = case_of("per-image-fsc")
    with pytest.raises(UnknownName, match="Did you mean 'per-image-fsc'"):
        score(case.results["truth"], case.dataset, ["per-imag-fsc"])
