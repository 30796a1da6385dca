"""Trains one run: ``mpiexec -n P python -m yolo_dist.train EXPERIMENT.yaml``."""

import functools
import signal
import sys

import numpy as np

from yolo_dist.command_line import Parser, positive_number, run_serial
from yolo_dist.config import differences, load_config
from yolo_dist.datasets import fingerprint, is_data_there
from yolo_dist.distributed import communicator, launch
from yolo_dist.distributed.agreement import check_agreement
from yolo_dist.distributed.device import set_precision
from yolo_dist.distributed.launch import fail_together, stop_request
from yolo_dist.distributed.stop_request import INTERRUPTED
from yolo_dist.distributed.virtual_workers import LocalWorkers
from yolo_dist.drawing import tolerate_failure
from yolo_dist.environment import software
from yolo_dist.errors import InputError, TrainingDiverged
from yolo_dist.planning.description import describe_run, format_lines
from yolo_dist.planning.plan import plan
from yolo_dist.runs.heartbeat import end_heartbeat
from yolo_dist.runs.lock import RunLock
from yolo_dist.runs.run_directory import (
    RunDirectory,
    read_json,
    run_directory,
    save_npz,
    snapshot_files,
    take_resolved,
)
from yolo_dist.runs.snapshots import describe_npz, find_whole_snapshot, load_snapshot
from yolo_dist.tasks import (
    HELD_OUT,
    LISTING,
    TRAINING,
    add_skipped,
    check_data,
    get_task,
    load_pretrained,
    n_skipped,
)
from yolo_dist.training.extensions import Evaluation, Interruption, check_tensorboard
from yolo_dist.training.iterators import StreamIterator
from yolo_dist.training.optimizers import create_optimizer
from yolo_dist.training.sampler import TrainingStream, create_input_size_schedule
from yolo_dist.training.schedules import check_batch_fits, create_schedule, n_training_iterations
from yolo_dist.training.trainer import create_trainer
from yolo_dist.training.updater import TrainUpdater
from yolo_dist.training.watchdog import Watchdog, is_evaluating


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.train', description=(
        'Trains one run of an experiment file. Start it under mpiexec with as many processes '
        'as the experiment has workers, or with a divisor of that: each process then carries '
        'several workers in turn, with the same result. Ends with the weights, the log and the '
        'metrics in RESULTS/NAME.'))
    parser.add_argument('experiment', metavar='EXPERIMENT.yaml',
                        help='a run or a sweep, such as experiments/quickstart_darknet53.yaml')
    parser.add_argument('--run', metavar='ROW', help='row of a sweep')
    parser.add_argument('--set', metavar='KEY=VALUE', action='append', default=[],
                        help='change one key, such as --set schedule.epochs=2; repeatable')
    parser.add_argument('--results', metavar='DIR', default='results',
                        help='where result directories lie (default: results)')
    parser.add_argument('--resume', action='store_true',
                        help='go on from the latest snapshot; starts from nothing where there '
                             'is none, and does nothing where the run is done')
    parser.add_argument('--tensorboard', action='store_true', help=(
        'also write event files into RESULTS/NAME/tensorboard: losses, rates, speed, metrics, '
        'pictures; `tensorboard --logdir RESULTS` shows all runs'))
    parser.add_argument('--plan', action='store_true',
                        help='print what the run will take (iterations, learning rates, memory, '
                             'hours) and train nothing; needs neither MPI nor a GPU, but the data '
                             '(ImageNet and Pascal VOC are known without)')
    parser.add_argument('--images-per-second', type=positive_number, metavar='X',
                        help='speed of the whole job, from which --plan computes the hours')
    arguments = parser.parse_args(argv)
    if arguments.plan and arguments.resume:
        parser.error('--plan starts nothing, so there is nothing to --resume; leave one out')
    if arguments.images_per_second is not None and not arguments.plan:
        parser.error('--images-per-second is for --plan; add --plan, or leave it out')
    return arguments


def main(argv=None):
    """Train one run; the same code in every process.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Returns:
        int: 0, or 3 if the loss stopped being finite.
    """
    with fail_together():
        arguments = parse_arguments(argv)
        if arguments.plan:
            raise InputError('--plan: main() trains; call print_plan() for a plan')
        config = load_config(arguments.experiment, row=arguments.run, overrides=arguments.set,
                             results=arguments.results)
        if arguments.tensorboard:
            check_tensorboard()
        name = communicator.check_communicator(
            config.communicator.name, double_buffering=config.communicator.double_buffering)
    check_agreement({**software(), **_facts(config), 'communicator of this host': name})
    results = RunDirectory(run_directory(arguments.results, config), config,
                           n_processes=launch.n_processes())
    lock = RunLock(results.path)
    stop_request.at_end = lock.release
    try:
        return _train(config, results, lock, resume=arguments.resume,
                      tensorboard=arguments.tensorboard)
    finally:
        lock.release()


def _train(config, results, lock, *, resume, tensorboard):
    """Train the run in the order that ``docs/architecture.md`` shows."""
    config, is_done, snapshot, notes = _open_run(config, results, lock, resume=resume)
    if is_done:
        if launch.process_number() == 0:
            print(f'{config.name}: done already, see {results.path}')
        return 0

    section = config.communicator
    watchdog = Watchdog(config.run.watchdog_seconds, launch.process_number(), launch.n_processes())
    comm = communicator.create_communicator(
        section.name, n_workers=config.workers, double_buffering=section.double_buffering,
        allreduce_grad_dtype=section.allreduce_grad_dtype,
        prescale_gradients=section.prescale_gradients)
    device = communicator.choose_device(comm)
    task = get_task(config)
    config, train, val, found = _open_data(config, task, results, comm, snapshot)
    model, train_chain, taken = _build_network(config, task, comm, device,
                                               starts=snapshot is None)
    notes += [*found, *taken]
    workers = LocalWorkers(model, config.workers // comm.size)

    n_iterations = n_training_iterations(config, len(train))
    stream = TrainingStream(
        train, task.create_transform(config), seed=config.run.seed,
        workers=communicator.local_workers(config.workers), n_workers=config.workers,
        batch_size_per_worker=config.data.batch_size_per_worker, n_iterations=n_iterations,
        input_size=create_input_size_schedule(config, n_iterations),
        note_skipped=functools.partial(add_skipped, results.path / LISTING)
        if config.data.on_bad_example == 'skip' else None)
    iterator = StreamIterator(stream, config.data.n_loader_processes)
    optimizer = create_optimizer(config.optimizer, train_chain, comm,
                                 double_buffering=section.double_buffering)
    updater = TrainUpdater(
        iterator, optimizer, comm=comm, workers=workers, converter=task.convert, device=device,
        global_batch_size=config.global_batch_size, n_examples=len(train))
    interruption = Interruption(comm, stop_request)
    evaluation = Evaluation(lambda: task.evaluate(config, model, val, comm, device))
    trainer = create_trainer(
        config, updater, model, workers=workers, schedule=create_schedule(config),
        metric=task.METRIC, comm=comm, results=results, interruption=interruption,
        n_iterations=n_iterations, evaluation=evaluation, draw_for_tensorboard=(
            (lambda found: task.draw_examples(val, found)) if tensorboard else None))
    with fail_together():
        if snapshot is not None:
            trainer.get_extension('AfterResume').observation = load_snapshot(snapshot, trainer)
    workers.share()
    with fail_together():
        if comm.rank == 0:
            results.open(train.class_names, n_weight_bytes=sum(
                param.array.nbytes for param in model.params()))
    if comm.rank == 0:
        lines = describe_run(config, n_train=len(train), n_val=len(val),
                             data_source=config.data.root, n_iterations=n_iterations,
                             n_processes=comm.size)
        print(format_lines([*lines, ('device', f'{device}, communicator '
                                               f'{communicator.communicator_name(comm)}')]))
        for line in notes:
            print(line)
        if snapshot is not None:
            print(f'resumed from {snapshot}')
        sys.stdout.flush()
    watchdog.record_in(results.path)
    status = _run(trainer, model, results, n_iterations, comm, interruption)
    if comm.rank == 0 and results.state() == 'done' and evaluation.results is not None:
        with tolerate_failure(results.path / 'evaluation.json'):
            results.write_evaluation(evaluation.metrics,
                                     task.create_details(val, evaluation.results))
    return status


def _open_run(config, results, lock, *, resume):
    """Lock the run directory and choose where to go on; what the root sees counts for all.

    Returns:
        tuple: The configuration with its classes and as the run has resolved it, whether the run
        is done, the snapshot to resume from or ``None``, and the lines to print.
    """
    is_done, snapshot, passed_over, found = False, None, [], []
    with fail_together():
        communicator.check_launch(config)
        # On a slow file system the others may see an older state.
        if launch.process_number() == 0:
            lock.acquire()
            results.check(resume=resume)
            config = results.resolved()
            is_done = results.state() == 'done'
            if resume and not is_done:
                snapshot, passed_over = find_whole_snapshot(results.path, config)
            if not is_done:
                config, found = get_task(config).find_classes(config)
    is_done, snapshot, told = launch.tell_all((is_done, snapshot, config))
    # Not the whole of config: where the data lie is each host's own.
    return take_resolved(config, told), is_done, snapshot, [*passed_over, *found]


def _open_data(config, task, results, comm, snapshot):
    """Open both sets, compare them among the processes, look at every example.

    Returns:
        tuple: The configuration with what the data decide, the training set, the held-out set
        and the lines to print of them.
    """
    with fail_together():
        train, val = task.load_datasets(config)
        check_batch_fits(config, len(train))
        files = {'snapshot': snapshot, 'model.pretrained': config.model.pretrained}
        facts = {'training set': fingerprint(train), 'held-out set': fingerprint(val),
                 **{key: describe_npz(path) for key, path in files.items() if path is not None}}
    check_agreement(facts)
    datasets = {TRAINING: train, HELD_OUT: val}
    data_check = check_data(datasets, comm, decodes=config.run.measure is None)
    resolved = []
    with fail_together():
        train, val = data_check.settle(config, datasets, results.path, writes=comm.rank == 0)
        if comm.rank == 0:
            bad = data_check.bad(TRAINING)
            config, resolved = task.resolve(config, train.without(bad) if bad else train)
    config = take_resolved(config, launch.tell_all(config))
    results.config = config
    return config, train, val, [*data_check.lines, *resolved]


def _build_network(config, task, comm, device, *, starts):
    """Build the network and its loss on this process's device.

    Returns:
        tuple: The model, the train chain and the lines to print. A run that starts has its
        pretrained weights.
    """
    taken = []
    with fail_together():
        np.random.seed(config.run.seed)
        set_precision(config.model.dtype)
        model = task.build_model(config)
        if starts and config.model.pretrained is not None:
            taken.append(load_pretrained(config, model))
    if config.communicator.multi_node_bn:
        model = communicator.create_mnbn_model(model, comm)
    train_chain = task.build_train_chain(config, model)
    train_chain.to_device(device)
    return model, train_chain, taken


def _facts(config):
    """Return what must be the same in all processes; where data lies on a host is its own."""
    of_a_host = ('data.root', 'data.n_loader_processes')
    return {key: repr(value) for key, (value, _) in differences(config, None).items()
            if key not in of_a_host}


def _run(trainer, model, results, n_iterations, comm, interruption):
    """Run the trainer and leave the run directory in a state that says how it ended."""
    def tell(number):
        # At once, because mpiexec that is told to end leaves its processes no time for a snapshot.
        # A run that has failed has said so already, and mpiexec then ends the other processes.
        if comm.rank == 0 and results.state() == 'running':
            results.write_status(
                'stopped', reason=f'told to stop by {signal.Signals(number).name}',
                snapshot=next((path.name for path in snapshot_files(results.path)), None))

    try:
        with stop_request.heard_by(tell, is_evaluating=is_evaluating):
            trainer.run(show_loop_exception_msg=False)
    except TrainingDiverged as error:
        if comm.rank == 0:
            kept = results.path / f'diverged_after_iter_{trainer.updater.iteration}.npz'
            save_npz(kept, trainer)
            results.write_status('diverged', reason=str(error))
            print(f'diverged: {error}; the state is kept in {kept}', flush=True)
        return 3
    except BaseException as error:
        # Where mpiexec is lost, so is this session, but the run can go on in another.
        if launch.is_heard():
            results.write_failure(f'{type(error).__name__}: {error}')
        raise
    is_done = trainer.updater.iteration >= n_iterations
    if comm.rank == 0:
        log = read_json(results.path / 'log.json')
        if is_done and results.config.run.measure is None:
            save_npz(results.path / 'weights_final.npz', model)
        results.write_status(
            'done' if is_done else 'stopped', epoch=trainer.updater.epoch_detail,
            iteration=trainer.updater.iteration, elapsed_seconds=trainer.elapsed_time,
            metrics={key: value for key, value in log[-1].items() if key.startswith('val/')})
        end_heartbeat(results.path)
        skipped = n_skipped(results.path / LISTING)
        if skipped and results.config.data.on_bad_example == 'skip':
            print(f'{skipped:,} training examples could not be read and others stood for them: '
                  f'{results.path / LISTING}', flush=True)
        print(f'{"done" if is_done else "stopped"}: {results.path}', flush=True)
    return INTERRUPTED if interruption.is_due() and not is_done else 0


def print_plan(argv=None):
    """Print what a run will take; starts neither MPI nor CUDA.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Returns:
        int: 0.
    """
    arguments = parse_arguments(argv)
    config = load_config(arguments.experiment, row=arguments.run, overrides=arguments.set,
                         results=arguments.results)
    datasets, found = None, []
    if config.data.n_synthetic_examples is None and is_data_there(config.data.root):
        config, found = get_task(config).find_classes(config)
        datasets = dict(zip((TRAINING, HELD_OUT), get_task(config).load_datasets(config)))
    print(plan(config, images_per_second=arguments.images_per_second,
               datasets=None if datasets is None else tuple(datasets.values())))
    if datasets is not None:
        data_check = check_data(datasets, decodes=False)
        data_check.settle(config, datasets, None, writes=False)
        for line in (*data_check.lines, *found):
            print(line)
    return 0


if __name__ == '__main__':
    if '--plan' in sys.argv[1:]:
        run_serial(print_plan)
    else:
        launch.run_job(main)
