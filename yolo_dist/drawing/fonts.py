"""Fonts that have the characters of a text."""
import functools
import pathlib
import warnings

from PIL import ImageFont


def find_font(text, size_px):
    """Find a font that can draw a text.

    Args:
        text (str): The text.
        size_px (int): Size of the font, pixels.

    Returns:
        PIL.ImageFont.FreeTypeFont: DejaVu Sans, else the first font of this machine that has
        every character of the text; ``None`` if none has.
    """
    path = _find_file(frozenset(text.replace(' ', '')))
    return None if path is None else _load(path, size_px)


@functools.lru_cache(maxsize=16)
def _load(path, size_px):
    return ImageFont.truetype(path, size_px)


@functools.lru_cache(maxsize=1024)
def _find_file(characters):
    codes = set(map(ord, characters))
    if not all(map(str.isprintable, characters)):
        return None
    return next((path for path in _files() if codes <= _codes(path)), None)


@functools.cache
def fallback_fonts(letters):
    """Name installed fonts for the letters that matplotlib's own font does not have.

    Args:
        letters (frozenset of str): Letters of any script.

    Returns:
        list of str: Names, as matplotlib's setting ``font.sans-serif`` takes them.
    """
    from matplotlib.font_manager import findfont, fontManager

    missing = {ord(letter) for letter in letters if letter.isprintable()}
    missing -= _codes(findfont('DejaVu Sans'))
    fonts = []
    for font in fontManager.ttflist if missing else []:
        # The last resort has a sign for each script, no letters.
        if 'resort' not in font.name.lower() and missing & (found := _codes(font.fname)):
            fonts.append(font.name)
            missing -= found
    return fonts


def _files():
    import matplotlib

    # Comes with it: Latin, Greek, Cyrillic, Arabic, Hebrew and more.
    yield pathlib.Path(matplotlib.get_data_path()) / 'fonts/ttf/DejaVuSans-Bold.ttf'
    yield from _system_fonts()


@functools.cache
def _system_fonts():
    from matplotlib.font_manager import findSystemFonts

    return sorted(findSystemFonts())


@functools.cache
def _codes(path):
    from matplotlib.ft2font import FT2Font

    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return set(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):  # a bitmap font, or none at all
        return set()
