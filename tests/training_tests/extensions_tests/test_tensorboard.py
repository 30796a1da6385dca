"""Event files as TensorBoard reads them."""
import importlib.util
import struct
import types

import pytest

from yolo_dist.drawing import create_figure
from yolo_dist.errors import InputError
from yolo_dist.training.extensions import TensorBoard, check_tensorboard
from yolo_dist.training.trainer import every_iterations


def train(folder, iterations, values):
    """A session that goes through some iterations."""
    evaluation = types.SimpleNamespace(results=None)

    def draw(results):
        figure, [axes] = create_figure(2, 1)
        axes.set_title(results)
        return figure

    extension = TensorBoard(folder, every_iterations(1), evaluation, draw)

    def trainer(iteration, **observation):
        return types.SimpleNamespace(updater=types.SimpleNamespace(iteration=iteration),
                                     observation=observation)

    extension.initialize(trainer(iterations[0] - 1))
    for iteration, value in zip(iterations, values):
        if iteration % 2 == 0:
            evaluation.results = f'results of {iteration}'
        extension(trainer(iteration, lr=value, **{'val/map_percent': None}))
    extension.finalize()


def events(folder):
    """What is shown: points before the start of a later session, and its own."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    shown = []
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data = path.read_bytes()
        while data:
            length, = struct.unpack('<Q', data[:8])
            event = Event.FromString(data[12:12 + length])
            data = data[16 + length:]
            if event.session_log.status == SessionLog.START:
                shown = [point for point in shown if point[0] < event.step]
            shown += [(event.step, value.tag, value.simple_value or len(value.image.
                       encoded_image_string)) for value in event.summary.value]
    return shown


def test_a_resumed_session_doubles_no_point(tmp_path):
    """Iterations 3 and 4 were lost and made again: the later values stand."""
    pytest.importorskip('tensorboardX')
    train(tmp_path, [1, 2, 3, 4], [1., 2., 3., 4.])
    train(tmp_path, [3, 4, 5], [30., 40., 50.])
    shown = events(tmp_path)
    assert [(step, value) for step, tag, value in shown if tag == 'lr'] == [
        (1, 1.), (2, 2.), (3, 30.), (4, 40.), (5, 50.)]
    assert [step for step, tag, size in shown if tag == 'examples' and size > 500] == [2, 4]
    assert {tag for _, tag, _ in shown} == {'lr', 'examples'}


def test_a_missing_package_is_named(monkeypatch):
    """Before the run starts, with the way to install it."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: (
        None if name == 'tensorboardX' else find_spec(name)))
    with pytest.raises(InputError, match='no package tensorboardX.*pip install'):
        check_tensorboard()
