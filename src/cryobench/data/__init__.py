"""The values passed between all parts of the package: Particles, GroundTruth, Dataset, Reconstruction, Scores.

They are frozen, hold NumPy arrays (as on disk) and are checked once, on construction, so receivers need not
check them again. Images and volumes are read on demand through two small protocols, so that neither a stack of
100,000 particles nor a trajectory of 100,000 volumes is ever in memory as a whole.

Access: methods get ``Particles``; ``GroundTruth`` is for recipes, metrics and controls.
"""

from cryobench.data.dataset import Dataset
from cryobench.data.findings import (
    FINDINGS,
    ClassVolumes,
    CoAssignment,
    Components,
    Convergence,
    Finding,
    HalfSetFsc,
    LatentDensity,
    LatentPath,
    LatentSnapshots,
    LossTerms,
    Motion,
)
from cryobench.data.particles import CHUNK, Particles
from cryobench.data.reconstruction import Decoder, Reconstruction
from cryobench.data.record import DatasetIdentity, Machine, Priors, RunCost, RunRecord
from cryobench.data.scores import Score, Scores
from cryobench.data.series import VolumeSeries
from cryobench.data.sources import (
    ArrayImages,
    CroppedImages,
    ImageSource,
    IndexedVolumes,
    LevelledImages,
    PaddedVolumes,
    SelectedImages,
    VolumeSource,
    corner_pixels,
)
from cryobench.data.truth import CollectiveVariable, GroundTruth, StateComponents

__all__ = [
    "CHUNK",
    "FINDINGS",
    "ArrayImages",
    "ClassVolumes",
    "CoAssignment",
    "CollectiveVariable",
    "Components",
    "Convergence",
    "CroppedImages",
    "Dataset",
    "DatasetIdentity",
    "Decoder",
    "Finding",
    "GroundTruth",
    "HalfSetFsc",
    "ImageSource",
    "IndexedVolumes",
    "LatentDensity",
    "LatentPath",
    "LatentSnapshots",
    "LevelledImages",
    "LossTerms",
    "Machine",
    "Motion",
    "PaddedVolumes",
    "Particles",
    "Priors",
    "Reconstruction",
    "RunCost",
    "RunRecord",
    "Score",
    "Scores",
    "SelectedImages",
    "StateComponents",
    "VolumeSeries",
    "VolumeSource",
    "corner_pixels",
]
