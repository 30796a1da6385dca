import numpy as np
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

_N_COLUMNS = 4


def spread_indices(n_examples, n_chosen=12):
    """Return indices of examples spread evenly over a data set.

    Args:
        n_examples (int): Size of the data set.
        n_chosen (int): How many to choose, at most.

    Returns:
        list of int: Increasing indices.
    """
    return np.linspace(0, n_examples - 1, min(n_chosen, n_examples)).astype(int).tolist()


def _grid(n_pictures):
    n_rows = -(-n_pictures // _N_COLUMNS)
    figure = Figure(figsize=(2.6 * _N_COLUMNS, 2.7 * n_rows), layout='constrained')
    axes = np.ravel(figure.subplots(n_rows, _N_COLUMNS, squeeze=False))
    for one in axes:
        one.set_axis_off()
    return figure, axes


def draw_classifications(examples, predicted, class_names, path):
    """Draw images under their predicted class; wrong ones in red with the truth.

    Args:
        examples (list): ``(img, label)``, images uint8 CHW.
        predicted (sequence of int): Predicted labels.
        class_names (sequence of str): Names of the labels.
        path (str): PNG file to write.
    """
    figure, axes = _grid(len(examples))
    for one, (img, label), guess in zip(axes, examples, predicted):
        one.imshow(img.transpose(1, 2, 0))
        is_right = guess == label
        truth = '' if is_right else f', not {class_names[label]}'
        one.set_title(class_names[guess] + truth, fontsize=9, color='black' if is_right else 'red')
    figure.savefig(path, dpi=100, format='png')


def draw_detections(imgs, bboxes, labels, scores, class_names, path):
    """Draw images with the detected boxes, their classes and scores.

    Args:
        imgs (list of ndarray): uint8 CHW, each of its own size.
        bboxes (list of ndarray): float32 ``(R, 4)``, image pixels.
        labels (list of ndarray): int32 ``(R,)``.
        scores (list of ndarray): float32 ``(R,)``, 0 to 1.
        class_names (sequence of str): Names of the labels.
        path (str): PNG file to write.
    """
    colors = hsv_to_rgb([(i / len(class_names), 1.0, 0.9) for i in range(len(class_names))])
    figure, axes = _grid(len(imgs))
    for one, img, bbox, label, score in zip(axes, imgs, bboxes, labels, scores):
        one.imshow(img.transpose(1, 2, 0))
        for (y_min, x_min, y_max, x_max), class_label, confidence in zip(bbox, label, score):
            color = colors[class_label]
            one.add_patch(Rectangle((x_min, y_min), x_max - x_min, y_max - y_min, fill=False,
                                    edgecolor=color, linewidth=1.5))
            # Inside the top of the box, so that a box at the border keeps its name.
            one.text(x_min + 1, max(0, y_min), f'{class_names[class_label]} {confidence:.2f}',
                     fontsize=6, color='white', va='top', clip_on=True,
                     bbox={'facecolor': color, 'edgecolor': 'none', 'pad': 0.8})
    figure.savefig(path, dpi=110, format='png')
