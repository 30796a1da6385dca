#!/usr/bin/env bash
# Submits an experiment to a scheduler; `jobs/submit.sh --help` lists the options.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=python
if [ -z "${VIRTUAL_ENV:-}" ] && [ -x "$repository/.venv/bin/python" ]; then
    python=$repository/.venv/bin/python
fi
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec "$python" -m yolo_dist.submit "$@"
