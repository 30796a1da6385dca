"""What a run will take, against numbers worked out by hand and published ones."""

import pathlib

import pytest

from yolo_dist.config import load_config
from yolo_dist.datasets import make_mini_voc
from yolo_dist.errors import InputError
from yolo_dist.planning.description import describe_run
from yolo_dist.planning.plan import describe_plan, plan

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'
NARROW = ['model.width=0.05']


def load(name, row=None, *overrides):
    return load_config(EXPERIMENTS / f'{name}.yaml', row=row, overrides=overrides)


@pytest.mark.parametrize('name, row, overrides, n_parameters, billions', [
    ('fig4', 'darknet19_k64', ['data.input_size_px=256'], 20_842_376, 7.29),
    ('fig3', 'darknet53_k64', ['data.input_size_px=256'], 41_609_928, 18.57),
    ('table2', 'yolo_v2_k8', [], 50_655_389, 62.72),
    ('table2', 'yolo_v3_k8', ['data.input_size_px=416'], 61_626_049, 65.43),
    ('table2', 'yolo_v3_k8', [], 61_626_049, 139.76)])
def test_the_published_sizes_of_the_four_networks(name, row, overrides, n_parameters, billions):
    """Parameters to the last one, operations to the printed digits, gradients of 2 bytes."""
    found = plan(load(name, row, *overrides))
    assert found.n_parameters == n_parameters
    assert found.n_operations / 1e9 == pytest.approx(billions, abs=0.005)
    assert found.gradient_bytes == 2 * n_parameters


@pytest.mark.parametrize('row, n_iterations, n_warmup', [
    # 100 x 16,551 / (k n), and 5 x 16,551 / (k n) rounded up.
    ('yolo_v3_k8', 12_930, 647), ('yolo_v3_k96', 1_078, 54), ('yolo_v3_k128', 808, 41)])
def test_iterations_of_table_2(row, n_iterations, n_warmup):
    """The length of a run follows from the published sizes where the data are not there."""
    found = plan(load('table2', row, *NARROW))
    assert (found.n_train, found.n_val) == (16_551, 4_952)
    assert (found.n_iterations, found.n_warmup_iterations) == (n_iterations, n_warmup)
    assert 'published sizes, as there is no data/VOCdevkit here' in describe_plan(found)


@pytest.mark.parametrize('reference, epochs, text', [
    (4, 100, 'scaled 0.032, warm-up gradual, '),
    (4, 5, 'scaled 0.032, warm-up gradual (longer than the run), '),
    (128, 100, 'scaled 0.001, warm-up gradual (no effect: scaled is not above eta), ')])
def test_the_log_says_when_a_warm_up_cannot_work(reference, epochs, text):
    """Its rate grows from eta to the scaled one, k n / reference times as large."""
    config = load('table2', 'yolo_v3_k8', 'optimizer.lr_rule=linear',
                  f'optimizer.base_lr_batch_size={reference}', f'schedule.epochs={epochs}',
                  'schedule.decay={kind: constant}')
    lines = dict(describe_run(
        config, n_train=16_551, n_val=4_952, data_source='', n_iterations=1, n_processes=1))
    assert text in lines['eta']


def test_iterations_and_rates_of_fig_3():
    """k = 512: 200 epochs of 1,281,167 images by 16,384; 6.4 x (1 - 50 / 200)^2 at epoch 50."""
    found = plan(load('fig3', 'darknet53_k512', *NARROW))
    assert (found.n_train, found.n_val, found.n_iterations) == (1_281_167, 50_000, 15_639)
    rates = dict(found.learning_rates)
    assert rates[0.0] == rates[1.0] == 0.1
    assert rates[2.5] == pytest.approx(0.1 + (6.4 - 0.1) * 1.5 / 4)
    assert rates[50.0] == pytest.approx(3.6)
    assert rates[200.0] == 0


def test_a_run_without_warm_up_has_no_iterations_of_it():
    """The 448 px stage: 10 epochs by 8,192."""
    found = plan(load('pretrain_448', 'darknet53_k256', *NARROW))
    assert (found.n_iterations, found.n_warmup_iterations) == (1_564, 0)


def test_hours_are_those_of_the_images():
    """808 updates of 2,048 images; 10 evaluations whose forward pass is a third of a step."""
    config = load('table2', 'yolo_v3_k128', *NARROW)
    found = plan(config, images_per_second=500)
    assert found.training_hours == pytest.approx(808 * 2048 / 500 / 3600)
    assert found.evaluation_hours == pytest.approx(10 * 4952 / 3 / 500 / 3600)
    assert found.hours == pytest.approx(found.training_hours + found.evaluation_hours)
    assert '0.93 hours at 500.0 images/s' in str(found) == describe_plan(found)
    unknown = plan(config)
    assert unknown.hours is None and '--images-per-second' in describe_plan(unknown)


def test_evaluation_at_half_the_size_takes_a_quarter():
    """Forward passes cost by the area of their images."""
    whole, half = (
        plan(load('table2', 'yolo_v3_k8', *NARROW, f'data.evaluation.input_size_px={size}',
                  'data.input_size_px=576'), images_per_second=1) for size in (576, 288))
    assert half.evaluation_hours == pytest.approx(whole.evaluation_hours / 4)


def test_memory_follows_what_is_counted():
    """Copies of the parameters, buffers of the all-reduce, maps by the number of images."""
    config = load('table2', 'yolo_v3_k8', *NARROW)
    found = plan(config)
    n, memory = found.n_parameters, found.memory
    assert memory.parameters == memory.gradients == memory.momentum == 4 * n
    assert memory.allreduce_buffers == 2 * 2 * n
    assert memory.total == sum((memory.parameters, memory.gradients, memory.momentum,
                                memory.batch_statistics, memory.allreduce_buffers,
                                memory.activations, memory.backward))
    twice = plan(load('table2', 'yolo_v3_k8', *NARROW, 'data.batch_size_per_worker=32')).memory
    assert twice.activations == pytest.approx(2 * memory.activations)
    carried = plan(config, n_processes=2).memory
    assert carried.batch_statistics == 4 * memory.batch_statistics
    assert carried.allreduce_buffers == 3 * 2 * n and carried.activations == memory.activations
    alone = plan(load('table2', 'yolo_v3_k8', *NARROW, 'workers=1')).memory
    assert alone.allreduce_buffers == 0
    half = plan(load('table2', 'yolo_v3_k8', *NARROW, 'model.dtype=mixed16')).memory
    assert half.activations == pytest.approx(memory.activations / 2)
    assert half.parameters == 6 * n


def test_memory_is_that_of_the_largest_size():
    """Multi-scale training must not run out of memory at its largest images."""
    sizes = 'data.multi_scale={sizes_px: [320, 640], every_iterations: 10, final_iterations: 0}'
    many = plan(load('table2', 'yolo_v3_k8', *NARROW, 'data.input_size_px=320', sizes))
    largest = plan(load('table2', 'yolo_v3_k8', *NARROW, 'data.input_size_px=640'))
    assert many.memory == largest.memory
    assert many.n_operations < largest.n_operations


def test_the_paper_fits_its_gpu():
    """16 GiB of a V100 hold 16 images of 608 px with YOLOv3, as the paper trained them."""
    assert 12 < plan(load('table2', 'yolo_v3_k128')).memory.total / 2 ** 30 < 16


MEASURE = """
import sys
import yolo_dist
from yolo_dist.benchmarks.workloads import create_training_step
from yolo_dist.config import load_config
from yolo_dist.planning.plan import plan

def train(px, n):
    step, chain = create_training_step('darknet53', input_size=px, batch=n, width=0.25)
    for _ in range(2):
        step()

def peak():  # unlike getrusage's, of this program alone
    lines = dict(line.split(':') for line in open('/proc/self/status'))
    return 1024 * int(lines['VmHWM'].split()[0])

train(64, 2)  # what is imported and compiled once
before = peak()
train(128, 32)
grown = peak() - before
config = load_config(sys.argv[1], overrides=[
    'model.width=0.25', 'data.input_size_px=128', 'data.batch_size_per_worker=32', 'workers=1'])
print(grown / plan(config).memory.total)
"""


def test_memory_is_about_what_a_step_on_the_cpu_takes(python):
    """Resident memory grows by the estimate, give or take a third: workspaces are not in it."""
    done = python('-c', MEASURE, EXPERIMENTS / 'imagenet_darknet53.yaml')
    assert done.returncode == 0, done.stderr
    assert 2 / 3 < float(done.stdout.split()[-1]) < 4 / 3


def test_data_that_are_there_are_counted(tmp_path):
    """A set of one's own has no published size."""
    make_mini_voc(tmp_path / 'voc', n_trainval=9, n_test=4)
    found = plan(load('quickstart_yolo_v3', None, *NARROW, f'data.root={tmp_path / "voc"}',
                      'data.batch_size_per_worker=2'))
    assert (found.n_train, found.n_val) == (9, 4)
    assert f'counted in {tmp_path / "voc"}' in describe_plan(found)


def test_made_up_images_are_those_of_the_file():
    """A throughput run on synthetic data has the size that it asks for."""
    found = plan(load('table2', 'yolo_v3_k8', *NARROW, 'data.n_synthetic_examples=1000'))
    assert found.n_train == 1000 and 'synthetic' in describe_plan(found)


def test_a_throughput_run_is_as_long_as_it_measures():
    """Fig. 5 at k = 64: 20 + 100 iterations, and no evaluation."""
    found = plan(load('fig5', 'darknet53_k64', *NARROW), images_per_second=1000)
    assert found.n_iterations == 120
    assert found.hours == pytest.approx(120 * 64 * 32 / 1000 / 3600)


@pytest.mark.parametrize('overrides, message', [
    (['data.root=nowhere', 'data.train=[VOC2007/train]'], 'nowhere: there is no such folder'),
    (['data.n_synthetic_examples=100'], 'workers x data.batch_size_per_worker = 8 x 16 = 128')])
def test_what_cannot_be_planned_is_explained(overrides, message):
    """Unknown data, or a batch larger than the set, before anything is submitted."""
    with pytest.raises(InputError, match=message):
        plan(load('table2', 'yolo_v3_k8', *NARROW, *overrides))


def test_planning_starts_no_mpi(python):
    """It runs on a login node, where MPI may not start."""
    done = python('-c', 'import sys; from yolo_dist.planning import plan; '
                        'sys.exit("mpi4py.MPI" in sys.modules)')
    assert done.returncode == 0, done.stderr
