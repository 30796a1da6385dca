"""Trains one run: ``mpiexec -n P python -m yolo_dist.train EXPERIMENT.yaml``."""

import chainer
import numpy as np

from yolo_dist import communicator
from yolo_dist.command_line import Parser
from yolo_dist.communicator import agreed
from yolo_dist.config import load_config
from yolo_dist.extensions import TrainingDiverged
from yolo_dist.iterators import StreamIterator
from yolo_dist.optimizers import check_batch_fits, create_optimizer
from yolo_dist.results import RunDirectory, find_snapshot, read_json, run_directory, save_weights
from yolo_dist.schedules import create_schedule
from yolo_dist.stream import TrainingStream, create_input_size_schedule
from yolo_dist.summary import summarize
from yolo_dist.tasks import get_task
from yolo_dist.trainer import create_trainer, load_snapshot
from yolo_dist.updater import TrainUpdater, n_training_iterations


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.train', description=(
        'Trains one run of an experiment file. Start it under mpiexec with as many processes '
        'as the experiment has workers. Ends with the weights, the log and the metrics in '
        'RESULTS/NAME.'))
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
    return parser.parse_args(argv)


def main(argv=None):
    """Trains one run; the same code in every process.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Returns:
        int: 0, or 3 if the loss stopped being finite.
    """
    with agreed():
        arguments = parse_arguments(argv)
        config = load_config(arguments.experiment, row=arguments.run, overrides=arguments.set,
                             results=arguments.results)
        communicator.check_launch(config.workers)
        results = RunDirectory(run_directory(arguments.results, config), config)
        results.check(resume=arguments.resume)
        is_done = results.state() == 'done'
        snapshot = find_snapshot(results.path) if arguments.resume else None
    if is_done:
        if communicator.process_number() == 0:
            print(f'{config.name}: done already, see {results.path}')
        return 0

    with agreed():
        comm = communicator.create_communicator(
            config.communicator.name,
            allreduce_grad_dtype=config.communicator.allreduce_grad_dtype)
        device = communicator.choose_device(comm)
    with agreed():
        task = get_task(config)
        train, val = task.load_datasets(config)
        if comm.rank == 0:
            train.check()
            val.check()
        check_batch_fits(config, len(train))
        np.random.seed(config.run.seed)
        model = task.build_model(config)
        if snapshot is None and config.model.pretrained is not None:
            task.load_pretrained(config, model)
    chainer.global_config.cudnn_fast_batch_normalization = True  # sec. 5.1
    chainer.global_config.autotune = True
    train_chain = task.build_train_chain(config, model)
    train_chain.to_device(device)

    n_iterations = n_training_iterations(config, len(train))
    stream = TrainingStream(
        train, task.create_transform(config), seed=config.run.seed,
        workers=communicator.local_workers(config.workers), n_workers=config.workers,
        batch_size_per_worker=config.data.batch_size_per_worker, n_iterations=n_iterations,
        input_size=create_input_size_schedule(config, n_iterations))
    iterator = StreamIterator(stream, config.data.n_loader_processes)
    optimizer = create_optimizer(config.optimizer, train_chain, comm)
    updater = TrainUpdater(iterator, optimizer, converter=task.convert, device=device,
                           global_batch_size=config.global_batch_size, n_examples=len(train))
    schedule = create_schedule(config)
    trainer = create_trainer(
        config, updater, model, schedule=schedule, metric=task.METRIC, comm=comm, results=results,
        evaluate=lambda: task.evaluate(config, model, val, comm, device),
        n_iterations=n_iterations)
    if snapshot is not None:
        load_snapshot(snapshot, trainer)
    if comm.rank == 0:
        results.open()
        print(summarize(config, schedule, device=device, n_processes=comm.size,
                        communicator_name=communicator.communicator_name(comm), n_train=len(train),
                        n_val=len(val), n_iterations=n_iterations), flush=True)
        if snapshot is not None:
            print(f'resumed from {snapshot}', flush=True)
    return _run(trainer, model, results, n_iterations, comm)


def _run(trainer, model, results, n_iterations, comm):
    """Runs the trainer and leaves the run directory in a state that says how it ended."""
    try:
        trainer.run(show_loop_exception_msg=False)
    except TrainingDiverged as error:
        if comm.rank == 0:
            results.write_status('diverged', reason=str(error))
            print(f'diverged: {error}', flush=True)
        return 3
    except BaseException as error:
        results.write_status('failed', reason=f'{type(error).__name__}: {error}')
        raise
    if comm.rank == 0:
        log = read_json(results.path / 'log.json')
        is_done = trainer.updater.iteration >= n_iterations
        if is_done:
            save_weights(results.path / 'weights_final.npz', model)
        results.write_status(
            'done' if is_done else 'stopped', epoch=trainer.updater.epoch_detail,
            iteration=trainer.updater.iteration, elapsed_seconds=trainer.elapsed_time,
            metrics={key: value for key, value in log[-1].items() if key.startswith('val/')})
        print(f'{"done" if is_done else "stopped"}: {results.path}', flush=True)
    return 0


if __name__ == '__main__':
    communicator.run_job(main)
