"""Train a finished run further, to more epochs.

A method that trains in epochs leaves its final training state in RUN/training. A run to more epochs is the same run
with other ``epochs`` whose checkpoint begins with that state, so it has the same bits as one longer run. It is made
in the checkpoint of the old one, in its folder ``whole``. When complete that is renamed ``done`` and replaces the old
run; it is removed last, so that a command killed before is completed and not taken for one that has yet to train.
"""

import shutil
from pathlib import Path

from cryobench._errors import FormatError
from cryobench.data import RunRecord
from cryobench.io.folders.commands import compose_run
from cryobench.io.store import TRAINING, replace_reconstruction
from cryobench.methods import Method

WHOLE, _DONE = "whole", "done"


def check_more_epochs(method: type[Method], count: int) -> None:
    """Raise ValueError if a method cannot train for so many further epochs."""
    if not method.trains:
        raise ValueError(
            f"{method.name} does not train in epochs, so its runs cannot be trained further: leave --more-epochs out."
        )
    if count < 1:
        raise ValueError(f"--more-epochs expects a whole number from 1, got {count}.")


def check_former(folder: Path, former: RunRecord, differing: list[str]) -> None:
    """Raise FormatError if the run in a folder cannot be trained further, or differs in more than its epochs."""
    if differing:
        raise FormatError(
            f"{folder} holds another run ({former.method}, {former.status}); they differ in {', '.join(differing)}. "
            "Nothing was changed: repeat the command that made it, with --more-epochs added: "
            f"{compose_run(former.to_json(), folder)}"
        )
    if former.status != "finished":
        raise FormatError(
            f"{folder} is not finished, so it cannot be trained further yet: give the same command without "
            "--more-epochs first."
        )
    if not any((folder / TRAINING).glob("*.npz")):
        raise FormatError(
            f"{folder} has no {TRAINING}/, its final training state: it was removed, or an older "
            "cryobench made the run. Train again into another folder, with the total number of epochs."
        )


def describe_further(record: RunRecord, former: RunRecord, more: int, folder: Path) -> RunRecord:
    """Record of the run that continues ``former``; its command is that of one equally long run."""
    settings = {**record.settings, "epochs": former.settings["epochs"] + more}
    longer = record.with_(settings=settings, started=former.started, command=None)
    return longer.with_(command=compose_run(longer.to_json(), folder))


def keep_training(work: Path, folder: Path) -> None:
    """Copy the final training state, the arrays of its checkpoint, into a run."""
    (folder / TRAINING).mkdir(exist_ok=True)
    for path in work.glob("*.npz"):
        shutil.copyfile(path, folder / TRAINING / path.name)


def take_place(folder: Path, checkpoint: Path) -> None:
    """Replace a run by the finished one in its checkpoint; ``finish_replacement`` completes it if interrupted."""
    (checkpoint / WHOLE).rename(checkpoint / _DONE)
    replace_reconstruction(folder, checkpoint / _DONE)


def finish_replacement(folder: Path, checkpoint: Path) -> bool:
    """Complete an interrupted replacement of a run by the one in its checkpoint; return whether there was one."""
    done = checkpoint / _DONE
    if (done / "run.json").exists():
        replace_reconstruction(folder, done)
    return done.exists()


def remove_checkpoint(checkpoint: Path) -> None:
    """Remove the checkpoint of a finished run, what takes long first: the rest says that it is finished."""
    for path in checkpoint.iterdir():
        if path.is_dir() and path.name != _DONE:
            shutil.rmtree(path)
    shutil.rmtree(checkpoint)


def is_left_over(checkpoint: Path) -> bool:
    """Whether the checkpoint of a finished run was left by a process killed at its removal: it trains nothing."""
    return checkpoint.exists() and not (checkpoint / WHOLE).exists()
