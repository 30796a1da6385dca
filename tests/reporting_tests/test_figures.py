"""Every figure of the report, from real records and from none: filled and readable."""

import json
import pathlib

import pytest

from yolo_dist.config import dump_config, load_config
from yolo_dist.config.sites import load_site
from yolo_dist.drawing import learning_curves, save_figure
from yolo_dist.drawing.figures import create_figure
from yolo_dist.reporting import draw_accuracy_curves, draw_batch_size, draw_loss_curves
from yolo_dist.reporting.batch_size import paper_batch_percent
from yolo_dist.reporting.pages import PAGES, create_page, general_page
from yolo_dist.reporting.tables import table_2
from yolo_dist.reporting.values import lines_of_table_2
from yolo_dist.runs.records import find_experiment

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'
FIGURES = ['table2', 'fig3', 'fig4', 'fig5', 'fig6', 'fig7']
# Stars in all axes: the numbers that the paper prints.
N_PRINTED = {'fig3': 2, 'fig4': 1, 'fig5': 2, 'fig6': 0, 'fig7': 1}


@pytest.fixture(scope='module')
def site():
    return load_site('abci_2018')


def texts_of(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def stars(figure):
    return [line for axes in figure.axes for line in axes.lines if line.get_marker() == '*']


@pytest.mark.parametrize('name', [name for name in PAGES
                                  if (EXPERIMENTS / f'{name}.yaml').exists()])
def test_a_figure_that_nobody_ran(name, site, tmp_path, assert_readable, assert_filled):
    """It shows what the paper prints and says that the rest was not run."""
    page = create_page(find_experiment(EXPERIMENTS / f'{name}.yaml', tmp_path), site)
    figures = [*page.figures.values()]
    assert len(figures) == (2 if name == 'imagenette_fig3' else 1)
    for figure in figures:
        assert_readable(figure)
        assert_filled(figure)
        assert any('not run' in text for text in texts_of(figure))
    if name in N_PRINTED:
        assert sum(len(line.get_xdata()) for line in stars(figure)) == N_PRINTED[name]


@pytest.mark.parametrize('name', FIGURES)
def test_a_figure_of_real_runs(name, site, records_dir, assert_readable, assert_filled):
    """Done, stopped, diverged and missing rows, several seeds."""
    experiment = find_experiment(records_dir / f'experiments/{name}.yaml',
                                 records_dir / 'results')
    figure, = create_page(experiment, site).figures.values()
    assert_readable(figure)
    assert_filled(figure)


def test_curves_are_those_of_the_log(create_record):
    """Points of a line are the entries of the log that have the value."""
    log = [{'epoch_detail': 1.0, 'train/accuracy': 0.25, 'train/loss': 2.0},
           {'epoch_detail': 2.0, 'train/accuracy': 0.5, 'train/loss': 1.0,
            'val/top1_accuracy_percent': 40.0}]
    rows = {'a': [create_record('a', 2, model='darknet53', state='stopped', log=log)]}
    axes, = draw_accuracy_curves(rows).axes
    assert {line.get_label(): line.get_xydata().tolist() for line in axes.lines} == {
        'training': [[1, 25], [2, 50]], 'validation': [[2, 40]]}
    axes, = draw_loss_curves(rows).axes
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[1, 2], [2, 1]]]


def test_rows_of_another_eta_are_another_figure(site, tmp_path):
    """Curves beside each other have one rate for an image; the titles say which."""
    experiment = find_experiment(EXPERIMENTS / 'imagenette_fig3.yaml', tmp_path)
    figures = create_page(experiment, site).figures
    assert {name: len(figure.axes) for name, figure in figures.items()} == {
        'imagenette_fig3_eta_0.1': 4, 'imagenette_fig3_eta_0.0125': 5}
    for name, figure in figures.items():
        assert all(f'eta = {name.split("_")[-1]}' in axes.get_title() for axes in figure.axes)


def test_the_batch_stands_at_its_share_of_the_set(create_record):
    """Ours by our set, the paper's by its own: 128 of 16,551 images at k = 8 and so on."""
    assert paper_batch_percent(8) == pytest.approx(0.773, abs=5e-4)
    assert paper_batch_percent(96) == pytest.approx(9.28, abs=5e-3)
    log = [{'epoch_detail': 1.0, 'iteration': 100}]  # batches of 8 x 8 = 64 of 6,400 images
    rows = {k: [create_record(f'r{k}', k, state='done', log=log[:k // 8 == 1],
                              metrics={'map_percent': ours}, paper={'map_percent': paper})]
            for k, ours, paper in ((8, 40.0, 78.7), (16, 30.0, 78.7))}
    values, shares = (
        {label: line.get_xydata().tolist() for line, label in zip(*handles(axes))}
        for axes in draw_batch_size(
            rows, 'map_percent', {8: (32, 78.7), 16: (64, 78.7)}).axes)
    assert values['YOLOv3, ours'] == [[1, 40], [2, 30]]
    assert shares['YOLOv3, ours'] == [[1, 100], [2, 75]]
    assert values['YOLOv3, paper'] == [[paper_batch_percent(k), 78.7] for k in (32, 64)]
    assert [y for _, y in shares['YOLOv3, paper']] == [100, 100]


def test_without_the_smallest_batch_there_is_no_share_of_its_value(create_record):
    """A line that begins later is in the left panel alone."""
    log = [{'epoch_detail': 1.0, 'iteration': 100}]
    rows = {8: [create_record('a', 8)],
            16: [create_record('b', 16, state='done', log=log, metrics={'map_percent': 40.0})]}
    left, right = draw_batch_size(rows, 'map_percent', {}).axes
    assert handles(left)[1] == ['YOLOv3, ours']
    assert handles(right)[1] == []


def test_rows_in_small_stand_for_the_papers(site, tmp_path):
    """Their batches of the 2,069 images are the shares that stand under the paper's values."""
    experiment = find_experiment(EXPERIMENTS / 'mini_table2.yaml', tmp_path)
    figure, = create_page(experiment, site).figures.values()
    paper = dict(zip(*reversed(handles(figure.axes[0]))))
    for model, title, values in (('yolo_v2', 'YOLOv2', [78.1, 78.1, 78.0, 75.5, 0.3]),
                                 ('yolo_v3', 'YOLOv3', [78.7, 78.7, 78.2, 77.3, 76.3, 65.8])):
        shares = sorted(100 * records[0].planned.global_batch_size / 2069
                        for row, records in experiment.rows().items()
                        if row.startswith(model) and row[-1].isdigit())
        points = paper[f'{title}, paper'].get_xydata()
        assert points[:, 1].tolist() == values
        assert points[:, 0] == pytest.approx(shares[:len(values)], rel=2e-3)


def test_each_eta_is_a_line_of_its_own(tmp_path):
    """Rows of another rate do not stand in the line of the paper's rate, but under it."""
    rows = find_experiment(EXPERIMENTS / 'mini_table2.yaml', tmp_path).rows()
    lines = lines_of_table_2(rows)
    assert list(lines) == [(model, eta) for model in ('yolo_v2', 'yolo_v3')
                           for eta in (0.001, 0.0005, 0.00025)]
    assert lines['yolo_v3', 0.0005] == [f'yolo_v3_k{k}_half' for k in (1, 2, 4, 8, 12, 16)]
    assert list(lines_of_table_2({row: rows[row] for row in lines['yolo_v3', 0.001]})) == [
        ('yolo_v3', None)]
    titles = [line.split('|')[1:3] for line in table_2(rows, 'map_percent', {}).splitlines()[3:]]
    assert [[cell.strip() for cell in title] for title in titles[:2]] == [
        ['YOLOv2', 'ours, eta = 0.001'], ['', 'ours, eta = 0.0005']]


def handles(axes):
    found, labels = axes.get_legend_handles_labels()
    return [handle[0] for handle in found], labels


def test_a_diverged_row_is_a_cross_at_zero(create_record):
    """Also where it ended before its first log entry: the other rows know the set's size."""
    done = create_record('a', 8, state='done', metrics={'map_percent': 40.0},
                         log=[{'epoch_detail': 1.0, 'iteration': 100}])
    rows = {'a': [done], 'b': [create_record('b', 16, state='diverged')]}
    axes = draw_batch_size(rows, 'map_percent', {}).axes[0]
    cross, = (line for line in axes.lines if line.get_label() == 'YOLOv3, ours diverged')
    assert cross.get_xydata().tolist() == [[2, 0]]


@pytest.mark.parametrize('n_runs', [1, 30])
def test_curves_of_many_runs_with_long_names(n_runs, assert_readable, assert_filled):
    """The legend grows, the axes do not shrink."""
    log = [{'epoch_detail': 1.0, 'train/loss': 3.0, 'lr': 0.1, 'val/map_percent': 80.0},
           {'epoch_detail': 2.0, 'train/loss': 2.0, 'lr': 0.2, 'val/map_percent': 90.0}]
    figure = learning_curves({f'an_experiment_with_a_long_name/yolo_v3_k{i}_prescaled/seed_0': log
                              for i in range(n_runs)})
    assert_readable(figure)
    assert_filled(figure)
    height = figure.axes[0].get_window_extent().height / figure.dpi
    assert height > 2
    colors = {line.get_color() for line in figure.axes[0].lines}
    assert len(colors) == n_runs


def test_many_panels_and_seeds(create_record, assert_readable, assert_filled):
    """Nine rows of three seeds, one of them failed."""
    log = [{'epoch_detail': float(i), 'iteration': 10 * i, 'train/accuracy': 0.1 * i,
            'train/loss': 10.0 - i, 'val/top1_accuracy_percent': 9.0 * i} for i in range(1, 9)]
    rows = {f'darknet53_k{k}': [
        create_record(f'darknet53_k{k}', k, model='darknet53', seed=seed, log=log,
                      state='failed' if seed == 2 else 'done',
                      metrics={} if seed == 2 else {'top1_accuracy_percent': 72.0 + seed},
                      paper={'top1_accuracy_percent': 77.2})
        for seed in range(3)] for k in (2, 4, 8, 16, 32, 64, 128, 256, 512)}
    accuracy, loss = draw_accuracy_curves(rows), draw_loss_curves(rows)
    for figure in (accuracy, loss):
        assert_readable(figure)
        assert_filled(figure)
    assert len(accuracy.axes) == 9


def test_runs_without_a_log_have_no_empty_figure(tmp_path):
    """The general page draws what there is."""
    experiment = find_experiment(EXPERIMENTS / 'quickstart_yolo_v3.yaml', tmp_path)
    assert general_page([experiment]).figures == {}


def test_the_same_figure_is_the_same_file(create_record, tmp_path):
    """PNG and SVG hold no date and no random names."""
    rows = {'a': [create_record('a', 2, model='darknet53')]}
    for name in ('one', 'other'):
        (tmp_path / name).mkdir()
        save_figure(draw_accuracy_curves(rows), tmp_path / name, 'figure')
    for kind in ('png', 'svg'):
        one, other = (tmp_path / name / f'figure.{kind}' for name in ('one', 'other'))
        assert one.read_bytes() == other.read_bytes()
    assert b'<svg' in (tmp_path / 'one/figure.svg').read_bytes()


@pytest.mark.parametrize('place, problem', [(0.5, 'second'), (1.4, 'first')])
def test_unreadable_figures_are_caught(assert_readable, assert_filled, place, problem):
    """Negative control: a text over another one, a text that leaves the figure, empty axes."""
    figure, [axes] = create_figure(3, 2)
    axes.text(place, 0.5, 'first', transform=axes.transAxes, in_layout=False)
    axes.text(0.5, 0.5, 'second', transform=axes.transAxes)
    with pytest.raises(AssertionError, match=problem):
        assert_readable(figure)
    with pytest.raises(AssertionError):
        assert_filled(figure)


@pytest.mark.parametrize('name, row', [('fig5', 'darknet53_k1'), ('fig7', 'yolo_v3_k1')])
def test_the_model_starts_from_the_measured_speed_of_one_worker(name, row, site, tmp_path):
    """A run of k = 1 with the settings of the file gives T(1)."""
    directory = tmp_path / name / row / 'seed_0'
    directory.mkdir(parents=True)
    config = load_config(EXPERIMENTS / f'{name}.yaml', row=row)
    (directory / 'config.yaml').write_text(dump_config(config))
    (directory / 'status.json').write_text('{"state": "done"}')
    quartiles = {'median': 0.25, 'lower_quartile': 0.2, 'upper_quartile': 0.3}
    (directory / 'throughput.json').write_text(json.dumps({
        'n_workers': 1, 'n_processes': 1, 'global_batch_size': config.global_batch_size,
        'warmup_iterations': 20, 'iterations': 100, 'images_per_second': quartiles,
        'seconds_per_iteration': quartiles,
        'phase_seconds': dict.fromkeys(
            ('input', 'forward_backward', 'allreduce', 'update'), 0.1)}))
    page = create_page(find_experiment(EXPERIMENTS / f'{name}.yaml', tmp_path), site)
    assert any('T(1) = 0.25 s is the measured one of k = 1' in block for block in page.blocks)
