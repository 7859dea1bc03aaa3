"""A new folder of volumes, written one by one: if interrupted, the same command resumes with the missing ones.

``call.json`` keeps the inputs of a finished folder, by which the same command recognises it as finished.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from cryobench.io.atomic import read_json, remove_partial_files, to_plain, write_json
from cryobench.io.formats.mrc import write_volume
from cryobench.io.lock import lock_folder
from cryobench.reconstruction.engine import Checkpoint, RunContext

_CHECKPOINT, _CALL = "checkpoint", "call.json"


def write_volume_folder(
    folder: Path,
    names: Sequence[str],
    volumes_of: Callable[[np.ndarray, RunContext], Iterator[np.ndarray]],
    *,
    rows: np.ndarray,
    call: Mapping[str, Any],
    pixel_size: float,
    context: RunContext,
    finish: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write volumes into a folder that is new, or holds some of the same call.

    Parameters
    ----------
    names
        File of each volume.
    volumes_of
        Iterator over the volumes with the given numbers; its context has a checkpoint for intermediate results.
    rows
        One row per volume: its latent or weights.
    call
        Other inputs of the volumes.
    pixel_size
        Å.
    finish
        Writes the other files, once all volumes exist.

    Raises
    ------
    FileExistsError
        If the folder exists and is not of this command; if it is finished, nothing is made.
    FormatError
        If it is of another interrupted command.
    FolderBusy
        If another process is writing there.
    """
    folder = Path(folder)
    checkpoint = folder / _CHECKPOINT
    digest = blake2b(np.ascontiguousarray(rows).tobytes(), digest_size=12).hexdigest()
    whole = to_plain({**call, "volumes": list(names), "rows": digest})
    with lock_folder(folder, "decoding volumes"):
        if (folder / _CALL).exists() and read_json(folder / _CALL) == whole:
            # A process killed after writing everything has left its checkpoint.
            shutil.rmtree(checkpoint, ignore_errors=True)
            context.progress.note(f"{folder}: already finished, nothing was decoded.")
            return [folder / name for name in names]
        if folder.exists() and ((folder / _CALL).exists() or not checkpoint.exists()):
            raise FileExistsError(f"{folder} already exists; remove it or choose another name.")
        Checkpoint(checkpoint, whole)
        remove_partial_files(folder)
        try:
            missing = np.array([index for index, name in enumerate(names) if not (folder / name).exists()], dtype=int)
            inner = replace(context, checkpoint=checkpoint / "decoder")
            with context.progress.task("decoding volumes", total=len(names)) as task:
                task.advance(len(names) - len(missing))
                if len(missing):
                    for index, volume in zip(map(int, missing), volumes_of(missing, inner), strict=True):
                        write_volume(folder / names[index], volume, pixel_size)
                        task.advance()
            if finish is not None:
                finish(folder)
        except BaseException:
            if not any(path.is_file() and path.name != _CALL for path in folder.rglob("*")):
                shutil.rmtree(folder)
            raise
        write_json(folder / _CALL, whole)
        shutil.rmtree(checkpoint)
    return [folder / name for name in names]
