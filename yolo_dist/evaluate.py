"""Evaluates a run: ``[mpiexec -n P] python -m yolo_dist.evaluate RUN_DIR_OR_SNAPSHOT``."""

from yolo_dist.command_line import Parser
from yolo_dist.config import load_config
from yolo_dist.datasets import fingerprint
from yolo_dist.distributed import communicator, launch
from yolo_dist.distributed.agreement import check_agreement
from yolo_dist.distributed.launch import fail_together
from yolo_dist.drawing import save_figure, tolerate_failure
from yolo_dist.environment import software
from yolo_dist.links import load_weights
from yolo_dist.runs.run_directory import find_weights, write_details, write_json
from yolo_dist.runs.snapshots import describe_npz
from yolo_dist.tasks import HELD_OUT, check_data, get_task
from yolo_dist.whole_files import check_writable


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.evaluate', description=(
        'Prints top-1 and top-5 of a classifier, or mAP and the AP of each class of a '
        'detector, on the held-out set of its experiment, and leaves them in evaluation.json '
        'in the run directory, with the numbers and pictures behind them in evaluation/. Any '
        'number of processes gives the same result.'))
    parser.add_argument('run', metavar='RUN_DIR_OR_SNAPSHOT', help=(
        'a run directory (its weights_final.npz, else its latest snapshot is taken), or a '
        'weights or snapshot file inside one'))
    parser.add_argument('--set', metavar='KEY=VALUE', action='append', default=[], help=(
        'change one key of data, such as --set data.evaluation.input_size_px=416'))
    parser.add_argument('--json', metavar='FILE', help='also write the numbers to FILE')
    arguments = parser.parse_args(argv)
    for override in arguments.set:
        if not override.startswith('data.'):
            parser.error(f'--set {override}: only keys of data have an effect on an evaluation')
    return arguments


def main(argv=None):
    """Evaluate a run; the same code in every process.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Returns:
        int: 0.
    """
    with fail_together():
        arguments = parse_arguments(argv)
        weights, directory = find_weights(arguments.run)
        config = load_config(directory / 'config.yaml', overrides=arguments.set)
        name = communicator.check_communicator('auto')
        if arguments.json is not None and launch.process_number() == 0:
            check_writable(arguments.json)
    check_agreement({**software(), 'weights': describe_npz(weights),
                     'communicator of this host': name})
    comm = communicator.create_communicator('auto')
    device = communicator.choose_device(comm)
    with fail_together():
        task = get_task(config)
        val = task.load_held_out(config)
    # With bad examples to be left out, all must be known before any is read.
    skips = config.data.on_bad_example == 'skip'
    data_check = check_data({HELD_OUT: val}, comm, decodes=skips)
    with fail_together():
        val, = data_check.settle(config, {HELD_OUT: val}, directory, writes=comm.rank == 0)
        model = task.build_model(config)
        load_weights(model, weights)
    check_agreement({'held-out set': fingerprint(val)})
    model.to_device(device)
    metrics, results = task.evaluate(config, model, val, comm, device)
    if comm.rank == 0:
        for line in data_check.lines:
            print(line)
        print(f'{weights}: {config.model.name}, {metrics["n_images"]:,} images, '
              f'{config.data.evaluation.input_size_px} px')
        print(task.format_metrics(metrics), flush=True)
        report = {'weights': weights.name, 'overrides': arguments.set,
                  'n_processes': comm.size, **metrics}
        for path in filter(None, (arguments.json, directory / 'evaluation.json')):
            write_json(path, report)
        folder = directory / 'evaluation'
        details = write_details(folder, task.create_details(val, results)
                                | task.extra_details(results))
        print(task.format_details(details), flush=True)
        for name, draw in task.figures(val, results, details).items():
            with tolerate_failure(folder / f'{name}.png'):
                save_figure(draw(), folder, name)
        print(f'pictures: {folder}', flush=True)
    return 0


if __name__ == '__main__':
    launch.run_job(main)
