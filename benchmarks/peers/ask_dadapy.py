"""DADApy's results on some spaces: golden files for the tests, or its time. Run by the Python of its environment.

    FOLDER/bin/python benchmarks/peers/ask_dadapy.py [--write]          # tests/reference/golden/dadapy.{npz,json}
    FOLDER/bin/python benchmarks/peers/ask_dadapy.py --time POINTS K    # seconds and peak memory, as JSON

FOLDER as made by ``make_dadapy_env.sh``. Duplicates are removed as the published scripts do: points that are the
first of their kind in both spaces stay. For the subsets that DADApy draws, rows are stored with its values.
"""

import argparse
import json
import platform
import resource
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from dadapy.metric_comparisons import MetricComparisons

GOLDEN = Path(__file__).parents[2] / "tests" / "reference" / "golden" / "dadapy"
NEIGHBOURS = (1, 3, 10, 30, 100)
SEED = 20240811


def make_spaces(n: int, wide: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A plane, and a noisy curved copy of it in more dimensions."""
    generator = np.random.default_rng(SEED + n + wide)
    plane = generator.standard_normal((n, 2))
    curved = np.concatenate([plane, np.sin(2 * plane), generator.standard_normal((n, wide - 4))], axis=1)
    return plane, curved + 0.2 * generator.standard_normal(curved.shape)


def find_distinct(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rows that are the first of their kind in both spaces."""
    _, of_first = np.unique(first, axis=0, return_index=True)
    _, of_second = np.unique(second, axis=0, return_index=True)
    return np.array(sorted(set(of_first) & set(of_second)))


def imbalance(first: np.ndarray, second: np.ndarray, **options: object) -> tuple[np.ndarray, np.ndarray]:
    """Both directions by DADApy, one value per subset."""
    first, second = (space.astype(np.float64) for space in (first, second))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of subsets as large as the whole
        comparison = MetricComparisons(first, maxk=len(first) - 1)
        return comparison.return_information_imbalace(second, avg=False, **options)


def make_golden() -> dict[str, np.ndarray]:
    """Inputs and values of every case, by name."""
    plane, curved = make_spaces(400)
    generator = np.random.default_rng(SEED)
    repeated = generator.integers(0, 300, 400)
    cases = {
        "related": (plane, curved),
        "independent": (generator.standard_normal((300, 3)), generator.standard_normal((300, 5))),
        "wide": make_spaces(250, wide=24),
        "duplicated": (plane[repeated], curved[repeated] + (generator.random((400, 1)) < 0.3) * 0.5 * curved),
    }
    golden = {}
    for name, spaces in cases.items():
        first, second = (space.astype(np.float32) for space in spaces)
        distinct = find_distinct(first, second)
        fitting = [k for k in NEIGHBOURS if k < len(distinct)]
        values = [imbalance(first[distinct], second[distinct], k=k, subset_size=len(first)) for k in fitting]
        golden |= {f"{name}/a": first, f"{name}/b": second, f"{name}/k": np.array(fitting)}
        golden |= {f"{name}/n": np.array(len(distinct))}
        golden |= {f"{name}/forward": np.array([value[0][0] for value in values])}
        golden |= {f"{name}/backward": np.array([value[1][0] for value in values])}
    first, second = (space.astype(np.float32) for space in make_spaces(600))
    subsets = np.array_split(np.random.default_rng(42).choice(600, 600, replace=False), 3)  # as DADApy draws them
    values = [imbalance(first, second, k=k, subset_size=200) for k in NEIGHBOURS]
    return golden | {
        "subsets/a": first,
        "subsets/b": second,
        "subsets/k": np.array(NEIGHBOURS),
        "subsets/rows": np.stack(subsets),
        "subsets/forward": np.stack([value[0] for value in values], axis=1),
        "subsets/backward": np.stack([value[1] for value in values], axis=1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--time", nargs=2, type=int, metavar=("POINTS", "K"))
    asked = parser.parse_args()
    versions = {name: version(name) for name in ("dadapy", "numpy", "scipy", "scikit-learn")}
    if asked.time:
        n, k = asked.time
        first, second = make_spaces(n)
        imbalance(*make_spaces(50), k=1, subset_size=50)
        start = time.perf_counter()
        imbalance(first, second, k=k, subset_size=n)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mib": peak, **versions}))
        return
    golden = make_golden()
    for name, values in golden.items():
        if name.endswith("ward"):
            print(name, np.round(values, 6).tolist())
    if asked.write:
        GOLDEN.parent.mkdir(exist_ok=True)
        np.savez_compressed(GOLDEN.with_suffix(".npz"), **golden)
        provenance = {
            "made_by": "benchmarks/peers/ask_dadapy.py --write",
            "environment": "benchmarks/peers/make_dadapy_env.sh",
            "function": "dadapy.metric_comparisons.MetricComparisons.return_information_imbalace",
            "seed": SEED,
            "python": platform.python_version(),
            **versions,
        }
        GOLDEN.with_suffix(".json").write_text(json.dumps(provenance, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
