"""The same work in PyTorch eager; PyTorch is imported on demand."""
import importlib.util

from yolo_dist.benchmarks.workloads import N_CLASS, create_batch, is_detector
from yolo_dist.errors import InputError


def check_torch():
    """Checks that PyTorch is there.

    Raises:
        InputError: If it is not.
    """
    if importlib.util.find_spec('torch') is None:
        raise InputError('--against torch: PyTorch is not installed; it belongs to the extra '
                         "'bench': pip install '.[bench]'")


def create_torch_step(name, *, input_size, batch, width, threads, training):
    """Makes a step of training or inference.

    A detector's loss is the mean square of its outputs: PyTorch has none of
    Darknet's, and this cheaper one is to its advantage.

    Args:
        name (str): A key of ``N_CLASS``.
        input_size (int): Pixels.
        batch (int): Images.
        width (float): Factor on all hidden channel counts.
        threads (int): Of PyTorch.
        training (bool): Whether to train.

    Returns:
        callable: One step.
    """
    import torch

    from yolo_dist.benchmarks.torch_networks import build_torch_network
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = build_torch_network(name, N_CLASS[name], width=width).train(training)
    imgs, *truth = map(torch.from_numpy, create_batch(name, input_size=input_size, batch=batch))

    def infer():
        with torch.inference_mode():
            network(imgs.float() / 255)
    if not training:
        return infer
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6, momentum=.9, weight_decay=5e-4)

    def step():
        optimizer.zero_grad()
        outputs = network(imgs.float() / 255)
        if is_detector(name):
            loss = (outputs * outputs).mean()
        else:
            loss = torch.nn.functional.cross_entropy(outputs, truth[0].long())
        loss.backward()
        optimizer.step()
    return step
