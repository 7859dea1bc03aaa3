"""Going on from a finished run: the same training, to more epochs than it had.

A method that trains in epochs leaves the state in which its training ended in RUN/training. A run to more epochs is
the same run with other ``epochs`` whose checkpoint begins with that state, so it has the same bits as if as many had
been asked for at once. It is made in the checkpoint of the old one, and takes its place when it is whole.
"""

import shutil
from pathlib import Path

from cryobench._errors import FormatError
from cryobench.data import RunRecord
from cryobench.io.folders.commands import compose_run
from cryobench.io.store import TRAINING, read_run_record, replace_reconstruction
from cryobench.methods import Method


def check_more_epochs(method: type[Method], count: int) -> None:
    """Raise ValueError if a method cannot go on by so many epochs."""
    if not method.trains:
        raise ValueError(
            f"{method.name} does not train in epochs, so no run of it can go on to more: leave --more-epochs out."
        )
    if count < 1:
        raise ValueError(f"--more-epochs takes a whole number from 1, got {count}.")


def check_former(folder: Path, former: RunRecord, differing: list[str]) -> None:
    """Raise FormatError if the run in a folder is none to go on from, or differs in something but epochs."""
    if differing:
        raise FormatError(
            f"{folder} holds another run ({former.method}, {former.status}); they differ in {', '.join(differing)}. "
            "Nothing was changed: repeat the command that made it, with --more-epochs added: "
            f"{compose_run(former.to_json(), folder)}"
        )
    if former.status != "finished":
        raise FormatError(
            f"{folder} is not finished, so there is nothing to go on from: give the same command without "
            "--more-epochs first."
        )
    if not any((folder / TRAINING).glob("*.npz")):
        raise FormatError(
            f"{folder} has no {TRAINING}/, the state in which its training ended: it was removed, or an older "
            "cryobench made the run. Train anew into another folder, with as many epochs as it is to have."
        )


def describe_further(record: RunRecord, former: RunRecord, more: int, folder: Path) -> RunRecord:
    """The record of the run that goes on from ``former``; its command is the one that trains as long at once."""
    settings = {**record.settings, "epochs": former.settings["epochs"] + more}
    longer = record.with_(settings=settings, started=former.started, command=None)
    return longer.with_(command=compose_run(longer.to_json(), folder))


def keep_training(work: Path, folder: Path) -> None:
    """Copy the state in which a training ended, the arrays of its checkpoint, into a run."""
    (folder / TRAINING).mkdir(exist_ok=True)
    for path in work.glob("*.npz"):
        shutil.copyfile(path, folder / TRAINING / path.name)


def finish_replacement(folder: Path, whole: Path) -> bool:
    """Complete the replacement of a run by the one in ``whole``, if it was interrupted; whether it was."""
    if not (whole / "run.json").exists() or read_run_record(whole).status != "finished":
        return False
    if read_run_record(folder).status != "running":
        return False
    replace_reconstruction(folder, whole)
    return True
