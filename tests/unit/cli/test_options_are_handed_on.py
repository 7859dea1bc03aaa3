"""Every option of every command reaches what it is for, under its own name and with its value."""

import dataclasses
import inspect
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cryobench.cli.main import app
from cryobench.compute import Compute

MACHINE = {
    "--device": ("cuda", "device", "cuda"),
    "--precision": ("bfloat16", "precision", "bfloat16"),
    "--memory": ("3GB", "memory", "3GB"),
    "--workers": ("2", "workers", 2),
    "--scheduler": ("tcp://here:1", "scheduler", "tcp://here:1"),
}
SEED, SET = ("3", "seed", 3), ("box=12", "settings", {"box": 12})
DATASET, BOX = ("elsewhere", "dataset", Path("elsewhere")), ("16", "box_size", 16)
PRESET, STRUCTURE = ("tiny", "preset", "tiny"), ("a.pdb", "structures", ["a.pdb"])
WORKERS = MACHINE["--workers"]


def path(name: str, word: str | None = None) -> tuple[str, str, Path]:
    return f"{name}.x", word or name, Path(f"{name}.x")


CASES: dict[str, tuple[str, list[str], dict[str, tuple[str | None, str, Any]]]] = {
    "demo": ("cli.demo_workflow.run_demo", [], {"--output": path("output"), "--seed": SEED}),
    "simulate": (
        "recipes.simulate.simulate",
        ["igg-1d", "-o", "out"],
        {
            "--output": path("out", "folder"),
            "--preset": PRESET,
            "--structure": STRUCTURE,
            "--weights": ("0.5", "settings", {"weights": [0.5]}),
            "--snr": ("0.5", "settings", {"snr": 0.5}),
            "--particles": ("3:8", "particles", (3, 8)),
            "--seed": SEED,
            "--set": SET,
            "--workers": WORKERS,
        },
    ),
    "sweep": (
        "recipes.sweep.sweep",
        ["igg-1d", "-o", "out", "--vary", "snr=1"],
        {
            "--output": path("out", "folder"),
            "--vary": ("snr=1,0.5", "values", [1, 0.5]),
            "--series": ("noise", "series", "noise"),
            "--preset": PRESET,
            "--structure": STRUCTURE,
            "--seed": SEED,
            "--set": SET,
            "--workers": WORKERS,
        },
    ),
    "adopt": (
        "runs.adopt.adopt",
        ["a.star", "-o", "out"],
        {
            "--output": path("out", "folder"),
            **{
                f"--{name.replace('_', '-')}": path(name)
                for name in ("labels", "volumes", "mask", "poses", "ctf", "datadir", "queries", "poses_of")
            },
            "--passthrough": ("b.cs", "passthrough", [Path("b.cs")]),
            "--shift-unit": ("pixel", "shift_unit", "pixel"),
            "--contrast": ("dark", "contrast", "dark"),
            "--name": ("mine", "name", "mine"),
            "--n-queries": ("7", "n_queries", 7),
            "--mend": ("shifts-negated", "mend", ["shifts-negated"]),
        },
    ),
    "download": (
        "io.published.download.download_set",
        ["igg-1d"],
        {
            "--output": path("out", "folder"),
            "--what": ("images", "part", "images"),
            "--file": ("a.zip", "names", ["a.zip"]),
            "--keep-archive": (None, "keep_archive", True),
        },
    ),
    "run": (
        "runs.run.run",
        ["3d-class", "data", "-o", "out"],
        {
            "--output": path("out", "folder"),
            "--preset": PRESET,
            "--set": SET,
            "--mask": ("none", "mask", "none"),
            "--more-epochs": ("4", "more_epochs", 4),
            "--seed": SEED,
            **MACHINE,
        },
    ),
    "reproduce": (
        "runs.reproduce.reproduce",
        ["run", "-o", "out"],
        {
            "--output": path("output"),
            "--dataset": DATASET,
            "--mask": path("mask"),
            "--device": MACHINE["--device"],
            "--memory": MACHINE["--memory"],
        },
    ),
    "volumes": (
        "runs.decode.write_volumes",
        ["run", "-o", "out"],
        {
            "--output": path("out", "folder"),
            "--particles": ("5", "particles", [5]),
            "--latents": path("latents"),
            "--states": (None, "states", True),
            "--box": BOX,
            "--dataset": DATASET,
            **MACHINE,
        },
    ),
    "series": (
        "runs.series.write.write_series",
        ["run", "pca"],
        {
            "--output": path("out", "folder"),
            "--axis": ("4", "axis", 4),
            "--frames": ("7", "frames", 7),
            "--range": ("10:80", "percentiles", (10.0, 80.0)),
            "--clusters": ("8", "clusters", 8),
            "--clustering": ("gmm", "clustering", "gmm"),
            "--anchors": ("12,340", "anchors", (12, 340)),
            "--neighbours": ("9", "neighbours", 9),
            "--mean-neighbours": ("3.5", "mean_neighbours", 3.5),
            "--seed": SEED,
            "--box": BOX,
            "--dataset": DATASET,
            **MACHINE,
        },
    ),
    "export": (
        "runs.exports.export_run",
        ["run", "-o", "out", "--to", "one"],
        {"--output": path("out", "folder"), "--to": ("cryodrgn", "to", "cryodrgn"), "--dataset": DATASET},
    ),
    "import": (
        "importers.bring_in.import_results",
        ["files", "-d", "data", "-o", "out"],
        {
            "--output": path("out", "folder"),
            "--dataset": ("elsewhere", "dataset", SimpleNamespace(path=Path("elsewhere"))),
            **{f"--{name}": path(name) for name in ("latents", "volumes", "labels", "poses", "images", "indices")},
            "--method": ("mine", "method", "mine"),
            "--shift-unit": ("pixel", "shift_unit", "pixel"),
            "--epoch": ("4", "epoch", 4),
            "--latents-from": ("table", "latents_from", "table"),
            "--volumes-of": ("classes", "volumes_of", "classes"),
            "--voxel-size": ("1.5", "voxel_size", 1.5),
            "--invert": (None, "invert", True),
            "--mirror": (None, "mirror", True),
            "--volumes-by": ("none", "volumes_by", "none"),
            **MACHINE,
        },
    ),
    "score": (
        "runs.score.score_run",
        ["run"],
        {
            "--metric": ("labels", "metrics", ["labels"]),
            "--dataset": DATASET,
            "--align": ("none", "align", "none"),
            "--alignment": path("alignment"),
            "--mask": path("mask"),
            "--resample": (None, "resample", True),
            "--fresh": (None, "fresh", True),
            "--seed": SEED,
            **MACHINE,
        },
    ),
    "report": ("runs.score.load_or_score", ["run", "-o", "out"], {"--dataset": DATASET}),
}
"""Command -> what it calls, the words without any option, and option -> value typed, argument, value received."""
ELSEWHERE = {
    "adopt": {"--check", "--no-check"},  # test_check
    "import": {"--dry-run"},  # below
    "report": {"--output"},  # tests of the report
    "score": {"--all"},  # test_options_act
}
WITHOUT = {"list", "verify", "show", "check"}
"""No options, or tests of their own."""


class _Heard(Exception):
    pass


@pytest.fixture
def listen(monkeypatch):
    """Type words and hear what the command calls: argument -> value, the fields of settings among them."""

    def type_words(command: str, *words: str) -> dict[str, Any]:
        target, base, _ = CASES[command]
        module, _, name = f"cryobench.{target}".rpartition(".")
        called = getattr(import_module(module), name)
        signature = inspect.signature(getattr(called, "stands_for", called))
        heard: dict[str, Any] = {}

        def hear(*arguments: Any, **options: Any) -> None:
            bound = signature.bind(*arguments, **options)
            bound.apply_defaults()
            for argument, value in bound.arguments.items():
                if dataclasses.is_dataclass(value) and argument in ("how", "settings"):
                    heard.update({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
                elif argument in ("options", "machine"):
                    heard.update(value)
                elif argument not in ("context", "progress"):
                    heard[argument] = value
            raise _Heard

        hear.stands_for = getattr(called, "stands_for", called)

        @contextmanager
        def open_compute(**options: Any):
            heard.update(options)
            yield Compute()

        monkeypatch.setattr(f"cryobench.{target}", hear)
        monkeypatch.setattr("cryobench.compute.open_compute", open_compute)
        result = CliRunner().invoke(app, [command, *base, *words])
        assert isinstance(result.exception, _Heard), result.output
        return heard

    # What is imported while a name stands for another would keep it.
    for target in ("report.pages.report.write_report", *(target for target, _, _ in CASES.values())):
        import_module(f"cryobench.{target}".rpartition(".")[0])
    monkeypatch.setattr("cryobench.io.store.load_dataset", lambda folder: SimpleNamespace(path=folder))
    monkeypatch.setattr("cryobench.check.read_open_faults", lambda _: ())
    return type_words


@pytest.mark.parametrize("command", CASES)
def test_every_option_is_received(command, listen):
    """All are given at once, with values that no other option has, and everything else stays as it is without any.

    Flags have the same value, so each is given alone as well.
    """
    _, _, options = CASES[command]
    words = [word for option, (typed, *_) in options.items() for word in (option, typed) if word is not None]
    plain, heard = listen(command), listen(command, *words)
    for option, (_, argument, value) in options.items():
        if isinstance(value, dict):
            assert plain[argument] == {}
            assert value.items() <= heard[argument].items(), option
        else:
            assert heard[argument] == value != plain.get(argument), option
    changed = {argument for argument, value in heard.items() if plain.get(argument) != value}
    assert changed == {argument for _, argument, _ in options.values()}
    for option in (option for option, (typed, *_) in options.items() if typed is None):
        alone = listen(command, option)
        assert {argument for argument, value in alone.items() if plain.get(argument) != value} == {options[option][1]}


def test_no_option_of_any_command_is_left_out():
    for name, command in typer.main.get_command(app).commands.items():
        if name in WITHOUT:
            continue
        known = set(CASES[name][2]) | ELSEWHERE.get(name, set())
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert known & set(parameter.opts), f"{name} {parameter.opts}: no case here"


def test_a_dry_run_of_an_import_writes_nothing(listen, monkeypatch):
    asked = []

    def examine(tool: str, folder: Path | None, dataset: Any, **given: Any) -> tuple[None, dict[str, str]]:
        asked.append((tool, dataset.path, given["options"]["epoch"], given["volumes_by"]))
        return None, {"what": "said"}

    monkeypatch.setattr("cryobench.importers.bring_in.examine", examine)
    words = ["import", "cryodrgn", "-d", "data", "-o", "out", "--epoch", "4", "--volumes-by", "none", "--dry-run"]
    found = CliRunner().invoke(app, words)
    assert asked == [("cryodrgn", Path("data"), 4, "none")]
    assert '"what": "said"' in found.output
