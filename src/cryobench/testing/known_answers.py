"""Scores of known answers on the toy data set, shown on the pages of metrics.

To measure them again after a change of a metric, and then write the pages:

    python -m cryobench.testing.known_answers
    python -m cryobench.metrics.documentation docs/metrics
"""

import dataclasses
import json

import numpy as np

import cryobench.metrics.documentation as pages
from cryobench.data import Reconstruction, RunRecord
from cryobench.metrics.registry import METRICS, get_metric
from cryobench.rng import stream
from cryobench.testing.metrics import MetricCase, reconstruct_control

_FURTHER_CONTROLS = ("consensus", "random-latent")
_WITHOUT = ("cost",)
"""Metrics whose values are not properties of the toy, such as costs."""


def make_known_answers(case: MetricCase) -> dict[str, Reconstruction]:
    """Name -> reconstruction of the toy: the controls, and the truth with modifications."""
    made = {name: dataclasses.replace(answer, record=RunRecord()) for name, answer in case.results.items()}
    truth = case.dataset.truth
    assert truth is not None
    made |= {name: reconstruct_control(name, case.dataset) for name in _FURTHER_CONTROLS}
    best = made["truth"]
    assert best.latents is not None
    assert best.posteriors is not None
    junk = stream(0, "junk dimension of known answers").standard_normal((len(truth), 1))
    latents = np.concatenate([best.latents, junk], axis=1)
    made["truth with a junk dimension"] = Reconstruction(best.queries, latents=latents)
    left_out = stream(0, "half of known answers").permutation(len(truth)) % 2 == 0
    half = {part: getattr(best, part).copy() for part in ("latents", "posteriors")}
    for values in half.values():
        values[left_out] = np.nan
    made["truth, half left out"] = Reconstruction(best.queries, **half)
    return made


def measure_known_answers() -> dict[str, pages.KnownAnswers]:
    """Metric -> answer -> score -> value, of all metrics of this package; with the digits shown in tables.

    An answer that lacks what a metric needs is absent there.
    """
    found: dict[str, pages.KnownAnswers] = {}
    case = MetricCase(get_metric(next(iter(METRICS))))
    answers = make_known_answers(case)
    for name in METRICS:
        if name in _WITHOUT:
            continue
        metric = get_metric(name)()
        kinds = {kind.name: kind for kind in metric.scores}
        found[name] = {
            answer: {
                key: round(score.value, kinds[key].decimals) + 0.0
                for key, score in metric.measure(reconstruction, case.dataset).scores.items()
            }
            for answer, reconstruction in answers.items()
            if metric.explain_missing(reconstruction, case.dataset) is None
        }
    return found


if __name__ == "__main__":
    pages.KNOWN_ANSWERS.write_text(json.dumps(measure_known_answers(), indent=1) + "\n", encoding="utf-8")
    print(pages.KNOWN_ANSWERS)  # noqa: T201
