"""Libraries limited to one thread where the bits of a result matter.

A matrix product or factorisation on several threads sums in an order that depends on their number, and so do the
last bits. On one thread they are the same on every machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """NumPy's and SciPy's linear algebra on one thread, inside the block or the function decorated."""
    with threadpool_limits(1, user_api="blas"):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """The same, and OpenMP on one thread: for scikit-learn, which distributes sums over its threads."""
    with threadpool_limits(1):
        yield
