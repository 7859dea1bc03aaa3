"""Read particles and back-project them with recovar's own code. Run by recovar's Python, not by ours.

    ENVIRONMENT/bin/python ask_recovar.py REQUEST.json ANSWER.json

Request and answer are those of ``ask_cryodrgn.py``. The map is the mean of recovar's two half-maps, by the function
that ``recovar pipeline`` calls. On the CPU oversampling must be disabled (``upsampling_factor=1``): the CPU
kernel of recovar 1.0.5 uses coordinates of the image's grid on a grid twice as fine, and its maps come out magnified
by two. ``pipeline`` in the request runs ``recovar pipeline --only-mean`` itself on one of the reads, which shows
this.
"""

import json
import subprocess
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path

import numpy as np
from recovar.core.ctf import evaluate_ctf
from recovar.data_io import halfsets, load_utils, metadata_readers
from recovar.data_io.image_loader import load_images
from recovar.output.output import save_volume
from recovar.reconstruction import homogeneous, noise

BATCH = 16


def read(wanted, request, out):
    particles, poses, ctf = wanted["particles"], wanted["poses"], wanted["ctf"]
    loader = load_images(particles)
    size = loader.image_size
    if poses is None:
        rotations, fractions = metadata_readers.auto_parse_poses(particles, size)
        shifts = fractions * size
        columns = metadata_readers.auto_parse_ctf(particles, size)
    else:
        rotations, shifts, _ = load_utils.load_poses(poses, loader.n, size)
        columns = np.asarray(load_utils.load_ctf_params(size, ctf), dtype=np.float64)
    chosen = columns[request["images"], 1:]
    # recovar appends a B factor of 0 and a contrast of 1.
    chosen = np.concatenate([chosen, np.zeros((len(chosen), 1)), np.ones((len(chosen), 1))], axis=1)
    path = out / f"{wanted['name']}.npz"
    np.savez(
        path,
        rotations=rotations,
        shifts_px=shifts,
        ctf=columns,
        images=np.asarray(loader.get(np.array(request["images"]))),
        ctf_values=np.asarray(evaluate_ctf(np.load(request["frequencies"]), chosen)),
    )
    return {"file": str(path)}


def reconstruct(wanted, given, out):
    start = time.perf_counter()
    spec = halfsets.HalfsetDatasetSpec(
        particles_file=given["particles"],
        poses_file=wanted["poses"] or given["poses"],
        ctf_file=wanted["ctf"] or given["ctf"],
        uninvert_data=wanted["sign"] == -1,
    )
    halves = halfsets.get_split_indices(given["particles"], ind_file=wanted["select"])
    dataset = halfsets.load_halfset_dataset(spec, ind_split=halves)
    noise_variance, _ = noise.estimate_noise_variance(dataset.get_halfset_dataset(0), BATCH)
    means, _, _ = homogeneous.get_mean_conformation_relion(
        dataset, BATCH, noise_variance=noise_variance, upsampling_factor=1
    )
    target = out / wanted["name"]
    save_volume(means.combined, str(target), dataset.volume_shape, from_ft=True, voxel_size=dataset.voxel_size)
    return {"file": f"{target}.mrc", "seconds": time.perf_counter() - start}


def run_pipeline(wanted, given, out):
    target = out / "pipeline"
    command = [str(Path(sys.executable).with_name("recovar")), "pipeline", given["particles"], "-o", str(target)]
    command += ["--ind", wanted["select"], "--mask", "none", "--only-mean", "--accept-cpu", "--no-downsample"]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return {
        "file": str(target / "output" / "volumes" / "mean.mrc"),
        "seconds": time.perf_counter() - start,
        "command": "recovar pipeline particles.star --mask none --only-mean --accept-cpu --no-downsample",
    }


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}".strip(": ")}


def main():
    request = json.loads(Path(sys.argv[1]).read_text())
    out = Path(request["out"])
    given = {wanted["name"]: wanted for wanted in request["reads"]}
    reads = {name: attempt(read, wanted, request, out) for name, wanted in given.items()}
    maps = {wanted["name"]: attempt(reconstruct, wanted, given[wanted["read"]], out) for wanted in request["maps"]}
    if request.get("pipeline"):
        wanted = request["pipeline"]
        maps["pipeline"] = attempt(run_pipeline, wanted, given[wanted["read"]], out)
    versions = {name: version(name) for name in ("recovar", "jax", "numpy")}
    Path(sys.argv[2]).write_text(json.dumps({"versions": versions, "reads": reads, "maps": maps}))


if __name__ == "__main__":
    main()
