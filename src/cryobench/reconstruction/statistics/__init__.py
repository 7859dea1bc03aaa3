"""Statistics that methods have in common: half-sets, priors of shells, masks, back-projection."""

from cryobench.reconstruction.statistics.backprojection import (
    ClassSums,
    backproject,
    cut_mask,
    disc_of,
    scale_batch,
    small_box,
    solve_volumes,
    sum_classes,
    volume_bytes,
)
from cryobench.reconstruction.statistics.class_halves import compare_halves
from cryobench.reconstruction.statistics.consensus import draw_consensus
from cryobench.reconstruction.statistics.factored_sums import (
    FactoredSums,
    Halves,
    find_touched,
    patch_bytes,
    spread_touched,
)
from cryobench.reconstruction.statistics.half_sets import (
    GOLD_STANDARD,
    find_resolution,
    fsc_of_sums,
    split_halves,
    volume_fsc,
)
from cryobench.reconstruction.statistics.masks import find_masks
from cryobench.reconstruction.statistics.priors import (
    LEAST_FSC,
    MOST_FSC,
    NOISE_GAIN,
    estimate_prior,
    invert_weight,
    regularise,
    signal_to_noise,
)

__all__ = [
    "GOLD_STANDARD",
    "LEAST_FSC",
    "MOST_FSC",
    "NOISE_GAIN",
    "ClassSums",
    "FactoredSums",
    "Halves",
    "backproject",
    "compare_halves",
    "cut_mask",
    "disc_of",
    "draw_consensus",
    "estimate_prior",
    "find_masks",
    "find_resolution",
    "find_touched",
    "fsc_of_sums",
    "invert_weight",
    "patch_bytes",
    "regularise",
    "scale_batch",
    "signal_to_noise",
    "small_box",
    "solve_volumes",
    "split_halves",
    "spread_touched",
    "sum_classes",
    "volume_bytes",
    "volume_fsc",
]
