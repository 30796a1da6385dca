"""The layers of a network, as Darknet prints them."""
from yolo_dist.inspection.table import format_table
from yolo_dist.links import count_activations, list_layers
from yolo_dist.tasks import get_task


def describe_model(config):
    """Describe the network of an experiment at its input size.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.

    Returns:
        str: A row for each convolution: input and output as channels x height x width, stride of
        the output in input pixels, parameters, operations of one image, bytes of the output; then
        the sums.

    Raises:
        InputError: If the network cannot be built.
    """
    size = config.data.input_size_px
    task = get_task(config)
    # Counted in float32, whose arithmetic a CPU is quick at.
    config, _ = task.resolve(config, None)
    model = task.build_model(config)
    layers = list_layers(model, input_size=size)
    rows = [['layer', '', 'input', 'output', 'stride', 'parameters', 'BFLOPs', 'MiB']]
    rows += [[layer.name, layer.kind, _shape(layer.in_shape), _shape(layer.out_shape),
              size // layer.out_shape[1], layer.n_parameters, f'{layer.n_operations / 1e9:.3f}',
              f'{4 * _n_values(layer.out_shape) / 2 ** 20:.2f}'] for layer in layers]
    activations = count_activations(model, input_size=size)
    n_parameters = model.count_params()
    return '\n'.join([
        *format_table(rows, n_left=2), '',
        f'{config.model.name}, width {config.model.width:g}, {config.model.n_class} classes, '
        f'input {size} px: {len(layers)} convolutions',
        f'parameters      {n_parameters:,} ({4 * n_parameters / 2 ** 20:,.1f} MiB in float32)',
        f'forward pass    {sum(layer.n_operations for layer in layers) / 1e9:.2f} BFLOPs an image '
        '(convolutions, 2 for each multiply-add)',
        f'memory          {activations.kept / 2 ** 20:,.1f} MiB an image, which training keeps '
        f'for the backward pass; largest feature map {activations.largest / 2 ** 20:,.1f} MiB',
        'memory of a run is in `python -m yolo_dist.train EXPERIMENT.yaml --plan`'])


def _shape(shape):
    return ' x '.join(map(str, shape))


def _n_values(shape):
    channels, height, width = shape
    return channels * height * width
