import pytest
import threadpoolctl


@pytest.fixture
def blas_threads():
    """A function that sets the threads of BLAS until the end of the test."""
    with threadpoolctl.threadpool_limits() as limits:
        yield lambda n: [library.set_num_threads(n) for library in limits._controller
                         .select(user_api='blas').lib_controllers]
