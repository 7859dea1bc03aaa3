"""The commands of the README are commands: all are parsed here, and the road by hand is walked.

Substitutions, so that the road takes minutes: the preset is tiny, and 3 classes stand for 20.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cryobench.cli.main import app
from cryobench.cli.values import spread_values

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.strip().split("  #")[0] for line in README.splitlines() if re.match(r" {4}cryobench \w", line)]
SUBSTITUTIONS = {"--preset lite": "--preset tiny", "n_classes=20": "n_classes=3"}
IN_PYTHON = {
    'preset="lite"': 'preset="tiny"',
    '"fab-runs/3d-class")': '"fab-runs/3d-class", settings={"n_classes": 3})',
}


def substitute(text: str, table: dict[str, str]) -> str:
    for words, others in table.items():
        assert words in text, f"the README no longer says {words!r}"
        text = text.replace(words, others)
    return text


def find_road() -> list[str]:
    section = README[README.index("## Step by step") : README.index("## Data sets")]
    return re.findall(r"^ {4}(cryobench .*)$", section, re.MULTILINE)


@pytest.mark.parametrize("line", [part.strip() for line in COMMANDS for part in line.split("&&")])
def test_every_command_is_parsed(line):
    words = spread_values(shlex.split(line)[1:])
    group = typer.main.get_command(app)
    with group.make_context("cryobench", list(words)) as context:
        name, command, rest = group.resolve_command(context, words)
        assert name is not None
        command.make_context(name, rest, parent=context)


def test_there_are_commands_to_test():
    assert len(COMMANDS) > 15
    assert len(find_road()) == 6


@pytest.mark.slow
def test_the_road_by_hand_is_walked_and_then_in_python(tmp_path):
    lines = substitute("\n".join(find_road()), SUBSTITUTIONS).splitlines()
    for line in lines:
        words = shlex.split(line)[1:]
        spread = [
            str(path.relative_to(tmp_path)) if "*" in word else word
            for word in words
            for path in (sorted(tmp_path.glob(word)) if "*" in word else [tmp_path])
        ]
        done = subprocess.run(
            [sys.executable, "-m", "cryobench", *spread], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "page" / "index.html").is_file()
    (block,) = re.findall(r"```python\n(import cryobench\n.*?)```", README, re.DOTALL)
    script = substitute(block, IN_PYTHON)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "fab-page" / "index.html").is_file()
