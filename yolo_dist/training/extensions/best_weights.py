from chainer import training

from yolo_dist.runs.run_directory import save_npz


class BestWeights(training.Extension):
    """Keeps the weights of the best evaluation so far.

    Args:
        model (chainer.Link): The model.
        metric (str): Observation to compare. Larger is better; ``None`` is no result.
        path (pathlib.Path): Where to write the weights.
    """

    priority = training.PRIORITY_READER

    def __init__(self, model, metric, path):
        self._model = model
        self._metric = metric
        self._path = path
        self._best = float('-inf')

    def __call__(self, trainer):
        value = trainer.observation[self._metric]
        if value is not None and value > self._best:
            self._best = value
            save_npz(self._path, self._model)

    def serialize(self, serializer):
        self._best = float(serializer('best', self._best))
