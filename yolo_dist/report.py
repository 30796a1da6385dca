"""Reports runs beside the paper: ``python -m yolo_dist.report EXPERIMENT_OR_RUN_DIR...``."""

import contextlib
import pathlib
import shutil

from yolo_dist.command_line import Parser, run_serial
from yolo_dist.config import load_site
from yolo_dist.drawing import save_figure
from yolo_dist.errors import InputError
from yolo_dist.reporting import PAGES, PAPER_SITE, SPEED_UPS, create_page, general_page, write_csv
from yolo_dist.runs.records import find_experiment


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.report', description=(
        "Writes report.md with the paper's numbers beside ours, each table as CSV, and each "
        'figure as PNG and SVG. Reads only result directories, also of running runs. Needs no MPI '
        'and no GPU.'))
    parser.add_argument('sources', metavar='EXPERIMENT_OR_RUN_DIR', nargs='+', help=(
        'experiment files or run directories; ' + ', '.join(PAGES) + ' are drawn as the figure '
        'of the same name; all others are compared in one table'))
    parser.add_argument('--results', metavar='DIR', default='results',
                        help='where result directories lie (default: results)')
    parser.add_argument('--out', metavar='DIR', default='report',
                        help='folder to write (default: report)')
    parser.add_argument('--site', metavar='NAME', help=(
        'the machine of the speed-up model in figs. 5 and 7: a site of jobs/sites or the path '
        f'of a site file (default: {PAPER_SITE}, the machine of the paper)'))
    return parser.parse_args(argv)


def _write_page(page, out):
    """Write the files of a page; return the Markdown lines that show its figures."""
    lines = []
    for name, figure in page.figures.items():
        save_figure(figure, out, name)
        lines += [f'![{name}]({name}.png)', '']
    for name, content in page.csv.items():
        write_csv(out / f'{name}.csv', content)
        lines += [f'[{name}.csv]({name}.csv)', '']
    return lines


def _copy_pictures(experiments, out):
    """Copy the pictures that `evaluate` drew; return the Markdown lines that show them."""
    lines = []
    for record in (record for experiment in experiments for record in experiment.records):
        run = record.config.name
        for picture in sorted((record.directory / 'evaluation').glob('*.png')):
            name = f'{picture.stem}_{run.replace("/", "_")}'
            for file in (picture, picture.with_suffix('.svg')):
                # There may be no SVG, and `evaluate` may be drawing all of them anew.
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(file, out / f'{name}{file.suffix}')
            title = picture.stem.replace('_', ' ')
            # Between angle brackets a name may hold blanks and parentheses.
            lines += [f'### {title[0].upper()}{title[1:]}, {run}', '',
                      f'![{title}](<{name}.png>)', '']
    return lines


def main(argv=None):
    """Write the report and print its tables.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Returns:
        int: 0.
    """
    arguments = parse_arguments(argv)
    site = load_site(arguments.site or PAPER_SITE)
    experiments = [find_experiment(source, arguments.results)
                   for source in dict.fromkeys(arguments.sources)]
    if arguments.site and not any(experiment.name in SPEED_UPS for experiment in experiments):
        raise InputError('--site: the speed-up model is drawn for fig5 and fig7 only; name one of '
                         'them, or leave --site out')
    general = [experiment for experiment in experiments if experiment.name not in PAGES]
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    pages = [general_page(general)] if general else []
    pages += [create_page(experiment, site) for experiment in experiments
              if experiment.name in PAGES]
    lines = ['# Paper and reproduction', '']
    for page in pages:
        heading = [f'## {page.title}', '']
        text = [line for block in page.blocks for line in (block, '')]
        lines += [*heading, *text, *_write_page(page, out)]
        print('\n'.join([*heading, *text]))
    lines += _copy_pictures(general, out)
    (out / 'report.md').write_text('\n'.join(lines), encoding='utf-8')
    print(f'written: {out / "report.md"}')
    return 0


if __name__ == '__main__':
    run_serial(main)
