"""Resamples drawn directly against resamples drawn particle by particle."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from cryobench.metrics.resampling import centred_interval, resample_means, resample_medians, resample_table


@pytest.mark.parametrize("n", [1, 2, 7, 8, 31, 40])
def test_medians_are_those_of_plain_resamples(n: int, rng: np.random.Generator) -> None:
    values = rng.normal(size=n)
    direct = resample_medians(values, resamples=4000)
    plain = np.median(values[rng.integers(n, size=(4000, n))], axis=1)
    # Kolmogorov-Smirnov on 4,000 against 4,000: 1e-4 is exceeded by chance once in 10,000.
    assert ks_2samp(direct, plain).pvalue > 1e-4
    assert np.isin(direct.round(12), ((values[:, None] + values) / 2).round(12)).all()


def test_means_are_those_of_plain_resamples(rng: np.random.Generator) -> None:
    rows = np.stack([rng.normal(size=50), rng.exponential(size=50)], axis=1)
    direct = resample_means(rows, resamples=4000)
    plain = rows[rng.integers(50, size=(4000, 50))].mean(axis=1)
    assert direct.shape == (4000, 2)
    for column in range(2):
        assert ks_2samp(direct[:, column], plain[:, column]).pvalue > 1e-4
    # Columns are means over the same resamples, so that they vary together.
    assert np.corrcoef(direct.T)[0, 1] == pytest.approx(np.corrcoef(rows.T)[0, 1], abs=0.1)


def test_rows_that_are_alike_are_drawn_by_number(rng: np.random.Generator) -> None:
    groups = rng.integers(4, size=60)
    rows = rng.normal(size=(4, 2))[groups]
    direct, plain = resample_means(rows, groups=groups, resamples=4000), resample_means(rows, resamples=4000)
    for column in range(2):
        assert ks_2samp(direct[:, column], plain[:, column]).pvalue > 1e-4


def test_tables_are_those_of_plain_resamples(rng: np.random.Generator) -> None:
    cells = rng.integers(4, size=60)
    counts = np.bincount(cells, minlength=4)
    direct = resample_table(counts, lambda drawn: drawn.max(axis=1), resamples=4000)
    plain = [np.bincount(cells[rng.integers(60, size=60)], minlength=4).max() for _ in range(4000)]
    assert ks_2samp(direct, plain).pvalue > 1e-4


def test_blocks_do_not_change_the_resamples(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    counts = rng.integers(1, 9, size=5)
    whole = resample_table(counts, lambda drawn: drawn.astype(float), seed=3, resamples=50)
    monkeypatch.setattr("cryobench.metrics.resampling._BLOCK", 35)
    assert np.array_equal(resample_table(counts, lambda drawn: drawn.astype(float), seed=3, resamples=50), whole)


def test_a_biased_bootstrap_is_centred_and_kept_in_range() -> None:
    samples = np.linspace(0.2, 0.6, 1001)
    low, high = centred_interval(0.1, samples, low=0.0, high=1.0)
    assert low == 0.0  # 0.1 - 0.19 is below the range
    assert high == pytest.approx(0.29)
    assert centred_interval(1.0, np.ones(10), low=0.0, high=1.0) == (1.0, 1.0)
