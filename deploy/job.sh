# shellcheck shell=bash
# The body of a batch job; tilestyle.sbatch, .pbs and .bsub source it in the project's folder:
#
#   launch=(srun)                             runs a command once on every slot of the job
#   run_job CONTENT STYLE OUTPUT [OPTION...]  as of `tilestyle run`; sets `code` to its exit code
#
# The scheduler runs beside it, in the batch step; all talk TLS with certificates of this job, in a
# folder that goes with it. SIGTERM lets the tasks that run come to their end; then `code` is 75.

export PATH=${TILESTYLE_BIN:-$PWD/.venv/bin}:$PATH
launch=()
# the network between the machines, such as ib0; empty: that of the machine's own name
interface=${TILESTYLE_INTERFACE:+--interface $TILESTYLE_INTERFACE}

run_job() {
  local content=$1 style=$2 output=$3
  shift 3
  # on the file system that all machines share; mktemp keeps others out
  local place=$PWD/.tilestyle-job.${SLURM_JOB_ID:-${PBS_JOBID:-${LSB_JOBID:-}}}
  rm -rf "$place".* # a job that was killed has left one, with keys that nobody takes any more
  folder=$(mktemp -d "$place.XXXXXX")
  trap 'stop_job; rm -rf "$folder"' EXIT
  tilestyle cluster cert --output "$folder/dask" > "$folder/log"
  cp deploy/dask.yaml "$folder/dask/"
  export DASK_CONFIG=$folder/dask
  printf 'export %s=%q\n' PATH "$PATH" DASK_CONFIG "$DASK_CONFIG" > "$folder/environment"

  # shellcheck disable=SC2086
  dask scheduler --protocol tls --port 0 --scheduler-file "$folder/scheduler.json" \
    --dashboard-address 127.0.0.1:0 $interface >> "$folder/log" 2>&1 &
  scheduler=$!
  until [ -s "$folder/scheduler.json" ]; do
    kill -0 "$scheduler" || { cat "$folder/log"; return 1; }
    sleep 0.2
  done
  # shellcheck disable=SC2086
  "${launch[@]}" "$PWD/deploy/worker.sh" "$folder" $interface >> "$folder/log" 2>&1 &
  workers=$!

  tilestyle run "$content" "$style" --output "$output" --cluster "$folder/scheduler.json" "$@" &
  run=$!
  trap 'kill -TERM "$run"' TERM
  while true; do # the trap cuts a wait short
    code=0
    wait "$run" || code=$?
    kill -0 "$run" 2> /dev/null || break
  done
  if ((code != 0 && code != 75)); then tail -n 20 "$folder/log"; fi
}

stop_job() {
  trap '' TERM
  local pid
  for pid in ${run:-} ${workers:-} ${scheduler:-}; do
    kill -TERM "$pid" 2> /dev/null || true
  done
  wait || true
}
