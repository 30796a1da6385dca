import numpy as np

_N_COLUMNS = 6
_LEAST_TILE_PX = 192
_CAPTION_PX = 22
_GAP_PX = 6
_CHARACTER_PX = 7
_DPI = 100


def draw_contact_sheet(examples, captions, class_names, path):
    """Draw training examples pixel by pixel, with their boxes and classes.

    Small pictures are enlarged by a whole factor, so that each pixel stays a square.

    Args:
        examples (list of tuple): At least one: ``img`` uint8 ``(3, S, S)`` of any sizes, ``bbox``
            float ``(R, 4)`` in its pixels, ``label`` int: one for each box, or one for the
            picture where there is no box.
        captions (list of str): What stands below each.
        class_names (sequence of str): Names of the labels.
        path (str or ~pathlib.Path): File to write, PNG or JPEG by its ending.
    """
    from matplotlib.colors import hsv_to_rgb
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    colors = hsv_to_rgb([(i / len(class_names), 1.0, 0.85) for i in range(len(class_names))])
    largest = max(img.shape[1] for img, _, _ in examples)
    tile = largest * -(-_LEAST_TILE_PX // largest)
    n_rows = -(-len(examples) // _N_COLUMNS)
    width = _N_COLUMNS * (tile + _GAP_PX) + _GAP_PX
    height = n_rows * (tile + _CAPTION_PX + _GAP_PX) + _GAP_PX
    sheet = np.full((height, width, 3), 255, np.uint8)
    # A tenth of a pixel more: Matplotlib rounds its size down.
    figure = Figure(figsize=((width + 0.1) / _DPI, (height + 0.1) / _DPI), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for number, ((img, bbox, label), caption) in enumerate(zip(examples, captions, strict=True)):
        row, column = divmod(number, _N_COLUMNS)
        top = _GAP_PX + row * (tile + _CAPTION_PX + _GAP_PX)
        left = _GAP_PX + column * (tile + _GAP_PX)
        factor = tile // img.shape[1]
        pixels = img.transpose(1, 2, 0).repeat(factor, axis=0).repeat(factor, axis=1)
        sheet[top:top + len(pixels), left:left + len(pixels)] = pixels
        if not len(bbox):
            caption = f'{", ".join(class_names[one] for one in label) or "no object"}: {caption}'
        axes.text(left, top + tile + _CAPTION_PX / 2, caption[:tile // _CHARACTER_PX], fontsize=8,
                  va='center', parse_math=False)
        for (y_min, x_min, y_max, x_max), one in zip(np.asarray(bbox) * factor, label):
            axes.add_patch(Rectangle(
                (left + x_min - 0.5, top + y_min - 0.5), x_max - x_min, y_max - y_min, fill=False,
                edgecolor=colors[one], linewidth=1.2))
            # Inside the top of the box, so that a box at the border keeps its name.
            axes.text(left + x_min + 1, top + y_min + 1, class_names[one], fontsize=6.5,
                      color='white', va='top', parse_math=False,
                      bbox={'facecolor': colors[one], 'edgecolor': 'none', 'pad': 0.8})
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    # As it is, below the axes; imshow would sample it anew.
    figure.figimage(sheet, origin='upper', zorder=-1)
    figure.savefig(path, dpi=_DPI)
