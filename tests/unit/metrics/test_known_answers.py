"""The known answers on the pages of metrics are what the metrics of today give."""

import pytest

from cryobench.metrics import METRICS, get_metric
from cryobench.metrics.documentation import describe_metric, list_known_answers, read_known_answers
from cryobench.testing.known_answers import measure_known_answers


@pytest.fixture(scope="module")
def measured():
    return measure_known_answers()


def test_known_answers_are_current(measured):
    """To a percent, as last digits are of the machine."""
    stored = read_known_answers()
    assert list(stored) == list(measured)
    for metric, answers in measured.items():
        said = "python -m cryobench.testing.known_answers measures anew what is shown of " + metric
        assert {answer: list(scores) for answer, scores in answers.items()} == {
            answer: list(scores) for answer, scores in stored[metric].items()
        }, said
        for answer, scores in answers.items():
            assert stored[metric][answer] == pytest.approx(scores, rel=0.01, abs=0.004), f"{said} ({answer})"


def test_sentences_on_pages_are_true_of_the_toy(measured):
    """Numbers and orders that texts of classes state."""
    images, spread = measured["per-image-fsc"], measured["heterogeneity-fsc"]
    key = "fsc-auc-normalised-masked"
    assert images["truth"][key] == 1
    assert images["consensus"][key] > 0.95 * images["truth-backprojection"][key] > images["shuffled-truth"][key]
    gain, deviation = "variance-fsc-gain", "deviation-fsc-auc-normalised-masked"
    assert (spread["truth"][gain], spread["truth"][deviation]) == (1, 1)
    assert spread["consensus"][deviation] == 0 > spread["consensus"][gain]
    assert spread["consensus"]["variance-fsc-auc"] > 0
    assert abs(spread["shuffled-truth"][deviation]) < 0.1 < -spread["shuffled-truth"][gain]
    there, back = "imbalance-latent-to-truth", "imbalance-truth-to-latent"
    imbalance = measured["information-imbalance"]
    best, half, junk = (imbalance[each] for each in ("truth", "truth, half left out", "truth with a junk dimension"))
    assert half[there] == pytest.approx((best[there] + 1) / 2, abs=0.01)
    assert junk[back] > best[back] + 0.1 > junk[there]
    assert measured["composition"]["truth, half left out"]["occupancy-error"] > 0
    for metric, score in (("labels", "label-accuracy"), ("decodability", "decodability-linear")):
        assert measured[metric]["truth, half left out"][score] == 0.5
    assert measured["populations"]["truth, half left out"]["population-error"] == 0.5
    assert measured["populations"]["shuffled-truth"]["population-error"] == 0
    assert measured["coverage"]["truth, half left out"]["coverage"] == 50
    assert measured["labels"]["consensus"]["ari"] == measured["labels"]["consensus"]["ami"] == 0
    assert measured["decodability"]["random-latent"]["decodability-knn"] == pytest.approx(-0.1, abs=0.05)


def test_pages_show_every_value():
    for name in METRICS:
        page = describe_metric(get_metric(name))
        kinds, answers = list_known_answers(get_metric(name))
        assert bool(kinds) is (name != "cost")
        for answer, cells in answers.items():
            assert f"| {answer} | {' | '.join(cells)} |" in page
