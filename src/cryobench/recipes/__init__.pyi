from .recipe import Ensemble as Ensemble
from .recipe import FrameEnsemble as FrameEnsemble
from .recipe import Recipe as Recipe
from .registry import RECIPES as RECIPES
from .registry import get_recipe as get_recipe
from .registry import list_recipes as list_recipes
from .settings import SimulationSettings as SimulationSettings
