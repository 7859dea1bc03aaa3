"""The values passed between all parts of the package: Particles, GroundTruth, Dataset, Reconstruction, Scores.

They are frozen, hold NumPy arrays (as on disk) and are checked once, on construction, so receivers need not
check them again. Images and volumes are read on demand through two small protocols, so that neither a stack of
100,000 particles nor a trajectory of 100,000 volumes is ever in memory as a whole.

Access: methods get ``Particles``; ``GroundTruth`` is for recipes, metrics and controls.
"""

from cryobench.data.dataset import Dataset as Dataset
from cryobench.data.findings import FINDINGS as FINDINGS
from cryobench.data.findings import ClassVolumes as ClassVolumes
from cryobench.data.findings import CoAssignment as CoAssignment
from cryobench.data.findings import Components as Components
from cryobench.data.findings import Convergence as Convergence
from cryobench.data.findings import Finding as Finding
from cryobench.data.findings import HalfSetFsc as HalfSetFsc
from cryobench.data.findings import LatentDensity as LatentDensity
from cryobench.data.findings import LatentPath as LatentPath
from cryobench.data.findings import LatentSnapshots as LatentSnapshots
from cryobench.data.findings import LossTerms as LossTerms
from cryobench.data.findings import Motion as Motion
from cryobench.data.particles import CHUNK as CHUNK
from cryobench.data.particles import Particles as Particles
from cryobench.data.reconstruction import Decoder as Decoder
from cryobench.data.reconstruction import Reconstruction as Reconstruction
from cryobench.data.reconstruction import most_probable as most_probable
from cryobench.data.record import DatasetIdentity as DatasetIdentity
from cryobench.data.record import Machine as Machine
from cryobench.data.record import Priors as Priors
from cryobench.data.record import RunCost as RunCost
from cryobench.data.record import RunRecord as RunRecord
from cryobench.data.scores import Score as Score
from cryobench.data.scores import Scores as Scores
from cryobench.data.series import VolumeSeries as VolumeSeries
from cryobench.data.sources import ArrayImages as ArrayImages
from cryobench.data.sources import CroppedImages as CroppedImages
from cryobench.data.sources import ImageSource as ImageSource
from cryobench.data.sources import IndexedVolumes as IndexedVolumes
from cryobench.data.sources import LevelledImages as LevelledImages
from cryobench.data.sources import PaddedVolumes as PaddedVolumes
from cryobench.data.sources import SelectedImages as SelectedImages
from cryobench.data.sources import SelectedVolumes as SelectedVolumes
from cryobench.data.sources import VolumeSource as VolumeSource
from cryobench.data.sources import corner_pixels as corner_pixels
from cryobench.data.truth import CollectiveVariable as CollectiveVariable
from cryobench.data.truth import GroundTruth as GroundTruth
from cryobench.data.truth import StateComponents as StateComponents
