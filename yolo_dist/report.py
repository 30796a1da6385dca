"""Reports runs beside the paper: ``python -m yolo_dist.report EXPERIMENT_OR_RUN_DIR...``."""

import pathlib
import shutil

from yolo_dist.command_line import Parser, run_serial
from yolo_dist.records import find_records
from yolo_dist.reporting import comparison_table, draw_curves


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.report', description=(
        "Writes report.md with the paper's numbers beside ours, learning curves and example "
        'pictures. Reads result directories only: no MPI, no GPU, also while runs go on.'))
    parser.add_argument('sources', metavar='EXPERIMENT_OR_RUN_DIR', nargs='+',
                        help='experiment files or run directories')
    parser.add_argument('--results', metavar='DIR', default='results',
                        help='where result directories lie (default: results)')
    parser.add_argument('--out', metavar='DIR', default='report',
                        help='folder to write (default: report)')
    return parser.parse_args(argv)


def _pictures(records, out):
    """Markdown lines for the figures of some runs, which are written to ``out``."""
    lines = []
    tasks = dict.fromkeys(record.config.task for record in records if record.log)
    for task in tasks:
        logs = {record.config.name: record.log for record in records
                if record.log and record.config.task == task}
        draw_curves(logs, out / f'curves_{task}.png')
        lines += [f'## Learning curves, {task}', '', f'![curves](curves_{task}.png)', '']
    for record in records:
        picture = record.directory / 'examples.png'
        if picture.exists():
            target = f'examples_{record.config.name.replace("/", "_")}.png'
            shutil.copyfile(picture, out / target)
            lines += [f'## Examples, {record.config.name}', '', f'![examples]({target})', '']
    return lines


def main(argv=None):
    """Writes the report and prints its table.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Returns:
        int: 0.
    """
    arguments = parse_arguments(argv)
    records = [record for source in arguments.sources
               for record in find_records(source, arguments.results)]
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    table = comparison_table(records)
    lines = ['# Paper and reproduction', '', table, '', *_pictures(records, out)]
    (out / 'report.md').write_text('\n'.join(lines), encoding='utf-8')
    print(table)
    print(f'\nwritten: {out / "report.md"}')
    return 0


if __name__ == '__main__':
    run_serial(main)
