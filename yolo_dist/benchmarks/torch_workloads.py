"""The same work in PyTorch; PyTorch is imported on demand."""
import importlib.util

from yolo_dist.benchmarks.workloads import N_CLASS, create_batch, is_detector

# How its users run a network on a CPU.
WAYS = ('eager', 'channels_last', 'compile')


def is_torch_there():
    """Whether PyTorch is installed."""
    return importlib.util.find_spec('torch') is not None


def create_torch_step(name, *, input_size, batch, width, threads, training, gpu=None,
                      dtype='float32', way='eager'):
    """Make a step of training or inference.

    On a GPU as its users are told to: channels last, cuDNN's benchmark on, automatic mixed
    precision with its gradient scaler for ``mixed16``.

    A detector's loss is the mean square of its outputs: PyTorch has none of
    Darknet's, and this cheaper one is to its advantage.

    Args:
        name (str): A key of ``N_CLASS``.
        input_size (int): Pixels.
        batch (int): Images.
        width (float): Factor on all hidden channel counts.
        threads (int): Of PyTorch.
        training (bool): Whether to train.
        gpu (int): Number of the GPU; ``None`` is the CPU.
        dtype ({'float32', 'tf32', 'mixed16'}): As in ``model.dtype``; float32 on the CPU.
        way ({'eager', 'channels_last', 'compile'}): How, on the CPU.

    Returns:
        callable: One step.
    """
    import torch

    from yolo_dist.benchmarks.torch_networks import build_torch_network
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = build_torch_network(name, N_CLASS[name], width=width).train(training)
    imgs, *truth = map(torch.from_numpy, create_batch(name, input_size=input_size, batch=batch))
    if way == 'channels_last':
        network.to(memory_format=torch.channels_last)
        imgs = imgs.to(memory_format=torch.channels_last)
    elif way == 'compile':
        network = torch.compile(network)
    if gpu is not None:
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = dtype == 'tf32'
        network.to(f'cuda:{gpu}', memory_format=torch.channels_last)
        imgs = imgs.to(f'cuda:{gpu}', memory_format=torch.channels_last)
        truth = [array.to(f'cuda:{gpu}') for array in truth]
    is_mixed = dtype == 'mixed16'
    autocast = torch.autocast('cuda', torch.float16, enabled=is_mixed)

    def infer():
        with torch.inference_mode(), autocast:
            network(imgs.float() / 255)
    if not training:
        return infer
    scaler = torch.amp.GradScaler('cuda', enabled=is_mixed)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6, momentum=.9, weight_decay=5e-4)

    def step():
        optimizer.zero_grad()
        with autocast:
            outputs = network(imgs.float() / 255)
            if is_detector(name):
                loss = (outputs.float() * outputs.float()).mean()
            else:
                loss = torch.nn.functional.cross_entropy(outputs, truth[0].long())
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return step
