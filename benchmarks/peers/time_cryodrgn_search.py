"""Seconds per image of the pose searches of cryoDRGN 4.3.1, on a CPU. Run by an environment with it, not by ours.

    ENVIRONMENT/bin/python time_cryodrgn_search.py --particles F.star --datadir DIR --ctf ctf.pkl [--images 16]
                                                   [--batch 8]

Its own functions, with its own networks at their initial weights (256 x 3), at the defaults of its two programs:
``abinit_het_old`` (cryoDRGN2) and ``abinit`` (cryoDRGN-AI), in float32. The time of a search does not depend on
weights. Prints a line of JSON with CPU and wall seconds per image of each.
"""

import argparse
import json
import time

import torch
from cryodrgn import ctf as ctf_of
from cryodrgn import dataset, lattice, models, models_ai, pose_search, pose_search_ai, utils


def measure(search, images: int) -> dict[str, float]:
    """CPU and wall seconds an image."""
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.no_grad():
        search()
    return {
        "cpu": (time.process_time() - cpu) / images,
        "wall": (time.perf_counter() - wall) / images,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--particles", required=True)
    parser.add_argument("--datadir", required=True)
    parser.add_argument("--ctf", required=True)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    torch.manual_seed(0)
    data = dataset.ImageDataset(options.particles, lazy=False, datadir=options.datadir, max_threads=1)
    grid = lattice.Lattice(data.D, extent=0.5, device=torch.device("cpu"))
    parameters = torch.tensor(utils.load_pkl(options.ctf))[: options.images, 1:]
    images = torch.stack([data[index]["y"].reshape(data.D, data.D) for index in range(options.images)]).float()
    frequencies = grid.freqs2d[None] / parameters[:, :1, None].float()
    split = torch.split(parameters[:, 1:].float(), 1, 1)
    ctf = ctf_of.compute_ctf(frequencies, *split).view(options.images, data.D, data.D)
    parts = [slice(first, first + options.batch) for first in range(0, options.images, options.batch)]

    autoencoder = models.HetOnlyVAE(
        grid, 3, 256, 3, 256, 100, 8, encode_mode="resid", enc_type="gaussian", domain="hartley", feat_sigma=0.5
    ).eval()
    search = pose_search.PoseSearch(
        autoencoder, grid, 12, 32, base_healpy=2, t_extent=10, t_ngrid=7, niter=4, nkeptposes=8,
        device=torch.device("cpu"),
    )  # fmt: skip

    def old() -> None:
        for part in parts:
            batch = images[part].view(len(images[part]), -1)
            search.opt_theta_trans(batch, z=torch.randn(len(batch), 8), ctf_i=ctf[part])

    settings = {
        "l_min": 12, "l_max": 32, "t_extent": 20, "t_n_grid": 7, "niter": 4, "nkeptposes": 8, "base_healpy": 2,
        "t_xshift": 0, "t_yshift": 0, "no_trans_search_at_pose_search": False, "tilting_func": None,
    }  # fmt: skip

    class Model:
        """What the search asks of the program's model."""

        hypervolume = models_ai.HyperVolume(data.D, 4, 3, 256, "gaussian", 64, 0.5, "hartley").eval()
        coords, freqs2d = grid.coords, grid.freqs2d
        base_shifts = pose_search_ai.get_base_shifts(settings)
        base_rot = pose_search_ai.get_base_rot(settings)
        so3_base_quat = pose_search_ai.get_so3_base_quat(settings)
        base_inplane = pose_search_ai.get_base_inplane(settings)
        eval_on_slice = models_ai.DrgnAI.eval_on_slice

    def ai() -> None:
        for part in parts:
            z = 0.1 * torch.randn(len(images[part]), 4)
            pose_search_ai.opt_theta_trans(Model(), images[part], grid, settings, z=z, ctf_i=ctf[part])

    print(json.dumps({"abinit_het_old": measure(old, options.images), "abinit": measure(ai, options.images)}))


if __name__ == "__main__":
    main()
