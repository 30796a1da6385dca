"""A run in a few lines, for ``--plan`` and for the start of a log."""

from yolo_dist.training.schedules import create_schedule

_LABEL_WIDTH = 15


def describe_run(config, *, n_train, n_val, data_source, n_iterations, n_processes):
    """Describe a run before it starts.

    Args:
        config (~yolo_dist.config.RunConfig): The run.
        n_train (int): Training images.
        n_val (int): Held-out images.
        data_source (str): The source of the two numbers, in words.
        n_iterations (int): Updates in all.
        n_processes (int): P.

    Returns:
        list of (str, str): A label and its text, one for each line.
    """
    data, schedule = config.data, create_schedule(config)
    rates = list(schedule.table())
    remark = ''
    if schedule.warmup != 'none':
        if schedule.scaled_lr <= config.optimizer.base_lr:
            remark = ' (no effect: scaled is not above eta)'
        elif schedule.warmup_epochs >= schedule.epochs:
            remark = ' (longer than the run)'
    n_frozen = config.schedule.frozen_backbone_epochs
    frozen = f', backbone frozen for {n_frozen:g} epochs' if n_frozen else ''
    paper = [] if config.paper is None else [('paper', config.paper.source)]
    return [
        ('run', f'{config.name}: {config.model.name}, width {config.model.width:g}, '
                f'{config.task} of {config.model.n_class} '
                f'class{"es" if config.model.n_class != 1 else ""}'),
        *paper,
        ('data', f'{n_train:,} training and {n_val:,} held-out images ({data_source}), input '
                 f'{data.input_size_px} px'),
        ('workers', f'k = {config.workers} on {n_processes} processes, '
                    f'{config.workers / n_processes:g} each, all-reduce in '
                    f'{config.communicator.allreduce_grad_dtype}'),
        ('batch', f'k n = {config.workers} x {data.batch_size_per_worker} = '
                  f'{config.global_batch_size:,} images, '
                  f'{100 * config.global_batch_size / n_train:.2f} % of the training set'),
        ('iterations', f'{n_iterations:,} in {config.schedule.epochs:g} epochs'),
        ('eta', f'{config.optimizer.base_lr:g}, rule {config.optimizer.lr_rule}, scaled '
                f'{schedule.scaled_lr:g}, warm-up {schedule.warmup}{remark}, '
                f'{config.schedule.decay.kind} decay{frozen}'),
        ('epoch', ''.join(f'{epoch:>10.4g}' for epoch, _ in rates)),
        ('learning rate', ''.join(f'{rate:>10.4g}' for _, rate in rates)),
    ]


def format_lines(lines):
    """Put labelled lines into columns.

    Args:
        lines (list of (str, str)): The result of :func:`describe_run`.

    Returns:
        str: One line for each.
    """
    return '\n'.join(f'{label:<{_LABEL_WIDTH}}{text}' for label, text in lines)
