"""A detector class by class: AP, precision-recall curves."""

from yolo_dist.drawing.figures import COLORS, GREY, add_legend, create_figure, say, wrapped


def draw_ap_by_class(details):
    """Draw AP of each class in both VOC metrics, the best class first.

    Args:
        details (dict): Of :func:`~yolo_dist.evaluators.detection_details`.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    classes = sorted(details['classes'].items(),
                     key=lambda item: -(item[1]['ap_area_percent'] or 0))
    figure, [axes] = create_figure(7, 1 + 0.22 * len(classes))
    names = [f'{name} ({counts["n_objects"]:,})' for name, counts in classes]
    places = range(len(classes))
    area = [counts['ap_area_percent'] for _, counts in classes]
    handles = [axes.barh(places, [value or 0 for value in area], color=COLORS[4], height=0.7),
               *axes.plot([counts['ap_11_point_percent'] for _, counts in classes], places, 'o',
                          color=COLORS[1], markersize=4)]
    for place, value in zip(places, area):
        text = 'no object' if value is None else f'{value:.1f}'
        axes.text(1.01, place, text, va='center', fontsize=8,
                  transform=axes.get_yaxis_transform())
    axes.set_yticks(list(places), names, fontsize=8)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel('AP [%]')
    axes.set_title(_mean_in_words(details), fontsize=10)
    axes.grid(alpha=0.3, axis='x')
    axes.set_axisbelow(True)
    add_legend(figure, handles, ['area under the curve', '11-point metric of VOC2007'])
    return figure


def _mean_in_words(details):
    if details['map_area_percent'] is None:
        return 'AP by class (objects): no object'
    return (f'AP by class (objects); mAP {details["map_area_percent"]:.1f} %, '
            f'11-point {details["map_11_point_percent"]:.1f} %')


def draw_precision_recall(details):
    """Draw the precision-recall curve of each class in a panel of its own.

    Panels do not have to be told apart by colours. A dot marks the score threshold.

    Args:
        details (dict): Of :func:`~yolo_dist.evaluators.detection_details`.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    classes = details['classes']
    n_columns = min(len(classes), 5 if len(classes) <= 30 else 10)
    n_rows = -(-len(classes) // n_columns)
    figure, panels = create_figure(2 * n_columns + 0.4, 1.9 * n_rows + 0.6, n_rows, n_columns)
    for axes in panels[len(classes):]:
        axes.remove()
    for i, (axes, (name, counts)) in enumerate(zip(panels, classes.items())):
        _draw_curve(axes, counts)
        axes.set_title(name if len(name) <= 24 else f'{name[:23]}…', fontsize=8)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        axes.tick_params(labelsize=7, labelleft=i % n_columns == 0,
                         labelbottom=i + n_columns >= len(classes))
        axes.grid(alpha=0.3)
    title = ('best precision over recall; dot: '
             f'score threshold {details["score_thresh"]:.2f}, the best F1')
    figure.suptitle(wrapped(title, figure.get_size_inches()[0], 9), fontsize=9)
    figure.supxlabel('recall', fontsize=9)
    figure.supylabel('precision', fontsize=9)
    return figure


def _draw_curve(axes, counts):
    precision = counts['precision']
    if counts['ap_area_percent'] is None:
        say(axes, 'no object')
        return
    recall = [i / 100 for i in range(len(precision))]
    axes.fill_between(recall, precision, color=COLORS[4], alpha=0.35, linewidth=0)
    axes.plot(recall, precision, color=COLORS[0], linewidth=1.3)
    n_kept = counts['n_found'] + counts['n_false']
    if n_kept:
        axes.plot(counts['n_found'] / counts['n_objects'], counts['n_found'] / n_kept, 'o',
                  color=COLORS[1], markersize=4, clip_on=False, zorder=3)
    axes.text(0.04, 0.05, f'AP {counts["ap_area_percent"]:.1f}\n{counts["n_objects"]:,} objects',
              fontsize=7, transform=axes.transAxes, color='black',
              bbox={'facecolor': 'white', 'edgecolor': GREY, 'linewidth': 0.3, 'alpha': 0.8,
                    'pad': 1.5})
