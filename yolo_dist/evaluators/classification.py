import chainer
import numpy as np

from yolo_dist.evaluators.shards import gather_in_order
from yolo_dist.kernels.cpu import fixed_weights
from yolo_dist.training.iterators import iterate_batches


def evaluate_classification(model, dataset, comm, *, batch_size, n_loader_processes, converter,
                            device):
    """Top-1 and top-5 accuracy over a whole set.

    Every process takes each P-th image; correct answers are counted, not
    averaged, so the result does not depend on P. Images are not kept. Collective.

    Args:
        model (chainer.Link): ``imgs -> (B, n_class)`` logits.
        dataset: Examples ``(img, label)``, already cropped.
        comm (chainermn.CommunicatorBase): The communicator.
        batch_size (int): Images a forward pass.
        n_loader_processes (int): Processes that read ahead; 0 reads in this one.
        converter (callable): ``converter(batch, device) -> (imgs, labels)``.
        device (chainer.backend.Device): Where to compute.

    Returns:
        tuple: In all processes a dict of ``top1_accuracy_percent``,
        ``top5_accuracy_percent`` (of at most five classes: 100), ``n_images``; at the root also
        ``(true label, predicted label, its probability)`` of each image, ``None`` in other
        processes.
    """
    counts = np.zeros(3, dtype=np.int64)
    results = []
    with fixed_weights(), chainer.using_config('train', False), chainer.no_backprop_mode():
        for batch in iterate_batches(dataset, batch_size, n_loader_processes,
                                     shard=comm.rank, n_shards=comm.size):
            imgs, labels = converter(batch, device)
            logits = chainer.backends.cuda.to_cpu(model(imgs).array).astype(np.float32)
            labels = chainer.backends.cuda.to_cpu(labels)
            of_label = logits[np.arange(len(labels)), labels][:, None]
            # Ties count against the model, as a stable order of equal scores would not,
            # and so does a logit that is not a number.
            rank = len(logits[0]) - (logits < of_label).sum(axis=1)
            counts += ((rank <= 1).sum(), (rank <= 5).sum(), len(labels))
            probability = 1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
            results += zip(labels.tolist(), logits.argmax(axis=1).tolist(), probability.tolist())
    top1, top5, n_images = comm.allreduce_obj(counts).tolist()
    metrics = {'top1_accuracy_percent': 100 * top1 / n_images,
               'top5_accuracy_percent': 100 * top5 / n_images, 'n_images': n_images}
    return metrics, gather_in_order(comm, results)
