"""The run-time checker of the tests: beartype, with an int where a float is annotated (as type checkers allow)."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
