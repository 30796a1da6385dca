"""The experiment file: load, override, expand a row of a sweep, validate, dump.

Two shapes of file exist. A *run* has all sections of :class:`RunConfig`. A
*sweep* names a ``base`` run and has one entry in ``runs`` for each row of the
paper's table: the dotted differences under ``set`` and the values that the paper
reports under ``paper``. No key has a default: what a file does not say, it is
asked for.
"""

import difflib
import pathlib
from typing import Annotated, Literal, Union

import pydantic
import yaml

from yolo_dist.errors import InputError


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra='forbid', strict=True, frozen=True)


Count = Annotated[int, pydantic.Field(ge=1)]
Positive = Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]
Text = Annotated[str, pydantic.Field(min_length=1)]


def _multiple_of_32(size):
    if size < 32 or size % 32:
        below = max(32, size // 32 * 32)
        raise ValueError(f'expected a multiple of 32, such as {below} or {below + 32}')
    return size


InputSize = Annotated[int, pydantic.AfterValidator(_multiple_of_32)]


class Paper(Section):
    """What is reproduced.

    ``reported`` maps our metric names to the paper's values (empty where it
    printed none); ``assumptions`` lists the reading of each point it leaves open.
    """

    source: Text
    reported: dict[str, float]
    assumptions: list[Text]


class CommunicatorConfig(Section):
    """``auto`` is ``pure_nccl`` on a GPU and ``naive`` on a CPU."""

    name: Literal['auto', 'naive', 'pure_nccl']
    allreduce_grad_dtype: Literal['float16', 'float32']


class ClassificationAugmentation(Section):
    min_crop_px: Count
    max_crop_px: Count
    aspect_ratio: Fraction
    angle_degrees: NonNegative
    hue: Fraction
    saturation: Positive
    exposure: Positive
    flip: bool


class DetectionAugmentation(Section):
    jitter_kind: Literal['place', 'crop']
    jitter: Fraction
    hue: Fraction
    saturation: Positive
    exposure: Positive
    flip: bool


class ClassificationEvaluation(Section):
    input_size_px: InputSize
    batch_size: Count


class DetectionEvaluation(Section):
    input_size_px: InputSize
    batch_size: Count
    use_07_metric: bool
    score_thresh: Fraction
    nms_thresh: Fraction


class ClassificationData(Section):
    root: Text
    train: Text
    val: Text
    input_size_px: InputSize
    batch_size_per_worker: Count
    n_loader_processes: Annotated[int, pydantic.Field(ge=0)]
    augmentation: ClassificationAugmentation
    evaluation: ClassificationEvaluation


class MultiScale(Section):
    """Sizes that the network input is drawn from, the same for all workers."""

    sizes_px: Annotated[list[InputSize], pydantic.Field(min_length=1)]
    every_iterations: Count
    final_iterations: Annotated[int, pydantic.Field(ge=0)]


class DetectionData(Section):
    root: Text
    train: Annotated[list[Text], pydantic.Field(min_length=1)]
    val: Annotated[list[Text], pydantic.Field(min_length=1)]
    class_names: list[Text] | None
    input_size_px: InputSize
    multi_scale: MultiScale | None
    batch_size_per_worker: Count
    n_loader_processes: Annotated[int, pydantic.Field(ge=0)]
    augmentation: DetectionAugmentation
    evaluation: DetectionEvaluation


class ClassificationModel(Section):
    name: Literal['darknet19', 'darknet53']
    n_class: Count
    width: Positive
    bn_decay: Fraction
    pretrained: Text | None


class DetectionModel(Section):
    name: Literal['yolo_v2', 'yolo_v3']
    n_class: Count
    width: Positive
    bn_decay: Fraction
    pretrained: Text | None
    anchors: list | None
    loss_norm: Literal['image', 'positive', 'cell']
    ignore_thresh: Fraction
    prior_images: Annotated[int, pydantic.Field(ge=0)]


class OptimizerConfig(Section):
    base_lr: Positive
    lr_rule: Literal['goyal', 'literal', 'darknet']
    base_lr_batch_size: Count | None
    momentum: Fraction
    weight_decay: NonNegative
    weight_decay_on: Literal['conv_weights', 'all']

    @pydantic.model_validator(mode='after')
    def _base_lr_batch_size_belongs_to_goyal(self):
        if (self.lr_rule == 'goyal') != (self.base_lr_batch_size is not None):
            raise ValueError(
                'base_lr_batch_size is the batch that base_lr belongs to under lr_rule goyal; '
                'give it there, and null under literal and darknet')
        return self


class Polynomial(Section):
    kind: Literal['polynomial']
    power: Positive


class Step(Section):
    kind: Literal['step']
    at_epochs: list[Positive]
    factor: Positive


class Constant(Section):
    kind: Literal['constant']


class ScheduleConfig(Section):
    epochs: Positive
    warmup: Literal['paper', 'goyal', 'none']
    warmup_epochs: NonNegative
    decay: Annotated[Union[Polynomial, Step, Constant], pydantic.Field(discriminator='kind')]

    @pydantic.model_validator(mode='after')
    def _warmup_has_room(self):
        least = {'paper': 1, 'goyal': 0, 'none': None}[self.warmup]
        if least is None and self.warmup_epochs:
            raise ValueError(f'warmup none goes with warmup_epochs 0, found {self.warmup_epochs}')
        if least is not None and self.warmup_epochs <= least:
            raise ValueError(f'warmup {self.warmup} needs warmup_epochs above {least}, '
                             f'found {self.warmup_epochs}')
        return self


class Run(Section):
    """``stop_after_epochs`` ends a sitting early; ``--resume`` goes on from there."""

    seed: Annotated[int, pydantic.Field(ge=0)]
    log_every_iterations: Count
    evaluate_every_epochs: Positive
    snapshot_every_epochs: Positive
    keep_snapshots: Count
    stop_after_epochs: Positive | None


class RunConfig(Section):
    """One training run. ``workers`` is the paper's number of GPUs, k."""

    name: Text
    task: str
    workers: Count
    paper: Paper
    communicator: CommunicatorConfig
    data: Section
    model: Section
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    run: Run

    @property
    def global_batch_size(self):
        """``k n``, images."""
        return self.workers * self.data.batch_size_per_worker


class ClassificationRun(RunConfig):
    task: Literal['classification']
    data: ClassificationData
    model: ClassificationModel


class DetectionRun(RunConfig):
    task: Literal['detection']
    data: DetectionData
    model: DetectionModel


_RUN_CLASSES = {'classification': ClassificationRun, 'detection': DetectionRun}


class SweepRow(Section):
    set: dict[str, object]
    paper: dict[str, float]


class Sweep(Section):
    name: Text
    base: Text
    paper: Paper
    runs: Annotated[dict[str, SweepRow], pydantic.Field(min_length=1)]


class _Loader(yaml.SafeLoader):
    """Safe loading that refuses a key given twice instead of keeping the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f'key {key!r} stands twice', node.start_mark)
        return super().construct_mapping(node, deep)


def _read(path):
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding='utf-8')
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror}); '
                         'expected an experiment file, such as those under experiments/') from None
    except UnicodeDecodeError:
        raise InputError(f'{path}: is not a text file; expected YAML') from None
    return _parse(text, path)


def _parse(text, path):
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f'{path}: is not YAML: {error}') from None
    if not isinstance(content, dict):
        raise InputError(f'{path}: holds no mapping of sections; expected an experiment file')
    return content


def _describe(value):
    if isinstance(value, dict):
        return 'a mapping'
    if isinstance(value, list):
        return 'a list'
    return repr(value)


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _explain(error, section_class):
    """One line for one of pydantic's errors."""
    # A discriminated union puts its tag into the path; a user's file has no such level.
    location = [part for position, part in enumerate(error['loc'])
                if not (position and error['loc'][position - 1] == 'decay'
                        and part in ('polynomial', 'step', 'constant'))]
    dotted = '.'.join(str(part) for part in location) or 'the file'
    kind, found = error['type'], error['input']
    if kind == 'missing':
        return f'{dotted}: is missing; every key must be given'
    if kind == 'extra_forbidden':
        known = _known_keys(section_class, location[:-1])
        close = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f'; did you mean {close[0]}?' if close else f'; known here: {", ".join(known)}'
        return f'{dotted}: is not a known key{hint}'
    if isinstance(found, str) and 'str' not in kind and _is_number(found):
        return (f'{dotted}: found {found!r}, which YAML reads as text; '
                f'write a number with a point, such as {_with_point(found)}')
    expected = error['msg'].removeprefix('Value error, ')
    expected = expected.replace('Input should be', 'expected').replace('a valid ', 'a ')
    expected = expected.replace('a integer', 'an integer')
    if kind.startswith('union_tag'):
        tags = error.get('ctx', {}).get('expected_tags', "'polynomial', 'step', 'constant'")
        found = found.get('kind') if isinstance(found, dict) else found
        return f'{dotted}.kind: found {_describe(found)}; expected one of {tags}'
    if kind == 'value_error' and isinstance(found, dict):
        return f'{dotted}: {expected}'
    return f'{dotted}: found {_describe(found)}; {expected}'


def _with_point(text):
    mantissa, _, exponent = text.lower().partition('e')
    mantissa = mantissa if '.' in mantissa else mantissa + '.0'
    if not exponent:
        return mantissa
    return f'{mantissa}e{exponent if exponent[0] in "+-" else "+" + exponent}'


def _known_keys(section_class, location):
    for part in location:
        field = getattr(section_class, 'model_fields', {}).get(part)
        if field is None:
            return []
        section_class = field.annotation
        options = [option for option in getattr(section_class, '__args__', ())
                   if hasattr(option, 'model_fields')]
        section_class = options[0] if options else section_class
    return list(getattr(section_class, 'model_fields', {}))


def _validate(section_class, content, path):
    try:
        return section_class.model_validate(content)
    except pydantic.ValidationError as error:
        problems = [_explain(one, section_class) for one in error.errors()]
        raise InputError('\n'.join(f'{path}: {problem}' for problem in problems)) from None


def _set(content, dotted, value, source):
    *parents, last = dotted.split('.')
    place = content
    for depth, key in enumerate(parents):
        place = place.get(key) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise InputError(f'{source}: {dotted}: there is no section '
                             f'{".".join(parents[:depth + 1])}')
    if last not in place:
        close = difflib.get_close_matches(last, place, n=1)
        hint = f'did you mean {".".join([*parents, close[0]])}?' if close else \
            f'known here: {", ".join(map(str, place))}'
        raise InputError(f'{source}: {dotted}: is not a known key; {hint}')
    place[last] = value


def _parse_override(text):
    dotted, equals, value = text.partition('=')
    if not equals or not dotted:
        raise InputError(f'--set {text}: expected key=value, such as --set schedule.epochs=2')
    try:
        return dotted, yaml.load(value, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f'--set {text}: the value is not YAML: {error}') from None


def rows(path):
    """Names of the rows of a sweep; empty for a run.

    Args:
        path (str): An experiment file.

    Returns:
        list of str: The keys of ``runs``, in the order of the file.

    Raises:
        InputError: If the file cannot be read or is not valid.
    """
    content = _read(path)
    return list(_validate(Sweep, content, path).runs) if 'base' in content else []


def load_config(path, *, row=None, overrides=(), results='results'):
    """Loads one run.

    Args:
        path (str): An experiment file, or the ``config.yaml`` of a run directory.
        row (str): Row of a sweep; ``None`` for a run.
        overrides (iterable of str): ``dotted.key=value``, the value in YAML.
        results (str): What ``{results}`` in ``model.pretrained`` stands for: the
            folder of all result directories.

    Returns:
        RunConfig: The validated run; of a sweep's row, named ``sweep/row``.

    Raises:
        InputError: Naming each dotted path that is unknown, missing or of a wrong
            type.
    """
    content = _read(path)
    if 'base' in content:
        content = _expand(content, path, row)
    elif row is not None:
        raise InputError(f'--run {row}: {path} is a single run and has no rows; leave --run out')
    for text in overrides:
        _set(content, *_parse_override(text), f'--set {text}')
    task = content.get('task')
    if task not in _RUN_CLASSES:
        raise InputError(f'{path}: task: found {_describe(task)}; expected classification '
                         'or detection')
    config = _validate(_RUN_CLASSES[task], content, path)
    if config.model.pretrained is None:
        return config
    pretrained = config.model.pretrained.replace('{results}', str(results))
    return config.model_copy(
        update={'model': config.model.model_copy(update={'pretrained': pretrained})})


def _expand(content, path, row):
    sweep = _validate(Sweep, content, path)
    if row not in sweep.runs:
        found = 'it is a sweep: choose a row with --run' if row is None else f'no row {row}'
        raise InputError(f'{path}: {found}; rows: {", ".join(sweep.runs)}')
    base_path = pathlib.Path(path).parent / sweep.base
    base = _read(base_path)
    if 'base' in base:
        raise InputError(f'{path}: base: {base_path} is itself a sweep; expected a run')
    base['name'] = f'{sweep.name}/{row}'
    base['paper'] = sweep.paper.model_dump() | {'reported': sweep.runs[row].paper}
    for dotted, value in sweep.runs[row].set.items():
        _set(base, dotted, value, f'{path}: runs.{row}.set')
    return base


def dump_config(config):
    """The run as YAML that :func:`load_config` reads back to an equal run.

    Args:
        config (RunConfig): A run.

    Returns:
        str: YAML, sections in their fixed order.
    """
    return yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True, width=100)


def differences(config, other):
    """Dotted keys in which two runs differ.

    Args:
        config (RunConfig): A run.
        other (RunConfig): Another.

    Returns:
        dict: ``{dotted key: (value in config, value in other)}``.
    """
    def flatten(value, prefix=''):
        if not isinstance(value, dict):
            return {prefix: value}
        return {dotted: leaf for key, child in value.items()
                for dotted, leaf in flatten(child, f'{prefix}.{key}'.lstrip('.')).items()}
    ours, theirs = flatten(config.model_dump()), flatten(other.model_dump())
    return {key: (ours.get(key), theirs.get(key))
            for key in ours | theirs if ours.get(key) != theirs.get(key)}
