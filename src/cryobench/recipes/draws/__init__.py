"""Random draws per particle, from named streams that are independent of state, chunk and worker.

Every function takes the indices of the requested particles, so any of them can be made alone; the draws for one
particle depend on the settings, the seed and its index. Only ``roster`` assigns particles to states.
"""

from cryobench.recipes.draws.ctf import check_ctf_table as check_ctf_table
from cryobench.recipes.draws.ctf import draw_ctf as draw_ctf
from cryobench.recipes.draws.ctf import draw_given_ctf as draw_given_ctf
from cryobench.recipes.draws.junk import Junk as Junk
from cryobench.recipes.draws.junk import draw_junk as draw_junk
from cryobench.recipes.draws.junk import draw_neighbours as draw_neighbours
from cryobench.recipes.draws.levels import draw_contrast as draw_contrast
from cryobench.recipes.draws.levels import draw_noise_level as draw_noise_level
from cryobench.recipes.draws.poses import draw_given_poses as draw_given_poses
from cryobench.recipes.draws.poses import draw_poses as draw_poses
from cryobench.recipes.draws.roster import assign_states as assign_states
from cryobench.recipes.draws.roster import choose_queries as choose_queries
from cryobench.recipes.draws.roster import set_populations as set_populations
