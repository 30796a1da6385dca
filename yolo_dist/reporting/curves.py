from matplotlib.figure import Figure

_PANELS = (
    ('training loss', ('train/loss',)),
    ('accuracy on the held-out set [%]', ('val/top1_accuracy_percent', 'val/map_percent')),
    ('learning rate', ('lr',)),
)


def draw_curves(logs, path):
    """Draws loss, held-out metric and learning rate over epochs.

    Args:
        logs (dict): ``{name: entries of log.json}``, one line a name.
        path (str): PNG file to write.
    """
    figure = Figure(figsize=(12, 3.6), layout='constrained')
    for axes, (title, keys) in zip(figure.subplots(1, len(_PANELS)), _PANELS):
        for name, log in logs.items():
            points = [(entry['epoch_detail'], entry[key]) for entry in log for key in keys
                      if entry.get(key) is not None]
            if points:
                marker = 'o' if 'held-out' in title else None
                axes.plot(*zip(*points), label=name, marker=marker, markersize=3)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel('epoch')
        axes.grid(alpha=0.3)
        if not axes.lines:
            axes.text(0.5, 0.5, 'nothing logged yet', ha='center', transform=axes.transAxes)
        elif 'held-out' in title:
            axes.set_ylim(0, 100)
        else:
            axes.set_ylim(bottom=0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc='outside lower center', ncols=min(4, len(labels)),
                      fontsize=9, frameon=False)
    figure.savefig(path, dpi=110, format='png')
