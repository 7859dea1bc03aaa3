from .decoders import check_decoder as check_decoder
from .importers import check_importer as check_importer
from .methods import METHOD_LAWS as METHOD_LAWS
from .methods import check_method as check_method
from .metrics import METRIC_LAWS as METRIC_LAWS
from .metrics import check_metric as check_metric
