"""MPI from its start to the end of the job, in the required order.

MPI is started only here. A *process* is an MPI rank. A *worker* is one of the paper's k GPUs
with its own minibatch.
"""

import contextlib
import multiprocessing
import os
import platform
import select
import signal
import sys
import tempfile
import threading
import traceback
from multiprocessing import forkserver

import tqdm

from yolo_dist.distributed.shared_memory import remove_left_overs, start_without_shared_memory
from yolo_dist.distributed.stop_request import STOP_SIGNALS, StopRequest
from yolo_dist.errors import InputError, ProcessLost, describe_fault
from yolo_dist.kernels.cpu.threads import limit_threads
from yolo_dist.utf8 import use_utf8

_MAX_SOCKET_PATH_BYTES = 107
_SOCKET_NAME_BYTES = 40  # multiprocessing adds /pymp-xxxxxxxx/listener-xxxxxxxx; 8 are reserve

_ABORT_SECONDS = 10

# The stop request of this process.
stop_request = StopRequest()


class SharedInputError(InputError):
    """An input error that is raised in every process of the job."""


def _start_forkserver():
    # Loader processes must descend from a process that has never touched MPI or
    # CUDA: InfiniBand drivers and NCCL do not survive a fork.
    multiprocessing.set_start_method('forkserver', force=True)
    # The default lock of a progress bar is a semaphore then. It would stay in /dev/shm when the
    # whole job is killed.
    tqdm.tqdm.set_lock(threading.RLock())
    _shorten_socket_paths()
    # A signal that asks the job to stop may reach all of its processes. Processes that are started
    # here ignore it. They finish their requests and end with their parent.
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    forkserver.ensure_running()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _shorten_socket_paths():
    """Put sockets into /tmp if TMPDIR is long: the system accepts paths of at most 107 bytes."""
    from multiprocessing import util
    chosen = tempfile.gettempdir()
    if len(os.fsencode(chosen)) + _SOCKET_NAME_BYTES > _MAX_SOCKET_PATH_BYTES:
        tempfile.tempdir = '/tmp'
        util.get_temp_dir()  # multiprocessing keeps this value
        tempfile.tempdir = chosen


def run_job(main):
    """Run the ``main`` of an entry point in every process of an MPI job.

    An :class:`InputError` is printed once and ends the job with status 2. Any
    other exception is printed by the process in which it happened. This process then
    aborts the whole job, and no process is left waiting for a dead one. For a
    :class:`ProcessLost` only the message is printed. A signal ends the job with status
    75, see :class:`~yolo_dist.distributed.stop_request.StopRequest`.

    Args:
        main (callable): Called without arguments.
    """
    use_utf8()
    # Open MPI does not start without HOME.
    os.environ.setdefault('HOME', tempfile.gettempdir())
    _start_forkserver()
    stop_request.listen()
    start_without_shared_memory()
    from mpi4py import MPI
    world = MPI.COMM_WORLD
    _share_cores(world)
    try:
        status = main()
    except SharedInputError as error:
        if world.rank == 0:
            print(f'error: {error}', file=sys.stderr, flush=True)
        status = 2
    except (InputError, OSError) as error:
        text = describe_fault(error) if isinstance(error, OSError) else error
        if text is None:
            traceback.print_exc()
            _abort(world, 1)
        where = f' (process {world.rank} on {platform.node()})' if world.size > 1 else ''
        _say(f'error{where}: {text}')
        _abort(world, 2)
    except ProcessLost as error:
        _say(f'error (process {world.rank} of {world.size} on {platform.node()}): {error}')
        _abort(world, 1)
    except SystemExit as error:
        status = error.code
    except BaseException:
        _say(traceback.format_exc().rstrip())
        if world.size > 1:
            _say(f'process {world.rank} of {world.size} failed; ending the job')
        _abort(world, 1)
    stop_request.ignore()
    sys.exit(status)


def _say(text):
    # If mpiexec was killed, the output has no reader.
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _abort(world, status):
    if world.size > 1:
        # MPI may wait for ever if its daemon is gone.
        end = threading.Timer(_ABORT_SECONDS, os._exit, (status,))
        end.daemon = True
        end.start()
        world.Abort(status)
    os._exit(status)


def _share_cores(world):
    # Otherwise each library of each process starts as many threads as the node has cores.
    from mpi4py import MPI
    node = world.Split_type(MPI.COMM_TYPE_SHARED)
    cores = set().union(*node.allgather(os.sched_getaffinity(0)))
    limit_threads(max(1, len(cores) // node.size))
    if node.rank == 0:
        remove_left_overs()
    node.Free()


@contextlib.contextmanager
def fail_together():
    """Part of the set-up that succeeds in all processes or fails in all.

    If any process raises :class:`InputError`, all of them raise it at the end of the block.
    The block must contain no collective call: a process that has left the block would leave the
    others waiting for ever. A communicator is checked inside (``check_communicator``) and created
    outside.

    Raises:
        InputError: With each distinct message of all processes, once.
    """
    from mpi4py import MPI
    message = None
    try:
        yield
    except InputError as error:
        message = str(error)
    found = MPI.COMM_WORLD.allgather((message, platform.node()))
    distinct = {text: host for text, host in reversed(found) if text is not None}
    if distinct:
        # A message that the root does not have is shown with a host that has it.
        raise SharedInputError('\n'.join(
            text if text == found[0][0] else f'{text} (on {host})'
            for text, host in reversed(distinct.items())))


def tell_all(value):
    """Return the root's value, in every process. Collective.

    Args:
        value: The value; the root's value must be picklable, the others are ignored.

    Returns:
        The root's value.
    """
    from mpi4py import MPI
    return MPI.COMM_WORLD.bcast(value)


def is_heard():
    """Whether the output of this process still has a reader. Without mpiexec it has none."""
    poll = select.poll()
    poll.register(1, 0)  # errors and hang-ups are always reported
    return not poll.poll(0)


def process_number():
    """Rank of this process in the job."""
    from mpi4py import MPI
    return MPI.COMM_WORLD.rank


def n_processes():
    """Return the number of processes of the job, P."""
    from mpi4py import MPI
    return MPI.COMM_WORLD.size
