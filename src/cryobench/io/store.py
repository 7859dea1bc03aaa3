"""The package's own layout on disk: data sets, runs and scores in JSON, Parquet, NumPy and MRC files."""

from cryobench.io.dataset_store import hash_card, load_dataset, read_card, verify_dataset, write_dataset
from cryobench.io.run_store import load_reconstruction, read_run_record, save_reconstruction, write_run_record
from cryobench.io.score_store import load_scores, save_scores

__all__ = [
    "hash_card",
    "load_dataset",
    "load_reconstruction",
    "load_scores",
    "read_card",
    "read_run_record",
    "save_reconstruction",
    "save_scores",
    "verify_dataset",
    "write_dataset",
    "write_run_record",
]
