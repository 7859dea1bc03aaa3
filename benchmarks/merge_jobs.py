"""Merging of classification jobs: CPU time, memory and accuracy, by particles and jobs.

python benchmarks/merge_jobs.py [--sizes 2500x100 5000x100 10000x100 20000x100] [--species 20] [--noise 0.2]

Made-up jobs of 4, 8 or 16 classes: each maps species to classes at random, and a fraction of the labels is arbitrary.
Each size is merged in a process of its own. Columns: CPU seconds and peak memory of the process, start-up included;
those of the parts, which are the number of species (from 3,000 particles), the tree (of 10,000 particles at most) and
the votes (of all); species found, and adjusted Rand index. Beyond 10,000 particles only the votes and the tables of
labels grow, in proportion to particles x jobs.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
from sklearn.metrics import adjusted_rand_score

from cells import markdown_table
from cryobench.methods.classification_ensemble.hierarchy import build_tree
from cryobench.methods.classification_ensemble.labels import Labellings
from cryobench.methods.classification_ensemble.merge import merge_jobs
from cryobench.methods.classification_ensemble.votes import vote
from machine import describe_machine

HEAD = ["particles x jobs", "CPU / s", "peak memory / GB", "tree / s", "votes / s", "species", "adjusted Rand index"]


def make_jobs(truth: np.ndarray, n_jobs: int, noise: float) -> np.ndarray:
    """Labels (jobs, n)."""
    draws = np.random.default_rng(0)
    labels = np.empty((n_jobs, len(truth)), dtype=np.int32)
    for job in range(n_jobs):
        n_classes = (4, 8, 16)[job % 3]
        found = draws.integers(n_classes, size=truth.max() + 1)[truth]
        arbitrary = draws.random(len(truth)) < noise
        labels[job] = np.where(arbitrary, draws.integers(n_classes, size=len(truth)), found)
    return labels


def measure(size: str, species: int, noise: float) -> list[str]:
    """The row of one size."""
    n, n_jobs = map(int, size.split("x"))
    truth = np.random.default_rng(1).integers(species, size=n)
    labels = make_jobs(truth, n_jobs, noise)
    merged = merge_jobs(labels)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    total, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6
    tidy = Labellings.tidy(labels)
    began = time.process_time()
    build_tree(tidy.of_particles(np.arange(min(n, 10_000))))
    tree = time.process_time() - began
    began = time.process_time()
    vote(tidy, merged.species, merged.n_species)
    votes = time.process_time() - began
    accuracy = adjusted_rand_score(truth, merged.species)
    times = [f"{value:.1f}" for value in (total, memory, tree, votes)]
    return [size.replace("x", " x "), *times, str(merged.n_species), f"{accuracy:.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", default=["2500x100", "5000x100", "10000x100", "20000x100"])
    parser.add_argument("--species", type=int, default=20)
    parser.add_argument("--noise", type=float, default=0.2)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print("\t".join(measure(options.alone, options.species, options.noise)))
        return
    print(describe_machine())
    rows = []
    for size in options.sizes:
        command = [sys.executable, __file__, "--alone", size, "--species", str(options.species)]
        command += ["--noise", str(options.noise)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(done.stdout.strip().split("\t"))
        print(rows[-1], flush=True)
    print(markdown_table(HEAD, rows))


if __name__ == "__main__":
    main()
