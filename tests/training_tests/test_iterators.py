"""Examples cross from loader processes to the training process through shared memory."""
import numpy as np
import pytest
from chainer.iterators import multiprocess_iterator

from yolo_dist.config import load_config
from yolo_dist.tasks import get_task
from yolo_dist.training.sampler import TrainingStream, create_input_size_schedule


@pytest.mark.parametrize('experiment, override', [
    ('imagenet_darknet53', 'data.input_size_px=224'),
    ('voc_yolo_v3', 'data.input_size_px=608'),
    ('voc_yolo_v3', 'data.multi_scale={sizes_px: [320, 608], every_iterations: 1, '
                    'final_iterations: 1}')])
def test_no_array_of_an_example_is_pickled(experiment, override):
    """The memory that the stream asks for takes every array, as planes of bytes."""
    config = load_config(f'experiments/{experiment}.yaml', overrides=[
        'data.n_synthetic_examples=8', override])
    task = get_task(config)
    train, _ = task.load_datasets(config)
    stream = TrainingStream(
        train, task.create_transform(config), seed=0, workers=[0], n_workers=1,
        batch_size_per_worker=4, n_iterations=4,
        input_size=create_input_size_schedule(config, 4))
    for i in range(len(stream)):
        example = stream[i]
        assert example[0].dtype == np.uint8 and example[0].flags.c_contiguous
        memory = bytearray(stream.example_bytes)
        packed = multiprocess_iterator._pack(example, memory, 0, len(memory))
        assert not any(isinstance(value, np.ndarray) for value in packed)
        for value, same in zip(multiprocess_iterator._unpack(packed, memory), example,
                               strict=True):
            np.testing.assert_array_equal(value, same)
    # Negative control: half of it is not enough.
    with pytest.warns(UserWarning, match='too small'):
        packed = multiprocess_iterator._pack(example, memory, 0, len(memory) // 2)
    assert isinstance(packed[0], np.ndarray)
