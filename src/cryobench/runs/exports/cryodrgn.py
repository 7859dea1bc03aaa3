"""A run with a coordinate network as a work folder of cryoDRGN 4.3.1, for its eval_vol, analyze and dashboard.

    weights.N.pkl   weights under cryoDRGN's names, N the number of epochs
    z.N.pkl         latents; with an encoder, log-variances after them
    config.yaml     sizes of the networks, the scale s of their output, and the paths of the images
    poses.pkl ctf.pkl   as given to the method, or poses that it refined or found
    pose.N.pkl      the same, if they are the run's own, as written by programs that find poses
    run.log         the loss of every epoch, in the format that analyze parses

With an encoder it is the model of ``train_vae``. Without, as for cryodrgn-ai and cryodrgn-ai-fixed, it is that of
``train_dec`` in the Hartley domain: the same function as the authors' hypervolume, in whose own format ``eval_vol``
would omit the line kx = ky = 0. The optimiser state is not written: training cannot continue there.

Volumes are the same except for values that each program sets itself: the zero frequency (here such that the solvent
is 0, there extrapolated by the network), the Nyquist frequency on the three axes, and in the Hartley domain
everything outside the ball |k| ≤ ½, which is zero here and extrapolated there.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from cryobench.data import Convergence, Dataset, Particles, Reconstruction
from cryobench.io.atomic import atomic_write, write_text
from cryobench.io.formats.pickles import write_pickle
from cryobench.io.programs.cryodrgn import write_ctf, write_poses
from cryobench.io.programs.cryodrgn_weights import count_blocks, name_decoder, name_encoder
from cryobench.io.programs.phase_flips import flipped_of
from cryobench.reconstruction.decoders.coordinate_network import PackedNetwork, read_network
from cryobench.reconstruction.networks import NetworkShape

TESTED = "4.3.1"
"""Version of cryoDRGN for these files."""


def export_cryodrgn(run: Reconstruction, dataset: Dataset, folder: Path, final: Path) -> Sequence[str]:
    """Write the folder; as ``Exporter``."""
    networks = _read_networks(run)
    shape, encoder = networks.shape, networks.encoder
    if shape.box_size % 2:
        raise ValueError(f"cryoDRGN needs even boxes, but the network of {run.name} has {shape.box_size} px.")
    assert run.latents is not None
    epoch = int(run.record.settings.get("epochs", 0))
    particles = dataset.particles.at_box(shape.box_size)
    prefix = "decoder." if encoder else ""
    named = name_decoder(networks.decoder, shape.box_size, prefix)
    latents = [run.latents]
    if encoder:
        named = {**name_encoder(encoder, shape.box_size, "encoder."), **named}
        latents.append(run.model["log_variances"])
    _write_weights(folder / f"weights.{epoch}.pkl", named, epoch)
    write_pickle(folder / f"z.{epoch}.pkl", *(np.asarray(each, dtype=np.float32) for each in latents))
    files = _write_particles(folder, final, run, particles, epoch)
    sizes = {"lattice_args": {"D": shape.box_size + 1, "extent": 0.5, "ignore_DC": True}}
    config = {
        "cmd": ["cryobench", "export", str(run.path), "--to", "cryodrgn", "-o", str(final)],
        "dataset_args": {**_describe_images(dataset, networks.scale), **files},
        **sizes,
        "model_args": _describe_networks(encoder, shape),
        "seed": run.record.seed,
        "version": f"cryobench {version('cryobench')}, in the format of cryoDRGN {TESTED}",
    }
    write_text(folder / "config.yaml", yaml.safe_dump(config))
    write_text(folder / "run.log", _compose_log(run))
    return _explain(dataset, shape, final, epoch)


def _read_networks(run: Reconstruction) -> PackedNetwork:
    if run.decodes_by != "coordinate-network":
        has = [name for name in ("latents", "posteriors", "rotations", "volumes") if getattr(run, name) is not None]
        decoder = f"the decoder {run.decodes_by!r}" if run.decodes_by else "no decoder"
        raise ValueError(
            f"{run.path} is a run of {run.name} and has {', '.join(has) or 'no results'} and {decoder}: cryoDRGN "
            "reads networks only. Export a run of cryodrgn, cryodrgn2, cryodrgn-ai or cryodrgn-ai-fixed."
        )
    return read_network(run)


def _write_weights(path: Path, weights: Mapping[str, np.ndarray], epoch: int) -> None:
    tensors = {name: torch.tensor(values) for name, values in weights.items()}
    with atomic_write(path) as file:
        torch.save({"epoch": epoch, "model_state_dict": tensors}, file)


def _write_particles(
    folder: Path, final: Path, run: Reconstruction, particles: Particles, epoch: int
) -> dict[str, str | None]:
    """Write poses.pkl and ctf.pkl and return their final paths; None for unknown poses.

    Poses of the run's own are written as pose.N.pkl too.
    """
    rotations, shifts = run.rotations, run.shifts
    grid = {"box_size": particles.box_size, "pixel_size": particles.pixel_size}
    if rotations is not None and shifts is not None:
        # Found shifts are fractions of the lattice's side, which is larger by one; given ones of the box's.
        side = {"box_size": particles.box_size + 1, "pixel_size": particles.pixel_size}
        write_poses(folder / f"pose.{epoch}.pkl", rotations, shifts, **side)
    else:
        rotations, shifts = particles.rotations, particles.shifts
    files: dict[str, str | None] = {"poses": None, "ctf": None}
    if rotations is not None and shifts is not None:
        write_poses(folder / "poses.pkl", rotations, shifts, **grid)
        files["poses"] = str(final / "poses.pkl")
    write_ctf(folder / "ctf.pkl", particles.ctf, **grid)
    files["ctf"] = str(final / "ctf.pkl")
    return files


def _describe_images(dataset: Dataset, scale: float) -> dict[str, Any]:
    table = None if dataset.path is None else dataset.path.resolve() / "particles.star"
    return {
        "particles": None if table is None else str(table),
        "datadir": None if table is None else str(table.parent),
        "norm": [0.0, scale],
        "invert_data": dataset.particles.sign == -1,
        **{"ind": None, "keepreal": False, "window": True, "window_r": 0.85, "do_pose_sgd": False},
    }


def _describe_networks(encoder: Mapping[str, np.ndarray], shape: NetworkShape) -> dict[str, Any]:
    encoding = {"pe_type": "gaussian", "pe_dim": shape.encoding_size // 3, "feat_sigma": shape.deviation}
    shared = {"zdim": shape.z_dim, **encoding, "domain": shape.domain, "activation": "relu"}
    if not encoder:
        return {"layers": shape.depth, "dim": shape.width, **shared}
    return {
        "qlayers": count_blocks(encoder),
        "qdim": len(encoder["first.bias"]),
        "players": shape.depth,
        "pdim": shape.width,
        "encode_mode": "resid",
        "enc_mask": shape.box_size // 2,
        "tilt_params": {},
        **shared,
    }


def _compose_log(run: Reconstruction) -> str:
    found = run.find(Convergence)
    entries = () if found is None else [entry for entry in found.log if "loss" in entry]
    return "".join(f"====> epoch {entry['epoch']}: total loss = {entry['loss']:.6f}\n" for entry in entries)


def _explain(dataset: Dataset, shape: NetworkShape, final: Path, epoch: int) -> list[str]:
    lines = [
        f"cryodrgn analyze {final} {epoch}",
        f"cryodrgn eval_vol {final}/weights.{epoch}.pkl -c {final}/config.yaml -z {' '.join(['0'] * shape.z_dim)} "
        f"--Apix {dataset.particles.at_box(shape.box_size).pixel_size:g} -o volume.mrc",
        f"cryodrgn dashboard {final}   after analyze",
    ]
    if shape.box_size != dataset.particles.box_size:
        lines.append(
            f"note: the network is of {shape.box_size} px, the images of {dataset.particles.box_size} px. Commands "
            f"that read images need them at that size: cryodrgn downsample -D {shape.box_size}"
        )
    if flipped_of(dataset.particles.images).any():
        lines.append(
            "note: phases of these images are flipped, which ctf.pkl cannot record; do not use it to read images."
        )
    return lines
