"""How fast K GPUs would be, from the speed of one and the site's links.

``pure_nccl`` averages gradients after the whole backward pass and overlaps the two in
nothing, so an iteration at K workers takes::

    T(K) = T(1) + A(K),        speed-up S(K) = K T(1) / T(K)

``A(K)`` is the all-reduce of ``G`` gradient bytes over ``m`` nodes of ``g`` GPUs; with
``b`` and ``l`` bandwidth and latency inside a node, ``B`` and ``L`` those between nodes::

    A(K) = 2 (K-1)/K G / min(b, B')  +  2 (K-1) L        (one node: b and l)

    B' = link_share x min(B, f r B)

It is a ring, the one algorithm of the paper's NCCL 2.3. ``f r B`` leaves a rack of ``r``
nodes (``f``: ``rack_uplink_fraction``, 1/3 on ABCI). Ranks follow racks, so one node of a
rack has its neighbour in another.

**Against the paper.** It does not print T(1); that is taken as the operations of three
forward passes at ``gpu.efficiency`` (an assumption, 0.4 in ``abci_2018``) of the V100's
15.7 TFLOP/s. With ABCI's links as their makers state them the ring gives 246, 486 and 95
where the paper prints 109.5 (k = 256), 256 (k = 512) and 64.4 (k = 96): a factor of 1.9
(root mean square of the logarithm). ``link_share``, the one free number, fitted to the
three points is 0.026 and leaves 9 %: 116, 231 and 71. Another efficiency moves the share and
not the error. Two things must be said of that fit:

- From k = 256 to 512 the paper's speed-up grows by 2.34. A model whose iterations do not
  get shorter with more workers gives at most 2 and misses those two points by 8 % each at
  the least. They are taken as printed.
- 0.026 of two EDR links is 0.6 GB/s, which is not what such links give, and it makes two
  nodes as slow as one. The number stands for all that grows with K and is not modelled:
  waiting for the slowest worker, reading of files, casts, whatever else. The paper does
  not say what limited it.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from yolo_dist.config import Site
from yolo_dist.errors import InputError

# A training step is three forward passes: forward, and the gradients of inputs and weights.
FORWARD_PASSES_PER_STEP = 3


@dataclasses.dataclass(frozen=True)
class Workload:
    """One worker's iteration.

    Attributes:
        seconds: It takes without all-reduce.
        gradient_bytes: It gives to the all-reduce.
        batch_size: Images, n.
    """

    seconds: float
    gradient_bytes: int
    batch_size: int


def measured_workload(throughput, *, gradient_bytes):
    """Return the iteration of a throughput run of one worker.

    Args:
        throughput (dict): Its ``throughput.json``, see
            :class:`~yolo_dist.training.extensions.Throughput`.
        gradient_bytes (int): See :class:`~yolo_dist.planning.plan.Plan`.

    Returns:
        Workload: With the median iteration.

    Raises:
        InputError: If the run had more than one worker.
    """
    if throughput['n_workers'] != 1:
        raise InputError(f'the speed of one worker was expected, found a throughput run of '
                         f'{throughput["n_workers"]} workers; run the row with k = 1')
    return Workload(throughput['seconds_per_iteration']['median'], gradient_bytes,
                    throughput['global_batch_size'])


def assumed_workload(n_operations, *, batch_size, gradient_bytes, gpu):
    """Return the iteration of a GPU that has not been measured.

    Args:
        n_operations (int): Of a forward pass of one image.
        batch_size (int): Images, n.
        gradient_bytes (int): See :class:`~yolo_dist.planning.plan.Plan`.
        gpu (~yolo_dist.config.sites.Gpu): Its peak, and the share that is assumed.

    Returns:
        Workload: At ``gpu.efficiency`` of ``gpu.fp32_tflops``.
    """
    n_operations_of_step = FORWARD_PASSES_PER_STEP * n_operations * batch_size
    seconds = n_operations_of_step / (gpu.efficiency * gpu.fp32_tflops * 1e12)
    return Workload(seconds, gradient_bytes, batch_size)


def paper_workloads(gpu):
    """Return the iterations of the paper's two networks, in float32 with gradients in float16.

    Args:
        gpu (~yolo_dist.config.sites.Gpu): Its V100, or another.

    Returns:
        dict: ``'fig5'``: Darknet53, 32 images of 224 px; ``'fig7'``: YOLOv3, 16 of 608 px.
    """
    return {
        'fig5': assumed_workload(14.22e9, batch_size=32, gradient_bytes=2 * 41_609_928, gpu=gpu),
        'fig7': assumed_workload(139.76e9, batch_size=16, gradient_bytes=2 * 61_626_049, gpu=gpu)}


@dataclasses.dataclass(frozen=True)
class SpeedUpModel:
    """The formulas of this module for one site.

    Attributes:
        site: Its ``gpus_per_node`` and ``links``.
        link_share: Share of ``inter_node``'s bandwidth that an all-reduce reaches.
    """

    site: Site
    link_share: float = 1.0

    def allreduce_seconds(self, n_workers, gradient_bytes):
        """``A(K)``.

        Args:
            n_workers (int): K, on as few nodes as hold them.
            gradient_bytes (int): Of one worker.

        Returns:
            float: Seconds; 0 for one worker.
        """
        inside, between = self.site.links.intra_node, self.site.links.inter_node
        n_nodes = math.ceil(n_workers / self.site.gpus_per_node)
        inside_rate, inside_latency = _rate(inside), 1e-6 * inside.latency_microseconds
        if n_nodes == 1:
            return _ring(n_workers, gradient_bytes, inside_rate, inside_latency)
        between_rate = self.link_share * min(_rate(between), self._uplink_rate(n_nodes))
        between_latency = 1e-6 * between.latency_microseconds
        return _ring(n_workers, gradient_bytes, min(inside_rate, between_rate), between_latency)

    def iteration_seconds(self, workload, n_workers):
        """``T(K)``, seconds."""
        return workload.seconds + self.allreduce_seconds(n_workers, workload.gradient_bytes)

    def speed_up(self, workload, n_workers):
        """``S(K)``, over one worker."""
        return n_workers * workload.seconds / self.iteration_seconds(workload, n_workers)

    def images_per_second(self, workload, n_workers):
        """Speed of the whole job."""
        return n_workers * workload.batch_size / self.iteration_seconds(workload, n_workers)

    def _uplink_rate(self, n_nodes):
        """Return what leaves a rack, bytes / s."""
        links = self.site.links
        per_rack = links.nodes_per_rack
        if per_rack is None or n_nodes <= per_rack:
            return math.inf
        return links.rack_uplink_fraction * per_rack * _rate(links.inter_node)


def _rate(link):
    return 1e9 * link.gigabytes_per_second


def _ring(n, n_bytes, rate, latency):
    """Reduce-scatter and all-gather around ``n`` members."""
    return 2 * (n - 1) / n * n_bytes / rate + 2 * (n - 1) * latency


class PrintedPoint(NamedTuple):
    """A speed-up that the paper prints, and its figure."""

    figure: str
    n_workers: int
    speed_up: float


def fit_error(model, workloads, points):
    """How far a model is from printed speed-ups.

    Args:
        model (SpeedUpModel): The model.
        workloads (dict): A :class:`Workload` for each figure.
        points (sequence of PrintedPoint): What was printed.

    Returns:
        float: Root mean square of ``ln(predicted / printed)``; 0.1 is about 10 %.
    """
    logs = [math.log(model.speed_up(workloads[point.figure], point.n_workers) / point.speed_up)
            for point in points]
    return math.sqrt(sum(log ** 2 for log in logs) / len(logs))


def fit_link_share(model, workloads, points):
    """Return the model with the ``link_share`` that fits printed speed-ups best.

    Args:
        model (SpeedUpModel): Its own ``link_share`` plays no part.
        workloads (dict): A :class:`Workload` for each figure.
        points (sequence of PrintedPoint): What was printed.

    Returns:
        SpeedUpModel: Of least :func:`fit_error` among shares from 0.001 to 1, in steps of
        0.5 %.
    """
    shares = np.geomspace(0.001, 1, 1386).tolist()
    return min((dataclasses.replace(model, link_share=share) for share in shares),
               key=lambda model: fit_error(model, workloads, points))
