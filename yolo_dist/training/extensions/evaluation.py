from chainer import training

from yolo_dist.training.watchdog import progress


class Evaluation(training.Extension):
    """Evaluates the model on the held-out set, all processes together.

    Reports:
        ``val/...``: Each number that the evaluation returns, such as
        ``val/top1_accuracy_percent`` or ``val/map_percent``.

    Args:
        evaluate (callable): Called without arguments in all processes; returns
            ``{name: value}`` in all of them.
    """

    # After the snapshot, before the log.
    priority = training.PRIORITY_EDITOR - 20

    def __init__(self, evaluate):
        self._evaluate = evaluate

    def __call__(self, trainer):
        progress('evaluation')
        metrics = self._evaluate()
        progress('after an evaluation, writes reports and snapshots')
        for name, value in metrics.items():
            if isinstance(value, float):
                trainer.observation[f'val/{name}'] = value
