# The launcher, which runs inside each job under every scheduler. A job script (written by
# jobs/submit.sh) sets the variables and functions that are used here, then sources this file.
#
# mpiexec starts training, which goes on from its latest snapshot. Shortly before the time of the
# job is over, training gets a warning. It then writes a snapshot and ends with status 75, and the
# job is queued again. The warning is SIGUSR1 to this shell. Slurm sends it (sbatch
# --signal=B:USR1@SECONDS). Under other schedulers the timer below sends it. Grid Engine's own
# warning, SIGUSR2 (qsub -notify), comes too late, because Grid Engine does not queue a job again
# whose time is over. SIGUSR2 is treated like SIGTERM, which cancels a job: training writes a
# snapshot if there is time, and the job ends.
#
# The state in status.json decides, not the status of mpiexec, which is 0 under Open MPI if the
# daemon of a host was killed. A run that ended without a final state is queued again like a run
# that was stopped. This happens if a process or a host was lost or the watchdog ended the run.
#
# A host that is gone sends no message, and neither does a host behind a cut link. Open MPI asks
# its daemons for a sign of life after a minute of silence, and ends the job if none comes in a
# second minute. The watchdog of training is not enough, because mpiexec waits 15 minutes for a
# host to which it has sent something.
#
# mpiexec of Open MPI forwards SIGUSR1 to all processes, but ends them at once on SIGTERM. It has a
# process group of its own. Signals for the job therefore reach it only through this shell.

cd "$work_directory" || exit 1
mkdir -p "$run_directory"
if [ "$scheduler" = local ]; then
    exec > >(tee --append --ignore-interrupts "$run_directory/job.log") 2>&1
else
    exec >>"$run_directory/job.log" 2>&1
fi
job=${SLURM_JOB_ID:-${PBS_JOBID:-${JOB_ID:-$$}}}
say() { echo "launch: $*"; }
how_to_go_on() { echo "to go on: jobs/submit.sh$(printf ' %q' "${submission[@]}")"; }
say "$(date '+%Y-%m-%dT%H:%M:%S%z'), job $job on $(uname -n), $n_nodes nodes," \
    "$n_processes processes"

export PRTE_MCA_oob_tcp_keepalive_time="${PRTE_MCA_oob_tcp_keepalive_time:-60}"
export PRTE_MCA_oob_tcp_keepalive_intvl="${PRTE_MCA_oob_tcp_keepalive_intvl:-10}"
export PRTE_MCA_oob_tcp_keepalive_probes="${PRTE_MCA_oob_tcp_keepalive_probes:-6}"

set -m
processes= timer= warned= cancelled=
tell_processes() { [ -z "$processes" ] || kill -USR1 "$processes" 2>/dev/null; }
trap 'warned=1; say "the time of the job is nearly over"; tell_processes' USR1
trap 'cancelled=1; say "told to end"; tell_processes' USR2 TERM INT
case $scheduler in pbs | uge)
    { sleep $((seconds - warning_seconds)); kill -USR1 $$; } &
    timer=$!
    trap 'kill -- "-$timer" 2>/dev/null' EXIT
esac

export HOME="${HOME:-${TMPDIR:-/tmp}}"  # mpiexec does not start without HOME
set_up

if [ -n "${staging_command:-}" ]; then
    target=$staging_directory/yolo_dist_data
    say "copying $data_root to $target on each node"
    start_once_per_node bash -c 'data_root=$1 target=$2
        [ ! -e "$target.complete" ] || exit 0
        rm -rf "$target" && mkdir -p "$target" || exit 1
        '"$staging_command"' && touch "$target.complete"' stage "$data_root" "$target" \
        </dev/null || { say "copying failed"; exit 1; }
    arguments+=(--set "data.root=$target")
fi

written() { stat --format '%i %y' "$run_directory/status.json" 2>/dev/null; }
# Print the state that this session wrote, or nothing if it wrote none.
state() {
    [ "$(written)" = "$written_before" ] ||
        sed -n 's/^ "state": "\(.*\)",$/\1/p' "$run_directory/status.json"
}
snapshots() { ls "$run_directory"/snapshot_iter_*.npz 2>/dev/null; }
before=$(snapshots)
written_before=$(written)
status=75
if [ -z "$warned$cancelled" ]; then
    start_processes python -m yolo_dist.train "${arguments[@]}" --resume </dev/null &
    processes=$!
    # A trapped signal ends `wait` early, with a status above 128.
    while wait "$processes"; [ $? -gt 128 ] && kill -0 "$processes" 2>/dev/null; do :; done
    wait "$processes"
    status=$?
    # The signal came before training could receive it.
    [ -n "$warned$cancelled" ] && [ "$status" -gt 128 ] && status=75
    ended_as=$(state)
    case $ended_as,$status in
        done,*) status=0 ;;
        diverged,*) status=3 ;;
        failed,0) status=1 ;;
        stopped,0 | *,75) ;;  # stopped,0: at run.stop_after_epochs
        running,* | stopped,*)
            say "mpiexec ended with status $status, but the run is $ended_as: not at its end"
            status=75 ;;
    esac
fi

if [ "$status" -ne 75 ]; then
    say "ended with status $status"
    exit "$status"
fi
if [ -n "$cancelled" ] || [ "$scheduler" = local ]; then
    say "stopped; $(how_to_go_on)"
    exit 75
fi
if [ "$before" = "$(snapshots)" ]; then
    say "stopped without a new snapshot, so not queued again: is the time limit too short?"
    exit 75
fi
say "stopped with a snapshot; queued again"
case $scheduler in
    slurm) scontrol requeue "$job" ;;
    uge) exit 99 ;;  # with this status Grid Engine queues the job again
    pbs) python -m yolo_dist.submit "${submission[@]}" ;;  # qrerun is only for operators
esac || { say "that failed; $(how_to_go_on)"; exit 75; }
