"""The pages of metrics: those under docs are what the code gives, and say what a reader needs."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cryobench.cli.main import app
from cryobench.metrics import METRICS, Metric, ScoreKind, get_metric
from cryobench.metrics.documentation import describe_metric, list_known_answers, make_pages, write_pages

FOLDER = Path(__file__).parents[3] / "docs" / "metrics"


def test_pages_under_docs_are_current():
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    pages = make_pages()
    stale = sorted(name for name in written.keys() | pages.keys() if written.get(name) != pages.get(name))
    assert not stale, (
        f"docs/metrics is not what the code gives: {stale}. python -m cryobench.metrics.documentation docs/metrics"
    )


@pytest.mark.parametrize("name", list(METRICS))
def test_a_page_says_what_its_class_says(name):
    metric, page = get_metric(name), describe_metric(get_metric(name))
    for kind in metric.scores:
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{kind.name}` |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1:3] == [kind.label, kind.unit or "none"]
        assert cells[4:] == [kind.better, kind.statistic]
    for said in (metric.question, metric.cost, metric.reference, *metric.limits, *metric.invariances):
        assert said in page
    assert all(need in page for need in metric.needs)
    assert f"({name}.md)" in make_pages()["README.md"]


class _Bare(Metric):
    """A metric of another package that says no more than it must."""

    name = "bare"
    label = "Bare"
    scores = (ScoreKind("bare-score", "Bare", "", "lower", -np.inf, 2.5, ignores_identity=True),)
    needs = frozenset({"latents"})
    reference = "none"

    def measure(self, reconstruction, dataset, *, seed=0, progress=None):
        raise NotImplementedError


def test_a_metric_that_says_little_has_a_short_page():
    page = describe_metric(_Bare)
    titles = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert titles == ["Scores", "Needs", "Source"]
    assert "| `bare-score` | Bare | none | −∞ to 2.5 | lower | mean |" in page
    assert "`bare-score` does not distinguish the truth from labels shuffled" in page


def test_pages_are_written(tmp_path):
    paths = write_pages(tmp_path / "pages")
    assert {path.name: path.read_text(encoding="utf-8") for path in paths} == make_pages()


def test_the_command_line_prints_a_page():
    done = CliRunner().invoke(app, ["list", "metrics", "per-image-fsc"], env={"COLUMNS": "80"})
    assert done.exit_code == 0
    for said in ("How similar", "FSC_q(i) = Re", "fsc-auc-normalised-masked", "One map for all", "Limits"):
        assert said in done.output
    (row,) = (line for line in done.output.splitlines() if line.startswith("consensus "))
    assert row.split()[1:] == [list_known_answers(get_metric("per-image-fsc"))[1]["consensus"][5]]
