"""``cryobench check`` and what ``adopt`` and ``run`` make of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from cryobench.check import read_check
from cryobench.cli.main import app
from cryobench.io.formats.mrc import write_volume
from cryobench.io.store import load_dataset
from cryobench.volumes import mirror_volume
from cryobench.volumes.regrid import regrid_volume
from stored import store_dataset
from toy import toy_dataset


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """A table whose shifts have the other sign, with its stack."""
    folder = tmp_path_factory.mktemp("wrong") / "source"
    toy = toy_dataset(n=300)
    particles = replace(toy.particles, shifts=-toy.particles.shifts, mask=None)
    store_dataset(replace(toy, particles=particles, truth=None), folder)
    return folder


@pytest.mark.gate
def test_adopt_warns_and_what_it_says_mends(wrong, tmp_path):
    first = call("adopt", wrong / "particles.star", "-o", tmp_path / "first", "--contrast", "dark")
    assert first.exit_code == 0, (first.output, first.exc_info)
    assert "WRONG: shifts have the other sign" in first.output
    assert "adopt --mend shifts-negated" in first.output
    checked = call("check", tmp_path / "first", "--json")
    assert checked.exit_code == 3
    assert json.loads(checked.output)["faults"][0]["name"] == "shifts-negated"
    ran = call("run", "consensus", tmp_path / "first", "-o", tmp_path / "run")
    assert "does not agree with its images: shifts have the other sign" in ran.output
    scored = call("score", tmp_path / "run")
    assert "does not agree with its images: shifts have the other sign" in scored.output
    mended = call(
        "adopt", wrong / "particles.star", "-o", tmp_path / "second", "--contrast", "dark", "--mend", "shifts-negated"
    )
    assert mended.exit_code == 0, mended.output
    assert "WRONG" not in mended.output
    np.testing.assert_allclose(
        load_dataset(tmp_path / "second").particles.shifts, -load_dataset(wrong).particles.shifts, atol=1e-4
    )
    table = call("check", tmp_path / "second")
    assert table.exit_code == 0
    assert "rotations-transposed" in table.output
    assert "The conventions agree with the images" in table.output
    repeated = call(
        "adopt", wrong / "particles.star", "-o", tmp_path / "second", "--contrast", "dark", "--mend", "shifts-negated"
    )
    assert repeated.exit_code == 0, repeated.output


def test_maps_of_known_hand_are_compared_as_they_are_given(tmp_path):
    toy = toy_dataset(n=300)
    dataset = store_dataset(replace(toy, truth=None), tmp_path / "data")
    assert toy.truth is not None
    volume = mirror_volume(toy.truth.volumes.read(0))
    write_volume(tmp_path / "maps" / "other.mrc", regrid_volume(volume, 4.0, box_size=48, new_pixel_size=2.0), 2.0)
    checked = call("check", tmp_path / "data", "--particles", 200, "--references", tmp_path / "maps")
    assert checked.exit_code == 3, checked.output
    assert "WRONG: poses have the other hand" in " ".join(checked.output.split())
    assert "are resampled in Fourier space to 24 of 4 Å" in " ".join(checked.output.split())
    check = read_check(dataset.path)
    assert check is not None
    assert check.found["references"]["aligned"]["other_hand"] > check.found["references"]["aligned"]["same_hand"]
    missing = call("check", tmp_path / "data", "--references", tmp_path / "nowhere")
    assert missing.exit_code != 0
    assert "nowhere does not exist" in " ".join((missing.output + str(missing.exception)).split())
