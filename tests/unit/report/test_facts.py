"""What is said of a data set in words, and the command that makes it again."""

import shlex
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cryobench.atoms import find_entry
from cryobench.cli.dataset_summary import print_summary
from cryobench.cli.values import parse_settings
from cryobench.compute import format_bytes
from cryobench.data import CollectiveVariable, Dataset
from cryobench.recipes import get_recipe
from cryobench.report.card.command import changed_settings, make_command
from cryobench.report.card.facts import describe_dataset, pose_errors, spread
from cryobench.rotations import rotations_from_euler
from fabricated import N_STATES, fabricate_dataset
from stored import store_dataset
from toy import toy_dataset


@pytest.fixture(scope="module")
def dataset():
    return fabricate_dataset()


def _facts(dataset: Dataset, group: str) -> dict[str, str]:
    return dict(describe_dataset(dataset)[group])


def _plan(**changes) -> dict:
    recipe = get_recipe("igg-1d")
    settings = recipe.settings.model_validate({**recipe.presets["tiny"], **changes}).model_dump(mode="json")
    return {"recipe": "igg-1d", "preset": "tiny", "settings": settings, "seed": 3, "structures": []}


def test_particles_and_ctf_in_house_numbers(dataset):
    particles = _facts(dataset, "Particles")
    assert particles["particles"] == "100"
    assert particles["box"] == "32 px (192 Å)"
    mask = dataset.particles.mask
    assert particles["mask"].startswith(f"{mask.sum() * 0.216:,.4g} nm³")
    ctf = _facts(dataset, "Contrast transfer")
    mean = (dataset.particles.ctf.defocus_u + dataset.particles.ctf.defocus_v).mean() / 2e4
    assert f"mean {mean:.3g}" in ctf["defocus"]
    assert ctf["voltage"] == "300\u00a0kV"


def test_poses_are_told_as_they_are_given(dataset):
    particles = dataset.particles
    assert _facts(dataset, "Particles")["poses"] == "given to methods without errors"
    withheld = replace(dataset, particles=replace(particles, rotations=None, shifts=None))
    assert _facts(withheld, "Particles")["poses"] == "withheld from methods"
    off = rotations_from_euler(np.deg2rad([[0.0, 3.0, 0.0]]))[0] @ particles.rotations
    wrong = replace(dataset, particles=replace(particles, rotations=off, shifts=particles.shifts + np.array([3, 4])))
    assert _facts(wrong, "Particles")["poses"] == "given to methods with errors: 3° and 5 Å (root mean square)"
    labels_only = replace(dataset, truth=replace(dataset.truth, rotations=None, shifts=None))
    assert _facts(labels_only, "Particles")["poses"] == "given to methods"


@pytest.mark.parametrize("degrees", [1e-4, 2.0, 180.0])
def test_pose_errors_of_a_known_turn(degrees, rng):
    rotations = rotations_from_euler(rng.uniform(0, 3, (5, 3)))
    turned = rotations_from_euler(np.deg2rad([[0.0, degrees, 0.0]]))[0] @ rotations
    angle, distance = pose_errors(turned, rotations, np.zeros((5, 2)), np.tile([0.3, 0.4], (5, 1)))
    assert angle == pytest.approx(degrees, rel=1e-5)
    assert distance == pytest.approx(0.5)


def test_errors_of_the_ctf_are_told(dataset):
    ctf = dataset.particles.ctf
    shifted = {"defocus_u": ctf.defocus_u + 200, "defocus_v": ctf.defocus_v + 200}
    true = replace(ctf, **shifted, defocus_angle=ctf.defocus_angle + np.pi + 0.02)
    told = _facts(replace(dataset, truth=replace(dataset.truth, ctf=true)), "Contrast transfer")
    assert told["given to methods with errors"].startswith("defocus 20 nm, astigmatism angle 1.15° ")
    assert "given to methods with errors" not in _facts(dataset, "Contrast transfer")


def test_snr_by_both_definitions(dataset):
    card = {
        **dataset.card,
        "snr": {"asked": 0.1, "asked_at_pixel_size": 1.5, "all_pixels": 0.098, "inside_disc": 0.4},
    }
    facts = _facts(replace(dataset, card=card), "Signal and noise")
    assert facts == {
        "SNR over all pixels": "0.098",
        "SNR inside the molecule's disc": "0.4",
        "requested SNR": "0.1 at 1.5 Å per pixel",
    }
    assert _facts(replace(dataset, card={"name": "adopted"}), "Signal and noise") == {"SNR": "not recorded"}


def test_truth_with_circles_and_junk(dataset):
    n = len(dataset.particles)
    junk = CollectiveVariable(np.repeat([0.0, 1.0, 2.0, 3.0], [70, 15, 10, 5]), "")
    states = np.where(junk.values > 0, -1, dataset.truth.states)
    truth = replace(dataset.truth, states=states, variables={**dataset.truth.variables, "junk": junk})
    facts = _facts(replace(dataset, truth=truth), "Truth")
    assert facts["particles without a state"] == f"30 ({30 / n:.1%})"
    assert facts["junk"] == "noise only 15.0%, another molecule 10.0%, two particles 5.0%"
    assert facts["variable dihedral"] == "0 to 342°, on a circle of 360°"
    assert "variable junk" not in facts
    assert "none" in _facts(replace(dataset, truth=None), "Truth")["truth"]


def test_files_are_added_up_by_kind(tmp_path):
    stored = store_dataset(toy_dataset(size=16, n=30), tmp_path / "toy")
    facts = _facts(stored, "Files")
    images, truth = (tmp_path / "toy" / "particles.mrcs").stat().st_size, (tmp_path / "toy" / "truth").rglob("*")
    sizes = [path.stat().st_size for path in truth if path.is_file()]
    assert facts["images"] == f"{format_bytes(images)} in 1 file"
    assert facts["truth"] == f"{format_bytes(sum(sizes))} in {len(sizes)} files"
    assert facts["SHA-256"] == stored.card["sha256"]


def test_numbers_in_words():
    assert spread(np.array([2.0, np.nan, 2.0]), "mm") == "2\u00a0mm"
    assert spread(np.array([np.nan]), "mm") == "not known"


@pytest.mark.parametrize(
    "changes",
    [{}, {"snr": 0.3, "n_states": 7}, {"orientation": "Watson", "orientation_axis": (0, 1, 0)}, {"heavy_chain": "7"}],
)
def test_the_command_gives_the_same_settings_again(changes):
    plan = _plan(**changes)
    words = shlex.split(make_command({"name": "antibody", "plan": plan}))
    assert words[:3] == ["cryobench", "simulate", "igg-1d"]
    assert words[words.index("--seed") + 1] == "3"
    sets = [value for key, value in pairwise(words) if key == "--set"]
    assert len(sets) == len(changes)
    recipe = get_recipe("igg-1d")
    again = recipe.settings.model_validate({**recipe.presets["tiny"], **parse_settings(sets)})
    assert again.model_dump(mode="json") == plan["settings"]


def test_the_command_names_structures_and_parts():
    plan = {**_plan(), "structures": [{"name": "rcsb:1HZH", "sha256": "ab"}], "particles": [50, 60]}
    command = make_command({"name": "my antibody", "plan": plan})
    assert "-o 'my antibody'" in command
    assert "--structure rcsb:1HZH" in command
    assert "--particles 50:60" in command
    assert make_command({"name": "adopted"}) is None
    assert "--set snr=0.5" in make_command({"plan": {"recipe": "somebody's", "settings": {"snr": 0.5}}})


def test_the_recipes_own_structure_needs_no_name_and_another_version_has_no_command():
    entry, here = find_entry("1HZH"), get_recipe("igg-1d").version
    own = {**_plan(), "structures": [{"name": entry.file, "sha256": entry.sha256}], "recipe_version": here}
    assert "--structure" not in make_command({"plan": own})
    assert make_command({"plan": {**own, "recipe_version": here - 1}}) is None


def test_the_version_of_the_recipe_is_said(dataset):
    here = get_recipe("igg-1d").version
    cards = [{"plan": {**_plan(), "recipe_version": version}} for version in (here, here - 1)]
    same, older = (_facts(replace(dataset, card=card), "Overview")["recipe"] for card in cards)
    assert same == f"igg-1d, version {here}, preset tiny"
    assert f"this cryobench has version {here}" in older


def test_settings_that_are_on_are_listed_with_their_words():
    rows = {name: rest for name, *rest in changed_settings({"plan": _plan(junk_noise=0.1)})}
    assert rows["junk_noise"][:2] == [0.1, 0.0]
    assert "noise only" in rows["junk_noise"][2]
    assert "defocus_mean" not in rows
    assert "orientation_axis" not in rows


def test_show_prints_facts_states_settings_and_command(dataset, capsys):
    print_summary(replace(dataset, card={**dataset.card, "plan": _plan()}))
    printed = capsys.readouterr().out
    for words in ("blobs <on> a circle", "dihedral / °", "342", "n_states", "cryobench simulate igg-1d", "Contrast"):
        assert words in printed
    assert len([line for line in printed.splitlines() if line.strip().partition(" ")[0].isdecimal()]) == N_STATES


def test_show_counts_many_states_and_reads_no_volume(dataset, capsys, rng):
    class Unread:
        box_size = 32

        def __len__(self) -> int:
            return 100_000

        def read(self, index: int) -> np.ndarray:
            raise AssertionError(f"volume {index} was read")

    states = rng.integers(0, 100_000, len(dataset.particles))
    print_summary(replace(dataset, truth=replace(dataset.truth, states=states, volumes=Unread())))
    printed = capsys.readouterr().out
    assert "100,000, of 0 to " in printed
    assert "particles per state" in printed
    assert len(printed.splitlines()) < 80


def test_show_without_truth_and_with_square_brackets(capsys):
    dataset = fabricate_dataset(with_truth=False, n=20)
    print_summary(replace(dataset, card={"name": "[bold]mine[/bold]", "title": "a [b] c"}))
    printed = capsys.readouterr().out
    assert "[bold]mine[/bold]" in printed
    assert "a [b] c" in printed
    assert "none: methods can run" in printed
    assert "The command" not in printed
