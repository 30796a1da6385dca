"""What the tests of figures look at: texts, where they lie, and what axes hold."""

import json
import pathlib

import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from yolo_dist.config import load_config
from yolo_dist.runs.records import Record

TESTS = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope='session')
def records_dir():
    """Records of real small runs, see tests/make_report_records.py."""
    return TESTS / 'report_records'


def visible_texts(figure):
    """``(text, extent)`` of what is printed in a figure, tick labels outside of axes left out."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    hidden = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        span = 1e-6 * (high - low)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not low - span <= tick.get_loc() <= high + span:
                hidden |= {tick.label1, tick.label2}
    return [(text.get_text(), text.get_window_extent(renderer))
            for text in figure.findobj(Text)
            if text.get_text().strip() and text.get_visible() and text not in hidden]


@pytest.fixture
def assert_readable():
    """Asserts that no text of a figure overlaps another or leaves the figure."""
    def assert_readable(figure):
        texts = visible_texts(figure)
        assert texts
        words, extents = zip(*texts)
        low, high = (np.array([getattr(extent, end) for extent in extents])
                     for end in ('min', 'max'))  # px, (n_texts, 2)
        shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
        overlapping = np.triu((shared > 1).all(axis=2), k=1)
        assert not overlapping.any(), [(words[i], words[j]) for i, j in np.argwhere(overlapping)]
        leaving = ((low < -1) | (high > figure.bbox.max + 1)).any(axis=1)
        assert not leaving.any(), [words[i] for i in np.flatnonzero(leaving)]
    return assert_readable


@pytest.fixture
def assert_filled():
    """Asserts that each axes shows data, or says in words why it does not."""
    def assert_filled(figure):
        assert figure.axes
        for axes in figure.axes:
            shown = [*axes.lines, *axes.patches, *axes.images, *axes.collections]
            assert shown or any('not run' in text.get_text() or 'yet' in text.get_text()
                                for text in axes.texts)
    return assert_filled


@pytest.fixture(scope='session')
def create_record():
    """Makes the record of a run: ``create_record(row, k, model='yolo_v3', paper={}, **fields)``.

    ``fields`` are those of :class:`~yolo_dist.runs.records.Record`.
    """
    def create_record(row, k, *, model='yolo_v3', paper=None, seed=0, **fields):
        config = load_config(TESTS.parent / f'experiments/quickstart_{model}.yaml', overrides=[
            f'workers={k}', f'name={row}', f'run.seed={seed}',
            f'paper.reported={json.dumps(paper or {})}'])
        fields = {'config': config, 'planned': config, 'directory': pathlib.Path(row)} | fields
        return Record(row=row, seed=seed, **fields)
    return create_record
