"""recovar of this package compared with recovar 1.0.5, on the same files, by the same scores: one table.

python benchmarks/recovar_peer.py DATASET --recovar ENVIRONMENT [--work DIR] [--queries 20] [--as-it-is]

The peer runs in its own environment (``peers/make_recovar_env.sh``) with its low-memory preset, its CPU
back-projection corrected (``peers/run_recovar.py``; --as-it-is leaves that out), zdim 10, and computes the states at
the latents of the query particles, or of --queries of them, evenly spaced, one call for each: one takes half an hour
of CPU. Finished results in --work are reused; their seconds are then those of the first time.
"""

import argparse
import json
import resource
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from cryobench.data import Dataset, IndexedVolumes, Reconstruction, RunRecord
from cryobench.io.formats.mrc import read_volume
from cryobench.io.store import load_dataset
from cryobench.metrics.evaluate import score
from cryobench.runs.run import run
from machine import describe_machine

DIMENSION = 10
METRICS = ("per-image-fsc", "heterogeneity-fsc", "decodability", "neighbourhood-similarity", "information-imbalance")
SHOWN = (
    "fsc-auc-masked",
    "fsc-auc-normalised-masked",
    "deviation-fsc-auc-normalised-masked",
    "decodability-knn",
    "decodability-linear",
    "imbalance-truth-to-latent",
    "imbalance-latent-to-truth",
)
HERE = Path(__file__).parent


def call_peer(work: Path, name: str, environment: Path, arguments: list[str]) -> dict[str, float]:
    """Run one of the peer's commands unless it is done; its wall and CPU seconds."""
    record = work / f"{name}.json"
    if not record.exists():
        command = [str(environment / "bin" / "python"), str(HERE / "peers" / "run_recovar.py"), *arguments]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        with (work / f"{name}.log").open("w") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, env={"JAX_PLATFORMS": "cpu", "PATH": "/bin"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken = {"seconds": time.perf_counter() - start, "cpu_seconds": cpu, "peak_bytes": after.ru_maxrss * 1024.0}
        record.write_text(json.dumps(taken))
    return json.loads(record.read_text())


def run_peer(dataset: Dataset, work: Path, environment: Path, flags: list[str]) -> tuple[Reconstruction, dict]:
    """The peer's latents and volumes at the query particles, and what all calls cost together."""
    assert dataset.path is not None
    work.mkdir(parents=True, exist_ok=True)
    preset = ["--low-memory-option", "--gpu-budget-gb", "12"]
    files = [str(dataset.path / "particles.star"), "--mask", str(dataset.path / "mask.mrc")]
    whole = ["pipeline", *flags, *files, "--accept-cpu", "--no-downsample", *preset, "-o", str(work / "model")]
    costs = [call_peer(work, "pipeline", environment, whole)]
    latents = np.load(work / "model" / "model" / f"zdim_{DIMENSION}" / "latent_coords.npy")
    paths = []
    for particle in dataset.queries.tolist():
        name = f"state-{particle:06d}"
        np.savetxt(work / f"{name}.txt", latents[[particle]])
        state = ["compute_state", *flags, str(work / "model"), "--latent-points", str(work / f"{name}.txt")]
        costs.append(call_peer(work, name, environment, [*state, *preset, "-o", str(work / name)]))
        paths.append(work / name / "state000.mrc")
    volumes = np.stack([read_volume(path)[0] for path in paths]).astype(np.float32)
    print(f"states of the peer: {np.mean([each['cpu_seconds'] for each in costs[1:]]):.0f} s of CPU each")
    cost = {key: sum(each[key] for each in costs) for key in ("seconds", "cpu_seconds")}
    cost["peak_bytes"] = max(each["peak_bytes"] for each in costs)
    found = Reconstruction(
        dataset.queries,
        IndexedVolumes(volumes, np.arange(len(volumes))),
        latents=latents,
        record=RunRecord(method="recovar 1.0.5"),
    )
    return found, cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--recovar", type=Path, required=True, help="environment of the peer")
    parser.add_argument("--work", type=Path, default=Path("recovar-peer"))
    parser.add_argument("--queries", type=int, default=20, help="query particles compared")
    parser.add_argument("--as-it-is", action="store_true", help="leave the peer's CPU back-projection as it is")
    options = parser.parse_args()
    print(describe_machine())
    dataset = load_dataset(options.dataset)
    ours = run("recovar", dataset, options.work / "ours", device="cpu")
    chosen = np.unique(np.linspace(0, len(dataset.queries) - 1, options.queries).round().astype(int))
    assert ours.volumes is not None
    kept = IndexedVolumes(np.stack([ours.volumes.read(int(item)) for item in chosen]), np.arange(len(chosen)))
    dataset = replace(dataset, queries=dataset.queries[chosen])
    ours = replace(ours, queries=dataset.queries, volumes=kept)
    flags = ["--as-it-is"] if options.as_it_is else []
    theirs, cost = run_peer(dataset, options.work / "peer", options.recovar, flags)
    spent_here = ours.record.cost
    own = {"seconds": spent_here.wall_seconds, "cpu_seconds": spent_here.cpu_seconds}
    own["peak_bytes"] = spent_here.peak_memory_bytes
    for name, result, spent in (("cryobench recovar", ours, own), ("recovar 1.0.5", theirs, cost)):
        print(
            f"{name}: {spent['seconds']:.0f} s, {spent['cpu_seconds']:.0f} s of CPU, "
            f"{spent['peak_bytes'] / 2**30:.1f} GiB"
        )
        scores = score(result, dataset, METRICS).scores
        for key in SHOWN:
            print(f"    {key:38s} {scores[key].value:.3f} [{scores[key].low:.3f}, {scores[key].high:.3f}]")
    ratios = [cost[key] / own[key] for key in ("seconds", "cpu_seconds")]
    print(f"ratio of seconds {ratios[0]:.0f}, of CPU {ratios[1]:.0f}")


if __name__ == "__main__":
    main()
