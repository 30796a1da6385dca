"""What is wrong with the data of a run, found before training by all processes together."""
import collections
import pathlib
import time

from tqdm import tqdm

from yolo_dist.datasets import check_images, raise_problems

TRAINING, HELD_OUT = 'training set', 'held-out set'
LISTING = 'data_check.txt'  # in the run directory


class DataCheck:
    """What :func:`check_data` found; the same in every process.

    Args:
        datasets (dict): Name of each set to the set.
        findings (dict): See below.
        seconds (float): How long it took.

    Attributes:
        findings (dict): Name of each set to its list of
            :class:`~yolo_dist.datasets.Finding`, in the order of the examples.
        lines (list of str): What to say at the start of the run; empty where all is plain.
    """

    def __init__(self, datasets, findings, seconds):
        self.findings = findings
        self.lines = []
        n_images = sum(map(len, datasets.values()))
        for name, dataset in datasets.items():
            self.lines += [f'{name}: {note}' for note in dataset.notes]
            self.lines += [f'{name}: {text}' for text in _in_words(findings[name])]
        self.lines += _shared_images(datasets)
        if seconds >= 1:
            self.lines.append(f'looked at {n_images:,} images in {seconds:.0f} s')

    def bad(self, name):
        """Return the indices of the examples of a set that cannot be used.

        Args:
            name (str): Of the set.

        Returns:
            set of int: Which.
        """
        return {finding.index for finding in self.findings[name]
                if finding.kind == 'bad example'}

    def listing(self):
        """Return all that was found but the objects of classes left out, a line each."""
        return [f'{name}, {finding.kind}: {finding.message}'
                for name, findings in self.findings.items() for finding in findings
                if finding.kind != 'left out']

    def settle(self, config, datasets, directory, *, writes):
        """List what was found in the run directory; refuse bad examples, or leave them out.

        Args:
            config (~yolo_dist.config.RunConfig): The run.
            datasets (dict): Name of each set to the set, as they were checked.
            directory (~pathlib.Path): The run directory; ``None`` lists nothing.
            writes (bool): Whether this process writes the list.

        Returns:
            list: The sets. Of a training set nothing is left out here: another example stands
            for each bad one when its turn comes, so that epochs keep their length.

        Raises:
            InputError: If there are bad examples and ``data.on_bad_example`` is ``error``, or
                nothing else is in a set.
        """
        problems = [finding.message for findings in self.findings.values()
                    for finding in findings if finding.kind == 'bad example']
        listed = None if directory is None else pathlib.Path(directory) / LISTING
        if writes:
            listed = add_to_listing(listed, self.listing())
        n_bad = {name: len(self.bad(name)) for name in datasets}
        if config.data.on_bad_example == 'error' or any(
                n_bad[name] == len(dataset) for name, dataset in datasets.items()):
            raise_problems(problems, listed_in=listed, advice=(
                'mend or remove them, or leave them out by data.on_bad_example: skip'))
        for name, n in n_bad.items():
            if n:
                self.lines.append(f'{name}: {n:,} of {len(datasets[name]):,} examples cannot be '
                                  'read and are skipped')
        if listed is not None and self.listing():
            self.lines.append(f'all of them: {listed}')
        return [dataset.without(self.bad(name)) if n_bad[name] and name != TRAINING else dataset
                for name, dataset in datasets.items()]


def add_to_listing(path, lines):
    """Add lines to the list of what was found, each once.

    Args:
        path (~pathlib.Path): The list; its folder is made where it is not there.
        lines (list of str): What to add.

    Returns:
        ~pathlib.Path: ``path``; ``None`` where it cannot be written, which is no reason to end.
    """
    try:
        known = path.read_text(encoding='utf-8').splitlines() if path.exists() else []
        new = [line for line in dict.fromkeys(lines) if line not in set(known)]
        if new:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, 'a', encoding='utf-8', errors='backslashreplace') as file:
                file.writelines(f'{line}\n' for line in new)
    except OSError:
        return None
    return path


def add_skipped(path, message):
    """List a training example that could not be read when its turn came, in any process.

    Args:
        path (~pathlib.Path): The list.
        message (str): What is wrong with it.
    """
    add_to_listing(path, [f'{TRAINING}, bad example: {message}'])


def n_skipped(path):
    """Count the training examples that could not be read so far.

    Args:
        path (~pathlib.Path): The list.

    Returns:
        int: How many.
    """
    if not path.exists():
        return 0
    lines = path.read_text(encoding='utf-8').splitlines()
    return sum(line.startswith(f'{TRAINING}, bad example: ') for line in lines)


def check_data(datasets, comm=None, *, decodes=True):
    """Look at all examples before training: every header, and held-out images as a whole.

    Each process looks at a share of them. Collective where there is a communicator.

    Args:
        datasets (dict): ``TRAINING`` or ``HELD_OUT`` to the set.
        comm (chainermn.CommunicatorBase): The communicator; ``None`` without MPI.
        decodes (bool): Whether held-out images are decoded.

    Returns:
        DataCheck: What was found.
    """
    rank, size = (0, 1) if comm is None else (comm.rank, comm.size)
    began_at = time.perf_counter()
    findings = {}
    for name, dataset in datasets.items():
        shares = range(rank, len(dataset), size)
        with tqdm(desc=f'checking the {name}', total=len(shares), unit='image', delay=1,
                  leave=False, disable=None if rank == 0 else True) as progress:
            found = check_images(dataset, decode=decodes and name == HELD_OUT, indices=shares,
                                 progress=progress.update)
        everything = [found] if comm is None else comm.bcast_obj(comm.gather_obj(found))
        findings[name] = sorted((finding for part in everything for finding in part),
                                key=lambda finding: finding.index)
    return DataCheck(datasets, findings, time.perf_counter() - began_at)


_COUNTED = {
    'dropped box': '{:,} boxes that cannot be used are left out (data.invalid_boxes)',
    'from 0': '{:,} annotations count pixels from 0, but VOC counts from 1: their boxes are read '
              '1 px too far up and left',
    'file name': '{:,} annotations name another file in <filename> than the list does',
}


def _in_words(findings):
    """Lines that count what was found, but for bad examples."""
    kinds = collections.Counter(finding.kind for finding in findings)
    yield from (text.format(kinds[kind]) for kind, text in _COUNTED.items() if kinds[kind])
    if kinds['left out']:
        classes = collections.Counter(
            finding.message for finding in findings if finding.kind == 'left out')
        yield (f'{kinds["left out"]:,} objects of {len(classes)} classes are left out '
               f'(data.ignore_classes): ' + ', '.join(
                   f'{name} {n:,}' for name, n in classes.most_common(5))
               + (', ...' if len(classes) > 5 else ''))


def _shared_images(datasets):
    """Say whether held-out images are also training images."""
    if not {TRAINING, HELD_OUT} <= set(datasets) or datasets[TRAINING] is datasets[HELD_OUT]:
        return
    train, val = datasets[TRAINING], datasets[HELD_OUT]
    known = set(train.example_names())
    n_shared = sum(name in known for name in val.example_names())
    if n_shared:
        yield (f'{HELD_OUT}: {n_shared:,} of its {len(val):,} images are training images, too: '
               'what is measured on them says little of others')
