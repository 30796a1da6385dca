"""What the private schedulers share: ports, waiting, and the end of what was started."""

import contextlib
import socket
import subprocess
import time


def free_ports(n):
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(('127.0.0.1', 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until(is_true, *, seconds, what, every=0.2):
    """Waits for an answer that is true and returns it; fails with ``what`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not (answer := is_true()):
        assert time.monotonic() < end, f'{what}: not within {seconds} s'
        time.sleep(every)
    return answer


def end(daemons):
    """Ends processes, those that were started last first; nothing of theirs is kept."""
    for daemon in reversed(daemons):
        daemon.terminate()
        try:
            daemon.wait(2)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
