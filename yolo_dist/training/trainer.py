"""The trainer of a run: its extensions, the processes that run them, and their triggers."""

from chainer import training

from yolo_dist.runs.snapshots import identity
from yolo_dist.training.extensions import (
    AfterResume,
    BatchStatisticsMean,
    BestWeights,
    Console,
    Curves,
    FiniteCheck,
    Float16SumReport,
    FrozenBackbone,
    LearningRate,
    Log,
    ReportMean,
    RunIdentity,
    Snapshot,
    TensorBoard,
    Throughput,
)


def every_epochs(n_epochs, n_iterations):
    """Trigger that fires when a multiple of ``n_epochs`` is passed, and at the end.

    Chainer's interval trigger would miss the end of a run if the last batch ends
    before the last epoch. This trigger keeps no state, like the other triggers here.
    A resume therefore does not disturb it.
    """
    def trigger(trainer):
        updater = trainer.updater
        return (updater.iteration == n_iterations
                or updater.epoch_detail // n_epochs > updater.previous_epoch_detail // n_epochs)
    return trigger


def every_iterations(interval):
    """Trigger that fires every ``interval`` iterations."""
    return lambda trainer: trainer.updater.iteration % interval == 0


def any_of(*triggers):
    """Trigger that fires whenever one of ``triggers`` does."""
    return lambda trainer: any(trigger(trainer) for trigger in triggers)


def last_iteration(config, n_iterations, updater):
    """End of this session: the end of the run or ``run.stop_after_epochs``."""
    stop = config.run.stop_after_epochs
    if stop is None:
        return n_iterations
    return next(i for i in range(n_iterations + 1)
                if i == n_iterations or updater.epoch_detail_at(i) >= stop)


def create_trainer(config, updater, model, *, workers, schedule, evaluation, metric, comm,
                   results, interruption, n_iterations, draw_for_tensorboard=None):
    """Make the trainer with all of its extensions.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.
        updater (~yolo_dist.training.updater.TrainUpdater): The updater.
        model (chainer.Link): The model inside the train chain.
        workers (~yolo_dist.distributed.virtual_workers.LocalWorkers): The workers of this process.
        schedule (~yolo_dist.training.schedules.Schedule): The learning rate.
        evaluation (~yolo_dist.training.extensions.Evaluation): Evaluation on the held-out set.
        metric (str): The metric that chooses the best weights.
        comm (chainermn.CommunicatorBase): The communicator.
        results (~yolo_dist.runs.run_directory.RunDirectory): Where results go.
        interruption (~yolo_dist.training.extensions.Interruption): May end the session.
        n_iterations (int): Length of the whole run.
        draw_for_tensorboard (callable): Draws the results of an evaluation; ``None`` writes no
            event files.

    Returns:
        chainer.training.Trainer: Ready to run or to be resumed.
    """
    stop_at = last_iteration(config, n_iterations, updater)
    # Chainer's interval trigger would go on if a resumed run is already past its end.
    trainer = training.Trainer(
        updater, any_of(lambda trainer: trainer.updater.iteration >= stop_at, interruption.is_due),
        out=str(results.path))
    trainer.extend(interruption)
    if config.run.measure is not None:
        _extend_to_measure(trainer, config, schedule=schedule, comm=comm, results=results,
                           n_iterations=n_iterations)
        return trainer
    evaluation_trigger = every_epochs(config.run.evaluate_every_epochs, stop_at)
    trainer.extend(RunIdentity(identity(config)))
    snapshot_trigger = any_of(every_epochs(config.run.snapshot_every_epochs, stop_at),
                              interruption.is_due)
    after_resume = AfterResume()
    report_trigger = any_of(every_iterations(config.run.log_every_iterations),
                            evaluation_trigger, snapshot_trigger, after_resume.is_due)

    # Extensions of every process. All but the first are collective. The snapshot of the root comes
    # before the evaluation.
    trainer.extend(FiniteCheck(comm, snapshot_trigger), trigger=every_iterations(1))
    trainer.extend(LearningRate(schedule, report_trigger))
    if config.schedule.frozen_backbone_epochs:
        trainer.extend(FrozenBackbone(model, config.schedule.frozen_backbone_epochs))
    trainer.extend(ReportMean(comm, report_trigger))
    if config.communicator.allreduce_grad_dtype == 'float16':
        trainer.extend(Float16SumReport(comm, report_trigger))
    trainer.extend(BatchStatisticsMean(workers, comm),
                   trigger=any_of(evaluation_trigger, snapshot_trigger))
    trainer.extend(evaluation, trigger=evaluation_trigger)
    trainer.extend(after_resume, name='AfterResume', trigger=lambda trainer: False)

    # Extensions of the root only.
    if comm.rank == 0:
        trainer.extend(Log(results.path / 'log.json', report_trigger), name='LogReport')
        trainer.extend(BestWeights(model, f'val/{metric}', results.path / 'weights_best.npz'),
                       trigger=evaluation_trigger)
        trainer.extend(Curves(config.name, results.path), trigger=evaluation_trigger)
        trainer.extend(Console(n_iterations, report_trigger))
        if draw_for_tensorboard is not None:
            trainer.extend(TensorBoard(results.path / 'tensorboard', report_trigger, evaluation,
                                       draw_for_tensorboard))
        trainer.extend(Snapshot(results.path, config.run.keep_snapshots),
                       trigger=snapshot_trigger)
    return trainer


def _extend_to_measure(trainer, config, *, schedule, comm, results, n_iterations):
    """Extensions of a throughput run, without those that take time beside updates."""
    comm.waits_for_device = True
    report_trigger = any_of(every_iterations(config.run.log_every_iterations),
                            lambda trainer: trainer.updater.iteration == n_iterations)
    trainer.extend(LearningRate(schedule, report_trigger))
    trainer.extend(ReportMean(comm, report_trigger))
    trainer.extend(Throughput(comm, config.run.measure.warmup_iterations,
                              results.write_throughput))
    if comm.rank == 0:
        trainer.extend(Log(results.path / 'log.json', report_trigger), name='LogReport')
        trainer.extend(Console(n_iterations, report_trigger))
