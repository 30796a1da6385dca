"""Tables as text."""


def format_table(rows, n_left=1):
    """Line the columns of a table up; the first to the left, the others to the right.

    Args:
        rows (list of sequence): Cells, strings or whole numbers; the first row is the head.
        n_left (int): How many of the columns hold words.

    Returns:
        list of str: One line a row.
    """
    rows = [[f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(cell.ljust(width) if i < n_left else cell.rjust(width)
                      for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
            for row in rows]
