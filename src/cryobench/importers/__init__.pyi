from .importer import Found as Found
from .importer import Importer as Importer
from .registry import GROUP as GROUP
from .registry import IMPORTERS as IMPORTERS
from .registry import get_importer as get_importer
from .registry import list_importers as list_importers
from .registry import recognise as recognise
