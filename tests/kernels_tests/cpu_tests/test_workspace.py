"""Memory of the backend."""
import tracemalloc

import pytest

from yolo_dist.benchmarks import workloads
from yolo_dist.kernels.cpu import using_cpu_backend, workspace


def peak_bytes(step):
    """Largest sum of arrays that a step holds beside weights and data, scratch memory included."""
    step()  # what is made once, machine code among it
    workspace._local.__dict__.clear()
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('name, input_size, batch', [
    ('darknet19', 128, 4), ('darknet53', 128, 4), ('yolo_v2', 224, 2), ('yolo_v3', 224, 2)])
def test_a_step_needs_no_more_memory_than_chainers(name, input_size, batch, blas_threads):
    """Feature maps, gradients and scratch arrays together."""
    blas_threads(1)
    peaks = {}
    for is_on in (False, True):
        with using_cpu_backend(is_on):
            step, _ = workloads.create_training_step(
                name, input_size=input_size, batch=batch, width=.25)
            peaks[is_on] = peak_bytes(step)
    assert peaks[True] <= peaks[False], peaks
