"""The two tasks of the paper: the only place where they differ.

Each task is a module with the same names:

``METRIC``                          the number that chooses the best weights
``find_classes(config)``            the run with the names and the number of its classes, and lines
                                    for the log where they are those of the training set
``load_datasets(config)``           training and held-out set, raw
``resolve(config, train)``          the run with all that it leaves to the training set, and lines
                                    for the log; ``None`` for ``train``: only the shape of the
                                    network counts
``load_held_out(config)``           the held-out set alone, where the training set is not there
``create_transform(config)``        augmentation of one training example
``build_model(config)``             the link, freshly initialised
``build_train_chain(config, model)``  the link that returns the loss
``convert(batch, device)``          examples -> arguments of the train chain
``evaluate(config, model, val, comm, device)``  metrics on the held-out set; at the root also
                                    the result for each image
``format_metrics(metrics)``         the metrics as text
``create_details(val, results)``    the numbers behind the metrics
``extra_details(results)``          those that take long, for `evaluate` alone
``format_details(details)``         the most important of them as text
``draw_examples(val, results)``     a figure of some images with their predictions
``figures(val, results, details)``  ``{name: callable that draws it}``; images are read again
``predict(model, imgs, class_names)``  what is found in each image, as JSON can hold it
``format_prediction(found)``        that of one image as a line of text
``draw_prediction(img, found, class_names)``  that image with it

``convert`` waits for no GPU: CuPy puts NumPy's arrays into pinned memory and leaves the copying,
of images as bytes, to the stream. ``prepare_images`` makes floats of them there.
"""

from yolo_dist.tasks import classification, detection
from yolo_dist.tasks.data_check import (
    HELD_OUT,
    LISTING,
    TRAINING,
    DataCheck,
    add_skipped,
    check_data,
    n_skipped,
)
from yolo_dist.tasks.pretrained import load_pretrained

__all__ = [
    'HELD_OUT', 'LISTING', 'TRAINING', 'DataCheck', 'add_skipped', 'check_data', 'get_task',
    'load_pretrained', 'n_skipped',
]

_TASKS = {'classification': classification, 'detection': detection}


def get_task(config):
    """Return the task module of an experiment.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment, or an opened model.

    Returns:
        module: :mod:`classification` or :mod:`detection`.
    """
    return _TASKS[config.task]
