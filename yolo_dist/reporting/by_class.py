"""Results of evaluations for each class, as Markdown."""

from yolo_dist.reporting.tables import markdown_table
from yolo_dist.reporting.values import number

_MAX_CLASSES = 100
_DETECTION = {'objects': 'n_objects', 'AP, area': 'ap_area_percent',
              'AP, 11-point': 'ap_11_point_percent', 'found': 'n_found', 'missed': 'n_missed',
              'false': 'n_false'}
_CLASSIFICATION = {'images': 'n_images', 'found': 'n_found', 'false': 'n_false'}


def class_blocks(record):
    """Return the results of the last evaluation of a run for each class.

    Args:
        record (~yolo_dist.runs.records.Record): The run.

    Returns:
        list of str: Markdown; empty without an evaluation.
    """
    details = record.details
    if not details:
        return []
    is_detection = record.config.task == 'detection'
    columns = _DETECTION if is_detection else _CLASSIFICATION
    blocks = [f'### By class, {record.config.name}']
    if is_detection:
        blocks.append('Counts include only detections with a score of at least '
                      f'{details["score_thresh"]:.3f}. This threshold gives the best F1 over all '
                      'classes together.')
    if len(details['classes']) <= _MAX_CLASSES:
        lines = [[name, *(_cell(counts[key]) for key in columns.values())]
                 for name, counts in details['classes'].items()]
        if is_detection:
            lines.append(['mAP', '', _cell(details['map_area_percent']),
                          _cell(details['map_11_point_percent']), '', '', ''])
        blocks.append(markdown_table(['class', *columns], lines))
    if details.get('coco'):
        blocks.append(markdown_table(
            ['COCO', *(name.removesuffix('_percent').replace('_', ' ').upper()
                       for name in details['coco'])],
            [['%', *map(number, details['coco'].values())]]))
    if details.get('confused'):
        blocks.append(markdown_table(
            ['taken for', 'is', 'images'],
            [[pair['predicted'], pair['true'], str(pair['n_images'])]
             for pair in details['confused'][:10]]))
    return blocks


def _cell(value):
    return f'{value:,}' if isinstance(value, int) else number(value)
