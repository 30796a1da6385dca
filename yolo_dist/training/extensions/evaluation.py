from chainer import training


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
        for name, value in self._evaluate().items():
            if isinstance(value, float):
                trainer.observation[f'val/{name}'] = value
