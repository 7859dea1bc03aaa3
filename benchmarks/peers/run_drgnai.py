"""Train drgnai with fixed poses and decode volumes, on a CPU. Run by an environment with drgnai, not by ours.

    ENVIRONMENT/bin/python run_drgnai.py OUT --particles F.star --datadir DIR --poses poses.pkl --ctf ctf.pkl
                                         --epochs N --seed S [--query PARTICLE ...] [--set KEY=NUMBER ...]

drgnai 0.3.2b waits for a CUDA device unconditionally; that call is left out here, nothing else is changed. Volumes
are decoded by its own code at the latents that it saves, those of the forward passes of the last epoch, and written
as OUT/volumes/PARTICLE.mrc.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from cryodrgnai import models, mrc, utils
from cryodrgnai.lattice import Lattice
from cryodrgnai.reconstruct import ModelTrainer


def train(options: argparse.Namespace) -> tuple[float, float]:
    """One training by the program's defaults for fixed poses; mean and deviation by which it divided the images."""
    settings = {
        "particles": str(options.particles.resolve()),
        "datadir": str(options.datadir.resolve()),
        "ctf": str(options.ctf.resolve()),
        "pose": str(options.poses.resolve()),
        "quick_config": {
            "capture_setup": "spa",
            "reconstruction_type": "het",
            "pose_estimation": "fixed",
            "conf_estimation": "autodecoder",
        },
        "epochs_sgd": options.epochs,
        "relion31": True,
        "seed": options.seed,
        "num_workers": 0,
        "max_threads": 1,
        **{key: int(value) for key, _, value in (each.partition("=") for each in options.set)},
    }
    trainer = ModelTrainer(str(options.out), settings)
    trainer.train()
    return trainer.data.norm


def decode(out: Path, norm: tuple[float, float], queries: list[int]) -> None:
    """Latents, and volumes at those of these particles."""
    files = sorted((out / "out").glob("weights.*.pkl"), key=lambda path: int(path.name.split(".")[1]))
    epoch = int(files[-1].name.split(".")[1])
    checkpoint = torch.load(files[-1], map_location="cpu", weights_only=False)
    network = models.HyperVolume(**checkpoint["hypervolume_params"])
    network.load_state_dict(checkpoint["hypervolume_state_dict"])
    network.eval()
    size = checkpoint["hypervolume_params"]["resolution"]
    lattice = Lattice(size, extent=0.5, device=torch.device("cpu"))
    latents = utils.load_pkl(str(out / "out" / f"conf.{epoch}.pkl"))
    np.save(out / "latents.npy", latents)
    (out / "volumes").mkdir(exist_ok=True)
    radius = checkpoint.get("output_mask_radius", (size - 1) // 2)
    for particle in queries:
        volume = models.eval_volume_method(
            network, lattice, checkpoint["hypervolume_params"]["z_dim"], norm, zval=latents[particle], radius=radius
        )
        mrc.write(str(out / "volumes" / f"{particle:06d}.mrc"), volume.astype(np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    for name in ("particles", "datadir", "poses", "ctf"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--query", type=int, nargs="*", default=[])
    parser.add_argument("--set", nargs="*", default=[], help="whole numbers of its configuration")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    torch.cuda.synchronize = lambda *_, **__: None
    options.out.mkdir(parents=True, exist_ok=True)
    decode(options.out, train(options), options.query)


if __name__ == "__main__":
    main()
