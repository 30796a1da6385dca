"""The same job as a PyTorch user would write it, as a program of its own.

``python -m yolo_dist.benchmarks.torch_job SETTINGS`` takes the settings of :func:`train` as JSON
and prints a list of seconds as JSON.
"""
import json
import sys
import time

import torch
from torch import distributed, nn
from torch.utils.data import DataLoader, DistributedSampler

from yolo_dist.benchmarks.torch_networks import build_torch_network


def _import_torchvision():
    """Import it, also where it is built for a GPU and PyTorch is not.

    Its operators cannot be loaded then, and it misses two by name; none is needed here.
    """
    try:
        import torchvision
    except RuntimeError:
        for name in ('nms', 'qnms'):
            torch.library.define(f'torchvision::{name}',
                                 '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        import torchvision
    return torchvision


def train(rank, settings):
    """Train in one of several processes, with one thread, and print the seconds of iterations.

    Images are distorted as in our job as far as torchvision's users do it, which leaves out
    rotation. An iteration lasts from the end of the one before to its own end in the slowest
    process. The first process prints.

    Args:
        rank (int): Which process.
        settings (dict): ``model``, ``n_class``, ``width``, ``input_size`` in pixels, ``batch`` of
            a process, ``processes``, ``loader_processes`` of a process, ``n_iterations``, ``data``
            (a folder of class folders) and ``meeting`` (a file that is not there yet, by which
            the processes find each other).
    """
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    distributed.init_process_group('gloo', init_method=f'file://{settings["meeting"]}', rank=rank,
                                   world_size=settings['processes'])
    torchvision = _import_torchvision()
    transforms = torchvision.transforms
    images = torchvision.datasets.ImageFolder(settings['data'], transforms.Compose([
        transforms.RandomResizedCrop(settings['input_size']), transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(brightness=.75, saturation=.75, hue=.1), transforms.ToTensor()]))
    loader = DataLoader(
        images, settings['batch'], sampler=DistributedSampler(images), drop_last=True,
        num_workers=settings['loader_processes'], persistent_workers=True,
        multiprocessing_context='fork')  # as a process that is not spawned has it
    network = build_torch_network(settings['model'], settings['n_class'], width=settings['width'])
    # The fastest way on a CPU. Gradients as views of buckets and a fused SGD are not faster.
    network = nn.parallel.DistributedDataParallel(network.to(memory_format=torch.channels_last))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6, momentum=.9, weight_decay=5e-4)
    seconds = []
    ended_at = time.perf_counter()
    for _, (imgs, labels) in zip(range(settings['n_iterations']), loader):
        optimizer.zero_grad()
        outputs = network(imgs.contiguous(memory_format=torch.channels_last))
        nn.functional.cross_entropy(outputs, labels).backward()
        optimizer.step()
        began_at, ended_at = ended_at, time.perf_counter()
        seconds.append(ended_at - began_at)
    slowest = torch.tensor(seconds)
    distributed.all_reduce(slowest, distributed.ReduceOp.MAX)
    if rank == 0:
        print(json.dumps(slowest.tolist()))
    distributed.destroy_process_group()


if __name__ == '__main__':
    given = json.loads(sys.argv[1])
    torch.multiprocessing.spawn(train, (given,), nprocs=given['processes'])
