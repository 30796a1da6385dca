"""The pinned environment agrees with what declares it."""
import pathlib
import re
from importlib import metadata

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pins():
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    stripped = [line.partition('#')[0].strip() for line in lines]
    return {requirement.name.lower().replace('_', '-'): requirement
            for requirement in map(Requirement, filter(None, stripped))}


def test_every_requirement_is_an_exact_pin():
    """Each line of requirements.txt is `name==version`, with a marker at most."""
    for requirement in pins().values():
        assert re.fullmatch(r'==[0-9.]+', str(requirement.specifier)), requirement
        assert not requirement.url


def test_pins_satisfy_setup():
    """What setup.py asks for, GPU and bench extras aside, is pinned in the range it asks."""
    text = (ROOT / 'setup.py').read_text()
    asked = [Requirement(item) for item in re.findall(r"'([\w-]+[=<>]=?[^']*)'", text)
             if not item.startswith(('cupy', 'nvidia', 'torch', 'openvino', '>='))]
    assert len(asked) > 10
    for requirement in asked:
        pin = str(pins()[requirement.name.lower()].specifier).removeprefix('==')
        assert requirement.specifier.contains(pin), requirement


def test_pins_are_complete():
    """Whatever an installed pinned package needs is pinned too: the install takes no more."""
    pinned = pins()
    # Chainer asks for setuptools, which its repairs make needless.
    for name, pin in sorted(pinned.items()):
        if pin.marker is not None and not pin.marker.evaluate():
            continue
        for text in metadata.requires(name) or ():
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({'extra': ''}):
                needed = need.name.lower().replace('_', '-')
                assert needed in pinned or needed == 'setuptools', f'{name} needs {need.name}'


def test_numpy_of_the_makefile():
    """The NumPy that ChainerCV is built with is the one that is installed."""
    makefile = (ROOT / 'Makefile').read_text()
    assert f' numpy{pins()["numpy"].specifier}\n' in makefile
