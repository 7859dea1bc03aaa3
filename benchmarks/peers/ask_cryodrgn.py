"""Read particles and back-project them with cryoDRGN's own code. Run by cryoDRGN's Python, not by ours.

    ENVIRONMENT/bin/python ask_cryodrgn.py REQUEST.json ANSWER.json

Request: ``out`` (a folder); ``frequencies`` (npy, (k, 2) in 1/Å); ``images`` (indices); ``reads``, each with
``name``, ``particles``, ``poses`` and ``ctf`` (null: parsed from the particle table); ``maps``, each with ``name``,
``read`` (whose particles), ``poses`` and ``ctf`` (null: those of the read), ``select`` (pickled indices) and ``sign``
of the images. Answer: versions; for each read an npz (rotations, shifts in px, CTF columns, images, CTF values), for
each map an MRC file; or else the program's error message.
"""

import argparse
import json
import pickle
import sys
import time
import traceback
from pathlib import Path

import cryodrgn
import numpy as np
import torch
from cryodrgn import ctf as cryodrgn_ctf
from cryodrgn.commands import backproject_voxel, parse_ctf_csparc, parse_ctf_star, parse_pose_csparc, parse_pose_star
from cryodrgn.pose import PoseTracker
from cryodrgn.source import ImageSource

PARSERS = {".star": (parse_pose_star, parse_ctf_star), ".cs": (parse_pose_csparc, parse_ctf_csparc)}


def call(command, *arguments):
    """Run a command of cryoDRGN in this process, as its command line would."""
    parser = argparse.ArgumentParser()
    command.add_args(parser)
    command.main(parser.parse_args([str(argument) for argument in arguments]))


def read(wanted, request, out):
    particles = Path(wanted["particles"])
    poses, ctf = wanted["poses"], wanted["ctf"]
    if poses is None:
        poses, ctf = out / f"{wanted['name']}-poses.pkl", out / f"{wanted['name']}-ctf.pkl"
        parse_poses, parse_ctf = PARSERS[particles.suffix]
        call(parse_poses, particles, "-o", poses)
        call(parse_ctf, particles, "-o", ctf)
    source = ImageSource.from_file(str(particles), lazy=True)
    tracker = PoseTracker.load(str(poses), source.n, source.D, None)
    # load_ctf_for_training refuses odd boxes, the file itself does not.
    with Path(ctf).open("rb") as file:
        columns = pickle.load(file)[:, 1:].astype(np.float64)
    chosen = torch.tensor(columns[request["images"]], dtype=torch.float64)
    frequencies = torch.tensor(np.load(request["frequencies"]), dtype=torch.float64)
    values = cryodrgn_ctf.compute_ctf(
        frequencies.expand(len(chosen), *frequencies.shape), *torch.split(chosen[:, 1:], 1, 1)
    )
    path = out / f"{wanted['name']}.npz"
    np.savez(
        path,
        rotations=tracker.rots.numpy(),
        shifts_px=tracker.trans.numpy(),
        ctf=columns,
        images=np.asarray(source.images(np.array(request["images"]))),
        ctf_values=values.numpy(),
    )
    return {"file": str(path), "poses": str(poses), "ctf": str(ctf)}


def reconstruct(wanted, reads, given, out):
    target = out / wanted["name"]
    start = time.perf_counter()
    call(
        backproject_voxel, given["particles"],
        "--poses", wanted["poses"] or reads[wanted["read"]]["poses"],
        "--ctf", wanted["ctf"] or reads[wanted["read"]]["ctf"],
        "--ind", wanted["select"], "-o", target, "--no-half-maps", "--lazy",
        *([] if wanted["sign"] == -1 else ["--uninvert-data"]),
    )  # fmt: skip
    return {"file": str(target / "backproject.mrc"), "seconds": time.perf_counter() - start}


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}".strip(": ")}


def main():
    request = json.loads(Path(sys.argv[1]).read_text())
    out = Path(request["out"])
    reads = {wanted["name"]: attempt(read, wanted, request, out) for wanted in request["reads"]}
    given = {wanted["name"]: wanted for wanted in request["reads"]}
    maps = {
        wanted["name"]: attempt(reconstruct, wanted, reads, given[wanted["read"]], out) for wanted in request["maps"]
    }
    versions = {"cryodrgn": cryodrgn.__version__, "torch": torch.__version__, "numpy": np.__version__}
    Path(sys.argv[2]).write_text(json.dumps({"versions": versions, "reads": reads, "maps": maps}))


if __name__ == "__main__":
    main()
