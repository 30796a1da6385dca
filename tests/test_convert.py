"""`convert` as a user meets it."""
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
from chainer.serializers import save_npz

from yolo_dist.config import dump_config, load_config
from yolo_dist.convert import main
from yolo_dist.datasets import DIGIT_NAMES
from yolo_dist.errors import InputError
from yolo_dist.formats import build_link, read_darknet_cfg
from yolo_dist.tasks import get_task

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[1] / 'experiments'


@pytest.fixture
def run(tmp_path):
    """Writes a run directory of a quickstart experiment, untrained, one thirtieth wide."""
    def run(network, *overrides):
        config = load_config(EXPERIMENTS / f'quickstart_{network}.yaml',
                             overrides=['model.width=0.03', *overrides])
        directory = tmp_path / 'run'
        directory.mkdir()
        (directory / 'config.yaml').write_text(dump_config(config))
        save_npz(directory / 'weights_final.npz', get_task(config).build_model(config))
        return directory
    return run


def test_a_run_becomes_files_of_darknet(run, tmp_path, capsys):
    """Anchors and input size of the run stand in the .cfg, its classes in .names and .data."""
    main([str(run('yolo_v3')), f'{tmp_path}/out.weights'])
    network = read_darknet_cfg(tmp_path / 'out.cfg')
    assert (network.name, network.n_class, network.width) == ('yolo_v3', 10, 0.03)
    assert network.insize == (128, 128)
    assert network.anchors == [[[80, 60], [100, 80], [115, 100]], [[30, 18], [44, 26], [62, 38]],
                               [[8, 5], [13, 8], [20, 12]]]
    assert (tmp_path / 'out.names').read_text().split() == list(DIGIT_NAMES)
    assert (tmp_path / 'out.data').read_text() == 'classes=10\nnames=out.names\ntop=5\n'
    assert 'yolo_v3 with 10 classes of width 0.03' in capsys.readouterr().out


def test_names_of_a_classifier_are_numbers_unless_given(run, tmp_path, capsys):
    """Where the data are not at hand the names are not made up; --classes gives them."""
    directory, given = run('darknet53', 'data.root=absent'), tmp_path / 'given'
    main([str(directory), f'{tmp_path}/a.weights'])
    assert (tmp_path / 'a.names').read_text().split() == [str(i) for i in range(10)]
    assert 'give them by --classes FILE' in capsys.readouterr().out
    given.write_text('\n'.join(f'kind {i}' for i in range(10)) + '\n\n')
    main([str(directory), f'{tmp_path}/b.weights', '--classes', str(given)])
    assert (tmp_path / 'b.names').read_text().splitlines()[9] == 'kind 9'


@pytest.mark.skipif(not shutil.which('darknet'), reason="no Debian package 'darknet'")
@pytest.mark.parametrize('network,command', [
    # Without -out it waits for a key in the window of the picture.
    ('yolo_v2', ('detector', 'test', '-out', 'o')),
    ('yolo_v3', ('detector', 'test', '-out', 'o')),
    ('darknet19', ('classifier', 'predict')), ('darknet53', ('classifier', 'predict'))])
def test_darknets_program_takes_them(network, command, run, tmp_path):
    """Debian's `detector test` and `classifier predict` run on the files and name the classes."""
    cv2 = pytest.importorskip('cv2')
    directory = run(network)
    with np.load(directory / 'weights_final.npz') as arrays:
        arrays = dict(arrays)
    for name in arrays:  # every box of a detector counts
        if name in ('subnet/b', *(f'subnet/{s}/1/b' for s in range(3))):
            arrays[name] = np.full_like(arrays[name], 5)
    np.savez(directory / 'weights_final.npz', **arrays)
    given = tmp_path / 'given'
    given.write_text(''.join(f'kind{i}\n' for i in range(10)))
    main([str(directory), f'{tmp_path}/n.weights', '--classes', str(given)])
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype='u1')
    cv2.imwrite(str(tmp_path / 'i.png'), image)
    done = subprocess.run(
        ['darknet', *command[:2], 'n.data', 'n.cfg', 'n.weights', 'i.png', *command[2:],
         '-thresh', '0.05'],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env={'QT_QPA_PLATFORM': 'offscreen', 'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert 'Done!' in done.stdout + done.stderr
    assert 'kind' in done.stdout.rpartition('Predicted in')[2]


@pytest.mark.parametrize('arguments,message', [
    (('run', 'out.pt'), 'out.pt: is of no known type; expected .*weights'),
    (('run', 'absent/out.weights'), 'there is no folder .*absent'),
    (('run', 'there.weights'), 'there.cfg: is there already'),
    (('run', 'out.npz', '--exact-for', 'opencv'), '--exact-for: is for weights of Darknet'),
    (('run', 'out.npz', '--classes', 'nine'), 'nine: has 9 lines, expected 10, one for each'),
    (('run', 'out.weights', '--classes', 'blank'), 'blank, line 2: is empty, expected .* class 1'),
    (('run', 'out.weights', '--classes', 'absent'), 'absent: cannot be read'),
    (('run', 'out.weights', '--cfg', 'absent'), 'absent: cannot be read .*expected the .cfg'),
    (('run', 'out.conv.23', '--classes', 'ten'), '--classes .*ten: .*out.conv.23 is a part'),
    (('run', 'out.conv.999'), 'out.conv.999: asks for 999 layers .* has 32 layers'),
    (('run', 'out.conv.0'), 'out.conv.0: asks for 0 layers'),
    (('other.npz', 'out.weights'), r'other.npz: its arrays \(x, ...\) are of none of'),
    (('wide.npz', 'out.weights'), r'wide.npz: .* float64 .*, expected float32'),
    (('absent.npz', 'out.weights'), 'absent.npz: there is no such file'),
    (('absent', 'out.npz'), 'absent: cannot be read')])
def test_what_cannot_be_converted(arguments, message, run, tmp_path, monkeypatch):
    """File, found, expected; in one line, and no file is written."""
    directory = run('yolo_v2')
    monkeypatch.chdir(tmp_path)
    for name, text in (('there.cfg', ''), ('nine', 'x\n' * 9), ('ten', 'x\n' * 10),
                       ('blank', 'x\n\n' + 'x\n' * 8)):
        pathlib.Path(name).write_text(text)
    np.savez('other.npz', x=np.zeros(3))
    with np.load(directory / 'weights_final.npz') as arrays:
        np.savez('wide.npz', **{name: array.astype('f8') for name, array in arrays.items()})
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(InputError, match=message) as error:
        main(list(arguments))
    assert '\n' not in str(error.value)
    assert sorted(tmp_path.rglob('*')) == before


def test_weights_that_are_not_of_the_run(run, tmp_path):
    """A file beside a config.yaml is of that network, or refused."""
    directory = run('yolo_v2')
    config = load_config(EXPERIMENTS / 'quickstart_yolo_v3.yaml', overrides=['model.width=0.03'])
    save_npz(directory / 'other.npz', get_task(config).build_model(config))
    with pytest.raises(InputError, match='other.npz: .*yolo_v2 with 10 classes'):
        main([str(directory / 'other.npz'), f'{tmp_path}/o.weights'])


def test_a_snapshot_and_a_link_agree(run, tmp_path):
    """What is read of a run builds the link that the run trains."""
    main([str(run('yolo_v2')), f'{tmp_path}/o.weights'])
    link = build_link(read_darknet_cfg(tmp_path / 'o.cfg'))
    assert link.default_boxes(128).anchor_px.shape == (80, 2)


def test_an_error_is_a_line_and_status_2(python, tmp_path):
    """Through the command line."""
    done = python('-m', 'yolo_dist.convert', tmp_path / 'absent.weights', tmp_path / 'x.npz')
    assert done.returncode == 2
    assert done.stderr.startswith('error: ') and len(done.stderr.splitlines()) == 1
