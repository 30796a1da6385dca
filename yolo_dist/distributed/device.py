"""The GPU of a process, and the dtype that networks compute in."""
import chainer
import numpy as np
from chainer.backends import cuda

from yolo_dist.errors import InputError
from yolo_dist.kernels.cudnn9.choice import least_compute_capability

# model.dtype: Chainer's dtype, and what `use_cudnn_tensor_core` allows.
_PRECISIONS = {'float32': (np.dtype(np.float32), 'auto'),
               'tf32': (np.dtype(np.float32), 'always'),
               'mixed16': (chainer.mixed16, 'auto')}


def n_gpus():
    """Return the number of GPUs that CuPy finds."""
    if not cuda.available:
        return 0
    runtime = cuda.cupy.cuda.runtime
    try:
        return runtime.getDeviceCount()
    except runtime.CUDARuntimeError:  # no driver, or no GPU that this process may use
        return 0


def visible_gpus():
    """Return what tells the GPUs that this process sees from all others, in CUDA's order.

    Returns:
        list of bytes: The UUID of each; one card has the same in all processes of a node, whatever
        number ``CUDA_VISIBLE_DEVICES`` or the scheduler gives it.
    """
    return [bytes(cuda.cupy.cuda.runtime.getDeviceProperties(number)['uuid'])
            for number in range(n_gpus())]


def own_gpu(seen):
    """Return the number of the GPU of a process, such that no two processes have the same.

    Each process, in the order of the node, takes the first GPU it sees that none before it has
    taken. Where all processes see all GPUs, the i-th takes the i-th. Where the scheduler shows
    each process one GPU, it takes that one.

    Args:
        seen (list of list of bytes): What each process of the node sees, up to this process.

    Returns:
        int: CUDA's number of the GPU in this process.

    Raises:
        InputError: If all GPUs that this process sees are taken.
    """
    taken = set()
    for i, gpus in enumerate(seen):
        free = [number for number, gpu in enumerate(gpus) if gpu not in taken]
        if not free:
            raise InputError(
                f'process {i} of its node sees {len(gpus)} GPUs, and the processes before it have '
                'taken them; pure_nccl needs a GPU for each process: start as many processes on a '
                'node as it has GPUs, and let each see all of them or one of its own '
                '(`srun --gpus-per-node=N`)')
        taken.add(gpus[free[0]])
    return free[0]


def check_gpu(number):
    """Check that a GPU can be used, without using it.

    Args:
        number (int): CUDA's number of the GPU among those that this process sees.

    Raises:
        InputError: If there is no such GPU; if there is no cuDNN for it and Chainer's switch
            ``CHAINER_CUDNN=0`` is not set; or if cuDNN no longer supports it.
    """
    if number >= n_gpus():
        raise InputError(f'GPU {number}: CuPy finds {n_gpus()} GPUs here; '
                         '`python -m yolo_dist.doctor` says what is missing')
    if not cuda.cudnn_enabled and not cuda._cudnn_disabled_by_user:
        raise InputError(
            'there is a GPU but no cuDNN for it, so Chainer would convolve many times slower; '
            "pip install -e '.[gpu]' installs cuDNN, `python -m yolo_dist.doctor` says what is "
            'missing; set CHAINER_CUDNN=0 in the environment to go on without cuDNN')
    if cuda.cudnn_enabled:
        _check_capability(number, cuda.libcudnn.getVersion())


def _check_capability(number, version):
    properties = cuda.cupy.cuda.runtime.getDeviceProperties(number)
    found = float(f'{properties["major"]}.{properties["minor"]}')
    least = least_compute_capability(version)
    if found < least:
        raise InputError(
            f'GPU {number} has compute capability {found}, but cuDNN {version} computes on '
            f'{least} and newer only; install cuDNN 9.10, the last one for Volta: '
            "pip install -e '.[gpu-volta]'")


def use_gpu(number):
    """Make a GPU the current device, with the fastest settings of cuDNN.

    Batch normalisation uses cuDNN's fast mode, as in the paper (sec. 5.1). Convolutions are tuned
    at the first use of a shape.

    Args:
        number (int): CUDA's number of the GPU among those that this process sees.

    Returns:
        chainer.backend.Device: The GPU.

    Raises:
        InputError: See :func:`check_gpu`.
    """
    check_gpu(number)
    device = chainer.get_device(f'@cupy:{number}')
    device.use()
    chainer.global_config.cudnn_fast_batch_normalization = True
    chainer.global_config.autotune = True
    return device


def set_precision(dtype):
    """Set the dtype that Chainer computes in from here on.

    Args:
        dtype ({'float32', 'tf32', 'mixed16'}): Same values as ``model.dtype``. TF32 rounds the
            factors of a convolution to 10 bits on GPUs since Ampere. On other devices it is
            float32. No GPU of the paper had TF32.
    """
    chainer.global_config.dtype, chainer.global_config.use_cudnn_tensor_core = _PRECISIONS[dtype]
