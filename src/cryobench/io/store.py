"""The package's own layout on disk: data sets, runs and scores in JSON, Parquet, NumPy and MRC files."""

from cryobench.io.folders.dataset_store import hash_card as hash_card
from cryobench.io.folders.dataset_store import load_dataset as load_dataset
from cryobench.io.folders.dataset_store import read_card as read_card
from cryobench.io.folders.dataset_store import verify_dataset as verify_dataset
from cryobench.io.folders.dataset_store import write_dataset as write_dataset
from cryobench.io.folders.loose_files import describe_folder_without_run as describe_folder_without_run
from cryobench.io.folders.run_files import find_loose_files as find_loose_files
from cryobench.io.folders.run_files import hash_run as hash_run
from cryobench.io.folders.run_store import ACCOUNT as ACCOUNT
from cryobench.io.folders.run_store import TRAINING as TRAINING
from cryobench.io.folders.run_store import load_reconstruction as load_reconstruction
from cryobench.io.folders.run_store import read_run_record as read_run_record
from cryobench.io.folders.run_store import replace_reconstruction as replace_reconstruction
from cryobench.io.folders.run_store import save_reconstruction as save_reconstruction
from cryobench.io.folders.run_store import write_run_record as write_run_record
from cryobench.io.folders.score_store import load_part as load_part
from cryobench.io.folders.score_store import load_scores as load_scores
from cryobench.io.folders.score_store import read_context as read_context
from cryobench.io.folders.score_store import save_part as save_part
from cryobench.io.folders.score_store import save_scores as save_scores
from cryobench.io.folders.score_store import write_index as write_index
