"""Score volumes that you made yourself: no method of cryobench is run, only a data set, a Reconstruction and scores.

    python examples/score_your_own.py [FOLDER]

Your program reads DATASET/particles.star (RELION 3.1) or poses.pkl and ctf.pkl (cryoDRGN's form), and gives a volume
for each *query particle* (DATASET/query.csv), and latents or class probabilities of all particles if it has any. What
it does not give is "not measured". Here the "program" is a stand-in that blurs the true volumes.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

import cryobench
from cryobench.data import DatasetIdentity, IndexedVolumes, Priors, Reconstruction, RunRecord
from cryobench.io.store import save_reconstruction, save_scores


def run_your_program(dataset) -> np.ndarray:
    """One volume (z, y, x) per query particle, as (q, z, y, x) float32."""
    volumes = [gaussian_filter(dataset.truth.volume_of(int(query)), 1.0) for query in dataset.queries]
    return np.stack(volumes)


def main(folder: Path) -> None:
    dataset = cryobench.simulate(
        "igg-1d", folder / "dataset", preset="tiny", settings={"n_states": 5, "images_per_state": 20, "n_queries": 5}
    )
    volumes = run_your_program(dataset)
    result = Reconstruction(
        queries=dataset.queries,
        volumes=IndexedVolumes(volumes, np.arange(len(volumes))),
        record=RunRecord(
            method="blurred truth",
            dataset=DatasetIdentity(dataset.name, str(dataset.path), dataset.card["sha256"]),
            priors=Priors(truth=("volumes",), volumes="files"),
        ),
    )
    scores = cryobench.score(result, dataset)
    for name, score in scores.scores.items():
        print(f"{name:28} {score.value:8.3f}  [{score.low:.3f}, {score.high:.3f}]  n = {score.n}")
    print("not measured:", scores.context["not_measured"] or "nothing")
    # Kept on disk, it is a run like any other: `cryobench report` shows it beside the rest.
    save_reconstruction(result, folder / "run", pixel_size=dataset.particles.pixel_size)
    save_scores(scores, folder / "run")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
