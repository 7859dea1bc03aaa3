"""Statistics that methods have in common: half-sets, priors of shells, masks, back-projection."""

from cryobench.reconstruction.statistics.backprojection import ClassSums as ClassSums
from cryobench.reconstruction.statistics.backprojection import backproject as backproject
from cryobench.reconstruction.statistics.backprojection import cut_mask as cut_mask
from cryobench.reconstruction.statistics.backprojection import disc_of as disc_of
from cryobench.reconstruction.statistics.backprojection import scale_batch as scale_batch
from cryobench.reconstruction.statistics.backprojection import small_box as small_box
from cryobench.reconstruction.statistics.backprojection import solve_volumes as solve_volumes
from cryobench.reconstruction.statistics.backprojection import sum_classes as sum_classes
from cryobench.reconstruction.statistics.backprojection import volume_bytes as volume_bytes
from cryobench.reconstruction.statistics.class_halves import compare_halves as compare_halves
from cryobench.reconstruction.statistics.consensus import draw_consensus as draw_consensus
from cryobench.reconstruction.statistics.half_sets import find_resolution as find_resolution
from cryobench.reconstruction.statistics.half_sets import fsc_of_sums as fsc_of_sums
from cryobench.reconstruction.statistics.half_sets import split_halves as split_halves
from cryobench.reconstruction.statistics.half_sets import volume_fsc as volume_fsc
from cryobench.reconstruction.statistics.masks import find_masks as find_masks
from cryobench.reconstruction.statistics.priors import LEAST_FSC as LEAST_FSC
from cryobench.reconstruction.statistics.priors import MOST_FSC as MOST_FSC
from cryobench.reconstruction.statistics.priors import NOISE_GAIN as NOISE_GAIN
from cryobench.reconstruction.statistics.priors import estimate_prior as estimate_prior
from cryobench.reconstruction.statistics.priors import invert_weight as invert_weight
from cryobench.reconstruction.statistics.priors import signal_to_noise as signal_to_noise
