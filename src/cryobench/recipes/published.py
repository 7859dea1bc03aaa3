"""Facts of the published data sets: the contents of their archives and how they were simulated.

Nothing here is computed. Each table states its source; ``CryoBench repository`` is
https://github.com/ml-struct-bio/CryoBench, the paper is Jeon et al., arXiv:2408.05526.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

CITATION = "Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks, arXiv:2408.05526"
"""Citation for all five sets."""

IGG_1D_ANGLES = tuple(float(angle) for angle in np.round(np.arange(100) * 3.6, 1))
"""Rotation of the Fab of IgG-1D in degrees for each of the 100 states: 0 to 356.4 in steps of 3.6.
CryoBench repository, the script that plots IgG-1D's embeddings coloured by angle."""

RIBOSEMBLY_COUNTS = (
    *(9_076, 14_378, 23_547, 44_366, 30_647, 38_500, 3_915, 3_980),
    *(12_740, 11_975, 17_988, 5_001, 35_367, 37_448, 40_540, 5_772),
)
"""Images per state of the 16 states of Ribosembly, 335,240 in all. CryoBench repository, conformations.py."""

RIBOSEMBLY_ENTRIES = (
    *("8C8X", "8C8Y", "8C8Z", "8C90", "8C91", "8C92", "8C93", "8C94"),
    *("8C95", "8C96", "8C97", "8C98", "8C99", "8C9A", "8C9B", "8C9C"),
)
"""PDB entries of Qin et al., Nat. Commun. 14 (2023) 898: early assembly intermediates of the large ribosomal subunit
of E. coli. That these sixteen consecutive entries are the states of Ribosembly is an inference from their number;
which entry is which class of the archive is not published: compare names and masses before relying on the order."""

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
    """One published data set. Unknown values are None."""

    name: str
    """Name of the recipe that makes it."""
    title: str
    """Title, as in the paper and the archive."""
    n_structures: int
    n_images: int
    box_size: int
    """Side of the released images, px."""
    pixel_size: float
    """Å per pixel of the released images."""
    simulated_pixel_size: float
    """Å per pixel at which images were simulated and their SNR defined, before Fourier cropping."""
    snr: float
    """Variance over all pixels of the noise-free images / variance of the noise, at ``simulated_pixel_size``."""
    record: int
    """Zenodo record: https://zenodo.org/records/RECORD."""
    older_records: tuple[int, ...] = ()
    """Earlier versions of the same record."""
    files: tuple[str, ...] = ()
    """Names of files known to be in the record; it may hold more."""
    other_snr: tuple[float, ...] = ()
    """SNRs of further images of the same structures."""
    md5: str | None = None
    """Checksum of the archive. None: taken from the record when it is downloaded."""

    @property
    def images_per_structure(self) -> float:
        """Mean number of images per structure."""
        return self.n_images / self.n_structures

    @property
    def url(self) -> str:
        """Page of the record."""
        return f"https://zenodo.org/records/{self.record}"


_SETS = (
    PublishedSet(
        name="igg-1d",
        title="IgG-1D",
        n_structures=100,
        n_images=100_000,
        box_size=128,
        pixel_size=3.0,
        simulated_pixel_size=1.5,
        snr=0.01,
        other_snr=(0.005, 0.001),
        record=11_629_428,
        files=("IgG-1D.zip",),
    ),
    PublishedSet(
        name="igg-rl",
        title="IgG-RL",
        n_structures=100,
        n_images=100_000,
        box_size=128,
        pixel_size=3.0,
        simulated_pixel_size=1.5,
        snr=0.01,
        record=11_629_428,
    ),
    PublishedSet(
        name="ribosembly",
        title="Ribosembly",
        n_structures=16,
        n_images=sum(RIBOSEMBLY_COUNTS),
        box_size=128,
        pixel_size=3.0,
        simulated_pixel_size=1.5,
        snr=0.01,
        record=12_528_292,
        files=("Ribosembly.zip",),
    ),
    PublishedSet(
        name="tomotwin-100",
        title="Tomotwin-100",
        n_structures=100,
        n_images=100_000,
        box_size=128,
        pixel_size=4.5,
        simulated_pixel_size=2.25,
        snr=0.01,
        record=12_528_292,
        files=("Tomotwin-100.zip",),
    ),
    PublishedSet(
        name="spike-md",
        title="Spike-MD",
        n_structures=100_000,
        n_images=100_000,
        box_size=256,
        pixel_size=1.5,
        simulated_pixel_size=1.5,
        snr=0.1,
        record=14_941_494,
        older_records=(14_902_250,),
    ),
)

PUBLISHED: Mapping[str, PublishedSet] = MappingProxyType({each.name: each for each in _SETS})
"""The five sets by the name of their recipe. Boxes, pixel sizes, counts: CryoBench repository and programs that read
the archives; records: its README and issue 8; 4.5 Å per pixel of Tomotwin-100: headers of its volumes; 2.25 Å of its
simulation: inferred from the cell of 576 Å, since all other sets were simulated in 256 px."""
