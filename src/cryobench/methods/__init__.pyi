from .controls import Control as Control
from .method import Method as Method
from .method import MethodSettings as MethodSettings
from .registry import METHODS as METHODS
from .registry import find_control as find_control
from .registry import get_method as get_method
from .registry import list_methods as list_methods
