"""What a run is about to do, in a few lines for its log."""


def summarize(config, schedule, *, device, communicator_name, n_processes, n_train, n_val,
              n_iterations):
    """Describe a run before it starts.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.
        schedule (~yolo_dist.training.schedules.Schedule): Its learning rate.
        device (str): Where the root computes.
        communicator_name (str): ChainerMN's name of the communicator.
        n_processes (int): P.
        n_train (int): Training images.
        n_val (int): Held-out images.
        n_iterations (int): Length of the run.

    Returns:
        str: Several lines.
    """
    optimizer, data = config.optimizer, config.data
    lines = [
        f'{config.name}: {config.model.name}, width {config.model.width:g}, '
        f'{config.task} of {config.model.n_class} classes',
        f'reproduces: {config.paper.source}',
        f'data: {n_train:,} training and {n_val:,} held-out images of {data.root}; '
        f'input {data.input_size_px} px',
        f'workers k = {config.workers} on {n_processes} processes, device {device}, '
        f'communicator {communicator_name}, '
        f'all-reduce in {config.communicator.allreduce_grad_dtype}',
        f'batch k n = {config.workers} x {data.batch_size_per_worker} = '
        f'{config.global_batch_size} images, {100 * config.global_batch_size / n_train:.2f} % of '
        f'the training set; {n_iterations:,} iterations in {config.schedule.epochs:g} epochs',
        f'learning rate: eta = {optimizer.base_lr:g}, rule {optimizer.lr_rule}, '
        f'scaled {schedule.scaled_lr:g}; warm-up {schedule.warmup}; '
        f'{config.schedule.decay.kind} decay',
        '  epoch  ' + ''.join(f'{epoch:>10.4g}' for epoch, _ in schedule.table()),
        '  rate   ' + ''.join(f'{rate:>10.4g}' for _, rate in schedule.table()),
    ]
    return '\n'.join(lines)
