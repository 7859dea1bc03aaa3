"""Random draws per particle, from named streams that are independent of state, chunk and worker.

Every function takes the indices of the requested particles, so any of them can be made alone; the draws for one
particle depend on the settings, the seed and its index. Only ``roster`` assigns particles to states.
"""

from cryobench.recipes.draws.ctf import check_ctf_table, draw_ctf, draw_given_ctf
from cryobench.recipes.draws.junk import Junk, draw_junk, draw_neighbours
from cryobench.recipes.draws.levels import draw_contrast, draw_noise_level
from cryobench.recipes.draws.poses import draw_given_poses, draw_poses
from cryobench.recipes.draws.roster import assign_states, choose_queries, set_populations

__all__ = [
    "Junk",
    "assign_states",
    "check_ctf_table",
    "choose_queries",
    "draw_contrast",
    "draw_ctf",
    "draw_given_ctf",
    "draw_given_poses",
    "draw_junk",
    "draw_neighbours",
    "draw_noise_level",
    "draw_poses",
    "set_populations",
]
