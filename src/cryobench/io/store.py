"""The package's own layout on disk: data sets, runs and scores in JSON, Parquet, NumPy and MRC files."""

from cryobench.io.folders.dataset_store import hash_card, load_dataset, read_card, verify_dataset, write_dataset
from cryobench.io.folders.loose_files import describe_folder_without_run
from cryobench.io.folders.run_files import find_loose_files, hash_run
from cryobench.io.folders.run_store import (
    ACCOUNT,
    TRAINING,
    load_reconstruction,
    read_run_record,
    replace_reconstruction,
    save_reconstruction,
    write_run_record,
)
from cryobench.io.folders.score_store import load_part, load_scores, read_context, save_part, save_scores, write_index

__all__ = [
    "ACCOUNT",
    "TRAINING",
    "describe_folder_without_run",
    "find_loose_files",
    "hash_card",
    "hash_run",
    "load_dataset",
    "load_part",
    "load_reconstruction",
    "load_scores",
    "read_card",
    "read_context",
    "read_run_record",
    "replace_reconstruction",
    "save_part",
    "save_reconstruction",
    "save_scores",
    "verify_dataset",
    "write_dataset",
    "write_index",
    "write_run_record",
]
