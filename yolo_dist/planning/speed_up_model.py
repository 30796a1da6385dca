"""The speed of k GPUs, predicted from the speed of one GPU and the links of the site.

``pure_nccl`` averages gradients after the whole backward pass, without overlap. An iteration
at k workers therefore takes::

    T(k) = T(1) + A(k),        speed-up S(k) = k T(1) / T(k)

``A(k)`` is the all-reduce of ``G`` gradient bytes over ``m`` nodes of ``g`` GPUs. ``b`` and
``l`` are bandwidth and latency inside a node, ``B`` and ``L`` those between nodes::

    A(k) = 2 (k-1)/k G / min(b, B')  +  2 (k-1) L        (one node: b and l)

    B' = link_share x min(B, f r B)

This is a ring, the one algorithm of the paper's NCCL 2.3. The bandwidth out of a rack of ``r``
nodes is ``f r B`` (``f``: ``rack_uplink_fraction``, 1/3 on ABCI). Ranks follow racks, so one
node of a rack has its neighbour in another rack.

**Against the paper.** The paper does not print T(1). The model takes the operations of three
forward passes at ``gpu.efficiency`` (an assumption, 0.4 in ``abci_2018``) of the V100's
15.7 TFLOP/s. With the stated bandwidth of ABCI's links the ring gives 246, 486 and 95. The
paper prints 109.5 (k = 256), 256 (k = 512) and 64.4 (k = 96). The difference is a factor of 1.9
(root mean square of the logarithm). The one free number is ``link_share``. Fitted to the three
points it is 0.026 and leaves an error of 9 %: 116, 231 and 71. Another efficiency changes the
share and not the error. The fit has two limits:

- From k = 256 to 512 the paper's speed-up grows by 2.34. In a model whose iterations do not
  get shorter with more workers it grows by at most 2. Such a model misses each of the two points
  by at least 8 %. The points are taken as printed.
- 0.026 of two EDR links is 0.6 GB/s. Such links are faster, and this number makes two nodes as
  slow as one. It stands for everything that grows with k and is not modelled: waiting for the
  slowest worker, reading of files, casts and other work. The paper does not say what limited
  its speed.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from yolo_dist.config import Site

# A training step is three forward passes: forward, and the gradients of inputs and weights.
FORWARD_PASSES_PER_STEP = 3


@dataclasses.dataclass(frozen=True)
class Workload:
    """The iteration of one worker.

    Attributes:
        seconds: Time without all-reduce.
        gradient_bytes: Bytes for the all-reduce.
        batch_size: Images, n.
    """

    seconds: float
    gradient_bytes: int
    batch_size: int


def assumed_workload(n_operations, *, batch_size, gradient_bytes, gpu):
    """Return the iteration of a GPU that has not been measured.

    Args:
        n_operations (int): Operations of a forward pass of one image.
        batch_size (int): Images, n.
        gradient_bytes (int): See :class:`~yolo_dist.planning.plan.Plan`.
        gpu (~yolo_dist.config.sites.Gpu): The peak of the GPU, and the assumed share of it.

    Returns:
        Workload: The iteration at ``gpu.efficiency`` of ``gpu.fp32_tflops``.
    """
    n_operations_of_step = FORWARD_PASSES_PER_STEP * n_operations * batch_size
    seconds = n_operations_of_step / (gpu.efficiency * gpu.fp32_tflops * 1e12)
    return Workload(seconds, gradient_bytes, batch_size)


def paper_workloads(gpu):
    """Return the iterations of the paper's two networks, in float32 with gradients in float16.

    Args:
        gpu (~yolo_dist.config.sites.Gpu): The V100 of the paper, or another GPU.

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
        site: The site, with ``gpus_per_node`` and ``links``.
        link_share: Share of the bandwidth of ``inter_node`` that an all-reduce reaches.
    """

    site: Site
    link_share: float = 1.0

    def allreduce_seconds(self, n_workers, gradient_bytes):
        """``A(k)``.

        Args:
            n_workers (int): k, on as few nodes as hold them.
            gradient_bytes (int): Gradient bytes of one worker.

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
        """``T(k)``, seconds."""
        return workload.seconds + self.allreduce_seconds(n_workers, workload.gradient_bytes)

    def speed_up(self, workload, n_workers):
        """``S(k)``, over one worker."""
        return n_workers * workload.seconds / self.iteration_seconds(workload, n_workers)

    def images_per_second(self, workload, n_workers):
        """Speed of the whole job."""
        return n_workers * workload.batch_size / self.iteration_seconds(workload, n_workers)

    def _uplink_rate(self, n_nodes):
        """Return the bandwidth out of a rack, bytes / s."""
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
    """Error of a model against printed speed-ups.

    Args:
        model (SpeedUpModel): The model.
        workloads (dict): A :class:`Workload` for each figure.
        points (sequence of PrintedPoint): The printed speed-ups.

    Returns:
        float: Root mean square of ``ln(predicted / printed)``; 0.1 is about 10 %.
    """
    logs = [math.log(model.speed_up(workloads[point.figure], point.n_workers) / point.speed_up)
            for point in points]
    return math.sqrt(sum(log ** 2 for log in logs) / len(logs))


def fit_link_share(model, workloads, points):
    """Return the model with the ``link_share`` that fits printed speed-ups best.

    Args:
        model (SpeedUpModel): The model; its own ``link_share`` is not used.
        workloads (dict): A :class:`Workload` for each figure.
        points (sequence of PrintedPoint): The printed speed-ups.

    Returns:
        SpeedUpModel: The model with the smallest :func:`fit_error` among shares from 0.001 to 1,
        in steps of 0.5 %.
    """
    shares = np.geomspace(0.001, 1, 1386).tolist()
    return min((dataclasses.replace(model, link_share=share) for share in shares),
               key=lambda model: fit_error(model, workloads, points))
