"""The speed-up model against numbers worked out by hand, and its honesty about the paper."""

import math
import pathlib
import re

import pytest

from yolo_dist.config import load_config
from yolo_dist.config.sites import Gpu, Link, Links, load_site
from yolo_dist.planning import speed_up_model
from yolo_dist.planning.plan import plan
from yolo_dist.planning.speed_up_model import (
    PrintedPoint,
    SpeedUpModel,
    Workload,
    assumed_workload,
    fit_error,
    fit_link_share,
    paper_workloads,
)
from yolo_dist.reporting.speed_up import printed_points

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'

# A second for a worker; 100 MB of gradients.
WORKLOAD = Workload(1.0, 100_000_000, 10)


def create_site(*, gpus_per_node=4, nodes_per_rack=None, rack_uplink_fraction=1.0):
    """100 GB/s and 10 us inside a node, 10 GB/s and 50 us between nodes."""
    links = Links(
        intra_node=Link(gigabytes_per_second=100.0, latency_microseconds=10.0),
        inter_node=Link(gigabytes_per_second=10.0, latency_microseconds=50.0),
        nodes_per_rack=nodes_per_rack, rack_uplink_fraction=rack_uplink_fraction)
    return load_site('abci_2018').model_copy(
        update={'gpus_per_node': gpus_per_node, 'links': links})


def test_one_worker_has_nothing_to_average():
    """Its speed-up is 1."""
    model = SpeedUpModel(create_site())
    assert model.allreduce_seconds(1, 10 ** 9) == 0
    assert model.speed_up(WORKLOAD, 1) == 1


@pytest.mark.parametrize('n_workers, seconds', [
    # One node: 2 x 3/4 x 1 ms and 6 steps of 10 us.
    (4, 1.5e-3 + 60e-6),
    # Two nodes, one ring: 2 x 7/8 x 10 ms and 14 steps of 50 us.
    (8, 17.5e-3 + 700e-6)])
def test_all_reduce_by_hand(n_workers, seconds):
    """Bytes over bandwidth, and a latency for each step."""
    model = SpeedUpModel(create_site())
    assert model.allreduce_seconds(n_workers, 100_000_000) == pytest.approx(seconds)
    iteration = model.iteration_seconds(WORKLOAD, n_workers)
    assert iteration == pytest.approx(1 + seconds)
    assert model.images_per_second(WORKLOAD, n_workers) == pytest.approx(
        n_workers * 10 / (1 + seconds))


def test_the_bisection_binds_what_leaves_a_rack():
    """A rack of 6 with 1/9 of its links gives 2/3 of one link; within a rack nothing binds."""
    site = create_site(gpus_per_node=1, nodes_per_rack=6, rack_uplink_fraction=1 / 9)
    def moving(n):
        return SpeedUpModel(site).allreduce_seconds(n, 10 ** 8) - 2 * (n - 1) * 50e-6
    assert moving(12) == pytest.approx(2 * 11 / 12 * 10e-3 * 3 / 2)
    assert moving(6) == pytest.approx(2 * 5 / 6 * 10e-3)


def test_the_link_share_slows_what_leaves_a_node():
    """Half of the bandwidth doubles the time of the bytes, not that of the latency."""
    whole, half = (SpeedUpModel(create_site(), link_share=share) for share in (1.0, 0.5))
    assert half.allreduce_seconds(8, 10 ** 8) == pytest.approx(2 * 17.5e-3 + 700e-6)
    assert half.allreduce_seconds(4, 10 ** 8) == whole.allreduce_seconds(4, 10 ** 8)


def test_the_speed_of_one_worker_is_assumed_where_it_was_not_measured():
    """3 x 2e9 x 10 operations at 40 % of 10 TFLOP/s."""
    gpu = Gpu(name='a', fp32_tflops=10.0, efficiency=0.4, memory_gib=1.0)
    assumed = assumed_workload(2 * 10 ** 9, batch_size=10, gradient_bytes=7, gpu=gpu)
    assert assumed == Workload(pytest.approx(60e9 / 4e12), 7, 10)


def test_paper_workloads_are_those_of_the_experiments():
    """Operations, gradients and batches of fig. 5 and fig. 7, counted on the networks."""
    gpu = load_site('abci_2018').gpu
    for (figure, workload), row in zip(paper_workloads(gpu).items(),
                                       ('darknet53_k1', 'yolo_v3_k1'), strict=True):
        config = load_config(EXPERIMENTS / f'{figure}.yaml', row=row)
        counted = plan(config)
        own = assumed_workload(counted.n_operations, batch_size=config.data.batch_size_per_worker,
                               gradient_bytes=counted.gradient_bytes, gpu=gpu)
        assert own.seconds == pytest.approx(workload.seconds, rel=1e-3)
        assert (own.gradient_bytes, own.batch_size) == (
            workload.gradient_bytes, workload.batch_size)


def test_fit_error_is_the_distance_of_logarithms():
    """A prediction that is twice one point and right at the other: ln 2 / sqrt 2."""
    model = SpeedUpModel(create_site())
    right = model.speed_up(WORKLOAD, 8)
    points = [PrintedPoint('a', 8, right), PrintedPoint('a', 8, right / 2)]
    assert fit_error(model, {'a': WORKLOAD}, points) == pytest.approx(math.log(2) / math.sqrt(2))


def test_the_fit_finds_the_share_that_made_the_points():
    """Speed-ups computed with 7 % of the bandwidth lead back to 7 %."""
    truth = SpeedUpModel(create_site(), link_share=0.07)
    points = [PrintedPoint('a', n, truth.speed_up(WORKLOAD, n)) for n in (8, 64, 512)]
    found = fit_link_share(SpeedUpModel(create_site()), {'a': WORKLOAD}, points)
    assert found.link_share == pytest.approx(0.07, rel=0.006)
    assert fit_error(found, {'a': WORKLOAD}, points) < 1e-2


def test_the_docstring_tells_the_fit_to_the_paper():
    """Predictions and errors of the module's docstring are those that it computes."""
    text = ' '.join(speed_up_model.__doc__.split())
    site = load_site('abci_2018')
    workloads, points = paper_workloads(site.gpu), printed_points(EXPERIMENTS)

    def predictions(model):
        return tuple(round(model.speed_up(workloads[point.figure], point.n_workers))
                     for point in points)
    as_stated = SpeedUpModel(site)
    fitted = fit_link_share(as_stated, workloads, points)
    assert 'the ring gives {}, {} and {}.'.format(*predictions(as_stated)) in text
    factor = math.exp(fit_error(as_stated, workloads, points))
    assert f'a factor of {factor:.1f}' in text
    stated = re.search(r'is (0\.\d+) and leaves an error of (\d+) %: (\d+), (\d+) and (\d+)', text)
    assert float(stated[1]) == round(fitted.link_share, 3)
    assert int(stated[2]) == round(100 * fit_error(fitted, workloads, points))
    assert tuple(map(int, stated.groups()[2:])) == predictions(fitted)


@pytest.mark.parametrize('share', [1.0, 0.1, 0.02])
def test_the_step_from_256_to_512_cannot_be_fitted(share):
    """The paper's speed-up grows by 2.34, the model's by less than 2 for any share."""
    site = load_site('abci_2018')
    model = SpeedUpModel(site, link_share=share)
    workload = paper_workloads(site.gpu)['fig5']
    printed = {point.n_workers: point.speed_up for point in printed_points(EXPERIMENTS)}
    growth = model.speed_up(workload, 512) / model.speed_up(workload, 256)
    assert 1 < growth < 2 < printed[512] / printed[256]


def test_the_model_goes_to_4096_gpus():
    """More GPUs are faster and less efficient, as far as 4,096."""
    site = load_site('abci_2018')
    model, workload = SpeedUpModel(site), paper_workloads(site.gpu)['fig5']
    speed_ups = [model.speed_up(workload, 2 ** i) for i in range(13)]
    efficiencies = [speed_up / 2 ** i for i, speed_up in enumerate(speed_ups)]
    assert speed_ups == sorted(speed_ups)
    assert efficiencies == sorted(efficiencies, reverse=True)
