"""The same work in other programs on a CPU; they are imported on demand."""
import importlib.util
import pathlib
import tempfile

import chainer
import numpy as np

from yolo_dist.benchmarks.torch_workloads import WAYS, create_torch_step
from yolo_dist.benchmarks.workloads import create_batch
from yolo_dist.errors import InputError
from yolo_dist.formats import export_onnx
from yolo_dist.kernels.cpu import using_cpu_backend

_MAX_DIFFERENCE = 1e-4  # of outputs of the same weights, relative to the largest value

_PROGRAMS = {'torch': 'PyTorch', 'torchvision': 'torchvision', 'onnxruntime': 'ONNX Runtime',
             'openvino': 'OpenVINO'}


def check_peer(name, *others):
    """Check that a program is there to be compared with.

    Args:
        name (str): ``chainer``, ``torch``, ``onnxruntime`` or ``openvino``; ``None`` is nothing.
        *others (str): What it is used with, such as ``torchvision``.

    Raises:
        InputError: If one of them is not installed.
    """
    for needed in (name, *others):
        if needed in _PROGRAMS and importlib.util.find_spec(needed) is None:
            raise InputError(f'--against {name}: {_PROGRAMS[needed]} is not installed; it belongs '
                             "to the extra 'bench': pip install -e '.[bench]'")


def create_peers(name, model_name, step, model, *, training, **size):
    """Make the contestants of one program.

    Args:
        name (str): As of :func:`check_peer`.
        model_name (str): A key of ``N_CLASS``.
        step (callable): The step of this package.
        model (~chainer.Chain): The network in it.
        training (bool): Whether to train.
        size (dict): ``input_size``, ``batch``, ``width`` and ``threads``.

    Returns:
        dict of str to callable: A step for each way in which the program can be used.

    Raises:
        InputError: If its outputs are others.
    """
    if name == 'chainer':
        def step_of_chainer():
            with using_cpu_backend(False):
                step()
        return {'': step_of_chainer}
    if name == 'torch':
        return dict(_working(
            (way, create_torch_step(model_name, **size, training=training, way=way))
            for way in WAYS))
    if name is None:
        return {}
    return {'': _create_runtime_step(name, model_name, model, **size)}


def _working(steps):
    """Leave out compilation where PyTorch finds no compiler."""
    for way, step in steps:
        if way == 'compile':
            try:
                step()
            except Exception as error:  # noqa: BLE001  (of any kind: it is another program)
                print(f'torch.compile does not work here: {str(error).splitlines()[0]}')
                continue
        yield way, step


def _create_runtime_step(name, model_name, model, *, input_size, batch, width, threads):
    """Make a forward pass of the same weights, exported to ONNX.

    Bytes become floats beforehand, which is to the advantage of the other program.
    """
    imgs, *_ = create_batch(model_name, input_size=input_size, batch=batch)
    images = imgs.astype(np.float32) / 255
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, 'network.onnx')
        export_onnx(model, path, insize=input_size)
        infer = {'onnxruntime': _open_onnxruntime, 'openvino': _open_openvino}[name](
            path, images, threads)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        outputs = model(imgs)
    expected = [output.array for output in
                (outputs if isinstance(outputs, tuple) else (outputs,))]
    for theirs, ours in zip(infer(), expected, strict=True):
        difference = np.abs(theirs - ours).max() / np.abs(ours).max()
        if not difference <= _MAX_DIFFERENCE:
            raise InputError(
                f'--against {name}: {_PROGRAMS[name]} computes other outputs from the same '
                f'weights: they differ by {difference:.1g} of the largest value, but at most '
                f'{_MAX_DIFFERENCE:g} was expected; its speed would be that of other work')
    return infer


def _open_onnxruntime(path, images, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return lambda: session.run(None, {'images': images})


def _open_openvino(path, images, threads):
    import openvino
    network = openvino.Core().compile_model(path, 'CPU', {
        'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': threads,
        'PERFORMANCE_HINT': 'LATENCY'})
    request = network.create_infer_request()

    def infer():
        results = request.infer({'images': images})
        return [results[output] for output in network.outputs]
    return infer
