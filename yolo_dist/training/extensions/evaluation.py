from chainer import training

from yolo_dist.training.watchdog import progress


class Evaluation(training.Extension):
    """Evaluates the model on the held-out set, all processes together.

    Reports:
        ``val/...``: Each percentage that the evaluation returns, such as
        ``val/top1_accuracy_percent`` or ``val/map_percent``; ``None`` if the set has no object.

    Args:
        evaluate (callable): Called without arguments in all processes; returns
            ``{name: value}`` in all of them, and at the root the result for each image.

    Attributes:
        metrics (dict): Metrics of the last evaluation; ``None`` before the first.
        results (list): Results of the last evaluation, at the root; ``None`` before the first.
    """

    # After the snapshot, before the log.
    priority = training.PRIORITY_EDITOR - 20

    def __init__(self, evaluate):
        self._evaluate = evaluate
        self.metrics, self.results = None, None

    def __call__(self, trainer):
        progress('evaluation')
        self.metrics, self.results = self._evaluate()
        progress('after an evaluation, writes reports and snapshots')
        for name, value in self.metrics.items():
            if isinstance(value, float) or value is None:
                trainer.observation[f'val/{name}'] = value
