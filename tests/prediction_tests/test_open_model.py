import shutil

import numpy as np
import pytest

from yolo_dist.errors import InputError
from yolo_dist.prediction import open_model


def test_three_lines_from_a_run_directory_to_boxes(detector_run, photo):
    """The link comes with the run's size, names, thresholds and weights."""
    model = open_model(detector_run)
    assert (model.task, model.input_size_px, model.link.insize) == ('detection', 32, 32)
    assert model.class_names == ('dog', 'kočka', 'a/b')
    assert (model.link.score_thresh, model.link.nms_thresh) == (0.5, 0.45)
    bboxes, labels, scores = model.link.predict([photo])
    # 60 x 120 px is drawn into the middle 16 of 32 rows.
    np.testing.assert_allclose(bboxes[0], [[0, 30, 60, 90]], atol=0.01)
    assert labels[0].tolist() == [1] and scores[0][0] > 0.9


def test_a_file_in_the_run_directory(detector_run):
    """A weights file stands for its run."""
    path = detector_run / 'weights_final.npz'
    assert open_model(path).weights == path


@pytest.mark.parametrize('run, names', [
    ('detector_run', ('dog', 'kočka', 'a/b')), ('classifier_run', ('0', '1', '2'))])
def test_runs_without_the_file_of_names(run, names, request, tmp_path):
    """Run directories of version 0.1 open, too."""
    old = tmp_path / 'old'
    shutil.copytree(request.getfixturevalue(run), old)
    (old / 'class_names.txt').unlink()
    assert open_model(old).class_names == names


def test_names_of_a_classifier(classifier_run):
    """They are those that the training set had, from folders or from a list."""
    assert open_model(classifier_run).class_names == ('one', 'two', 'three')


@pytest.mark.parametrize('text, message', [
    ('one\ntwo\n', 'found 2 names of classes, but the network has 3'),
    ('one\n\nthree\n', 'line 2: is empty'), (b'\xff\xfe\x00', 'cannot be read as names')])
def test_names_that_do_not_fit(text, message, classifier_run, tmp_path):
    """The message names the file and what was found."""
    changed = tmp_path / 'changed'
    shutil.copytree(classifier_run, changed)
    (changed / 'class_names.txt').write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=f'class_names.txt.*{message}'):
        open_model(changed)
