"""Libraries held to one thread where the bits of a result count.

A matrix product or factorisation of several threads adds up in an order that their number decides, and the last bits
with it. What is worked out on one thread is the same whatever the machine would have allowed.
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
    """The same, and OpenMP on one thread: for scikit-learn, which shares sums out among its threads."""
    with threadpool_limits(1):
        yield
