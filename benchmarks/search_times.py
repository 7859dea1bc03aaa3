"""Pose search by a network's slices: seconds per image, compared with cryoDRGN 4.3.1 on the same images, in one run.

python benchmarks/search_times.py --cryodrgn ENVIRONMENT [--boxes 32 64] [--images 16]

igg-1d at SNR 0.1. The peer's two programs (``abinit_het_old``, cryoDRGN2, and ``abinit``, cryoDRGN-AI) search in
their own environment (``peers/make_cryodrgn_env.sh``), in float32 on one thread, by
``peers/time_cryodrgn_search.py``; ours with networks of the same size at their initial weights, by the network and by
anchors. CPU seconds are compared, which a busy machine affects less.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from cells import markdown_table
from cryobench.compute import Compute, ProcessGroup
from cryobench.io.store import load_dataset
from cryobench.methods import get_method
from cryobench.methods.cryodrgn.settings import Cryodrgn2Settings
from cryobench.methods.cryodrgn.training import make_model
from cryobench.methods.cryodrgn_ai.cryodrgn_ai import make_network
from cryobench.methods.cryodrgn_ai.settings import CryodrgnAiAbInitioSettings
from cryobench.reconstruction.networks import NetworkImages
from cryobench.reconstruction.poses import SearchedPoses
from machine import describe_machine
from neural import call, make_dataset

HERE = Path(__file__).parent
PEERS = {"cryodrgn2": "abinit_het_old", "cryodrgn-ai": "abinit"}


def time_ours(dataset: Path, method: str, count: int, search: str) -> float:
    """CPU seconds an image, what is made once for all images aside."""
    settings = get_method(method).with_settings({"search": search}).settings
    particles = load_dataset(dataset).particles.without_poses()
    images = NetworkImages(particles, Compute(memory=10**9), keep_bytes=1e9)
    if isinstance(settings, Cryodrgn2Settings):
        network, z_dim = make_model(settings, particles.box_size, 0).decoder, settings.z_dim
    else:
        assert isinstance(settings, CryodrgnAiAbInitioSettings)
        network, z_dim = make_network(settings, particles.box_size, 0), settings.z_dim
    latents = torch.randn(len(images), z_dim, generator=torch.Generator().manual_seed(0))
    searched = SearchedPoses(images, network, settings, ProcessGroup())
    searched.follow(lambda indices: latents[indices], 0, count)
    indices = np.arange(count)
    batch = images.load(indices)
    # Compiles kernels, and makes what all images share: slices of the volume of every anchor.
    first = indices if search == "anchors" else indices[:1]
    searched.search(images.load(first), latents[: len(first)])
    began = time.process_time()
    searched.search(batch, latents[:count])
    return (time.process_time() - began) / count


def time_peers(dataset: Path, environment: Path, count: int) -> dict[str, float]:
    """CPU seconds an image of its two programs."""
    command = [str(environment / "bin" / "python"), str(HERE / "peers" / "time_cryodrgn_search.py")]
    command += ["--particles", str(dataset / "particles.star"), "--datadir", str(dataset)]
    command += ["--ctf", str(dataset / "ctf.pkl"), "--images", str(count)]
    said, _ = call(command, 1)
    (line,) = (line for line in said.splitlines() if line.startswith("{"))
    return {name: each["cpu"] for name, each in json.loads(line).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cryodrgn", type=Path, required=True, help="environment of the peer")
    parser.add_argument("--boxes", type=int, nargs="*", default=[32, 64])
    parser.add_argument("--images", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(describe_machine())
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for box in options.boxes:
            dataset = make_dataset(Path(temporary) / str(box), max(options.images, 20), box)
            peers = time_peers(dataset, options.cryodrgn, options.images)
            for method, program in PEERS.items():
                peer = peers[program]
                ours = {kind: time_ours(dataset, method, options.images, kind) for kind in ("network", "anchors")}
                cells = [f"{seconds:.3f} ({peer / seconds:.1f} x)" for seconds in ours.values()]
                rows.append([f"{box} px", method, f"{peer:.2f}", *cells])
    print(markdown_table(["box", "method", "its program, s of CPU an image", "network", "anchors"], rows))


if __name__ == "__main__":
    main()
