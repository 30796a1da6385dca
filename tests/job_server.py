"""Runs commands one after the other in one start of MPI: ``job_server.py FOLDER``.

A process needs longer to start than a tiny run takes. Each process of this job reads its commands
from the pipe ``FOLDER/<rank>``, one line of JSON for each. It does not compute while it waits. It
writes the exit status of a command to ``FOLDER/<number>.<rank>``.
"""

import functools
import importlib
import json
import os
import pathlib
import sys


def run(module, argv, cwd, stdout, stderr):
    """Run one command as if it were alone; returns its exit status."""
    from yolo_dist.distributed import launch
    main = importlib.import_module(module).main
    sys.argv = [sys.modules[module].__file__, *argv]
    os.chdir(cwd)
    kept = [os.dup(number) for number in (1, 2)]
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    try:
        launch.run_job(functools.partial(main, argv))
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, original in zip((1, 2), kept):
            os.dup2(original, number)
            os.close(original)


def serve(folder):
    rank = os.environ['OMPI_COMM_WORLD_RANK']
    with open(folder / rank, encoding='utf-8') as commands:
        for line in commands:
            number, *command = json.loads(line)
            partial = folder / f'{number}.{rank}.partial'
            partial.write_text(str(run(*command)))
            partial.rename(folder / f'{number}.{rank}')


if __name__ == '__main__':
    serve(pathlib.Path(sys.argv[1]))
