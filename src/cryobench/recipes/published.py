"""Facts of the published data sets: their archives, and the populations and masses of their states.

Nothing here is computed. Each table states its source; ``CryoBench repository`` is
https://github.com/ml-struct-bio/CryoBench, the paper is Jeon et al., arXiv:2408.05526.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CITATION = "Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks, arXiv:2408.05526"
"""Citation for all five sets."""

RIBOSEMBLY_COUNTS = (
    *(9_076, 14_378, 23_547, 44_366, 30_647, 38_500, 3_915, 3_980),
    *(12_740, 11_975, 17_988, 5_001, 35_367, 37_448, 40_540, 5_772),
)
"""Images per state of the 16 states of Ribosembly, 335,240 in all. CryoBench repository, conformations.py."""

TOMOTWIN_MASSES_KDA = (
    *(156, 162, 168, 174, 179, 180, 191, 193, 197, 200, 204, 205, 206, 206, 215, 226, 231, 233, 240, 247),
    *(249, 250, 251, 257, 258, 260, 266, 280, 280, 285, 291, 296, 313, 313, 316, 331, 333, 359, 375, 377),
    *(382, 383, 393, 399, 410, 422, 424, 439, 456, 464, 468, 478, 488, 490, 491, 493, 502, 511, 515, 518),
    *(518, 529, 547, 551, 556, 574, 588, 590, 591, 595, 597, 602, 607, 622, 629, 632, 633, 652, 663, 671),
    *(681, 727, 732, 838, 847, 864, 865, 877, 881, 881, 899, 921, 956, 957, 1014, 1023, 1023, 1057, 1066, 1131),
)
"""Mass in kDa of each of the 100 complexes of Tomotwin-100, in the order of the archive, which is that of mass.
CryoBench repository, visualize_umap_Tomotwin-100.py."""

TOMOTWIN_ASYMMETRIC = 45
"""Number of the 100 complexes without symmetry. Kaz, Kaz & Zhong, A meta-algorithm for ab initio reconstruction of
complex mixtures in cryo-EM."""


@dataclass(frozen=True)
class PublishedSet:
    """One published data set."""

    title: str
    """Title, as in the paper and the archive."""
    record: int
    """Zenodo record: https://zenodo.org/records/RECORD."""


PUBLISHED: Mapping[str, PublishedSet] = MappingProxyType(
    {
        "igg-1d": PublishedSet("IgG-1D", 11_629_428),
        "igg-rl": PublishedSet("IgG-RL", 11_629_428),
        "ribosembly": PublishedSet("Ribosembly", 12_528_292),
        "tomotwin-100": PublishedSet("Tomotwin-100", 12_528_292),
        "spike-md": PublishedSet("Spike-MD", 14_941_494),
    }
)
"""The five sets by the name of the recipe that makes them."""
