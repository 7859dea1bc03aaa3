"""A sweep makes data sets that differ in one setting and in nothing else."""

import numpy as np
import pandas as pd
import pytest

from cryobench._errors import UnknownName
from cryobench.cli.values import parse_range, parse_sweep, spread_values
from cryobench.recipes.sweep import sweep

SMALL = {"box_size": 24, "pixel_size": 16.0, "resolution": 16.0, "n_states": 2, "images_per_state": 20}


def test_only_the_noise_differs(tmp_path):
    loud, quiet = sweep("igg-1d", tmp_path, vary="snr", values=[0.1, 0.4], preset="tiny", settings=SMALL, seed=2)
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert table["dataset"].tolist() == ["snr-0.1", "snr-0.4"]
    assert [dataset.card["plan"]["seed"] for dataset in (loud, quiet)] == [2, 2]
    assert table["snr"].tolist() == [0.1, 0.4]
    assert table["sha256"].tolist() == [loud.card["sha256"], quiet.card["sha256"]]
    np.testing.assert_array_equal(loud.particles.rotations, quiet.particles.rotations)
    np.testing.assert_array_equal(loud.particles.ctf.defocus_u, quiet.particles.ctf.defocus_u)
    np.testing.assert_array_equal(loud.truth.states, quiet.truth.states)
    # Half the noise, the same signal: loud = signal + 2 noise, quiet = signal + noise.
    first, second = (dataset.particles.read(np.arange(20)) for dataset in (loud, quiet))
    noise = first - second
    assert noise.var() == pytest.approx(quiet.truth.state_facts["noise_variance"][0], rel=0.05)
    signal = second - noise
    assert signal.var() / noise.var() == pytest.approx(0.4, rel=0.2)


def test_the_published_series_of_noise_levels(tmp_path):
    made = sweep("igg-1d", tmp_path, series="noise", preset="tiny", settings={**SMALL, "images_per_state": 1})
    assert [dataset.card["plan"]["settings"]["snr"] for dataset in made] == [0.01, 0.005, 0.001]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "expected either a setting"),
        ({"vary": "snr", "values": [1.0], "series": "noise"}, ValueError, "expected either a setting"),
        ({"vary": "snr", "values": []}, ValueError, "distinct values"),
        ({"vary": "snr", "values": [0.1, 0.1]}, ValueError, "distinct values"),
        ({"vary": "snr", "values": [0.1, -1]}, ValueError, "setting snr"),
        ({"vary": "snr", "values": [0.1], "settings": {"snr": 1}}, ValueError, "cannot also be set"),
        ({"vary": "snrr", "values": [0.1]}, UnknownName, "snr"),
        ({"series": "noisy"}, UnknownName, "noise"),
    ],
)
def test_a_wrong_sweep_is_refused_before_anything_is_made(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        sweep("igg-1d", tmp_path / "series", preset="tiny", **arguments)
    assert not (tmp_path / "series").exists()


def test_options_of_the_command_line():
    assert parse_sweep("snr=0.1,1,auto") == ("snr", [0.1, 1, "auto"])
    assert parse_range("5:60") == (5, 60)
    for wrong in ("5", "a:b", "5:", "-1:4"):
        with pytest.raises(ValueError, match="FIRST:STOP"):
            parse_range(wrong)
    with pytest.raises(ValueError, match="KEY=VALUE"):
        parse_sweep("snr")
    given = ["--structure", "a.pdb", "b.cif", "--weights", "0.7", "-0.3", "-o", "out"]
    spread = ["--structure", "a.pdb", "--structure", "b.cif", "--weights", "0.7", "--weights", "-0.3", "-o", "out"]
    assert spread_values(given) == spread
    assert spread_values(spread) == spread
    assert spread_values(["run", "truth", "data", "-o", "run"]) == ["run", "truth", "data", "-o", "run"]


@pytest.mark.parametrize("text", ["snr", "snr=", "=1,2", " =1"])
def test_what_varies_is_a_setting_with_its_values(text):
    with pytest.raises(ValueError, match="--vary expects KEY=VALUE,VALUE"):
        parse_sweep(text)
