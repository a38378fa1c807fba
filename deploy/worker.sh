#!/bin/bash
# One worker of a batch job, on one slot: worker.sh FOLDER [OPTION...]; see job.sh.
set -eu
folder=$1
shift
# shellcheck source=/dev/null
. "$folder/environment"
# Dask's settings say which certificates
options=(--protocol tls --scheduler-file "$folder/scheduler.json" --nworkers 1 --nthreads 1)
options+=(--dashboard-address 127.0.0.1:0 --local-directory "${TMPDIR:-/tmp}" --death-timeout 300)
if [ -n "${CUDA_VISIBLE_DEVICES:-}" ] || [ -e /dev/nvidia0 ]; then
  options+=(--resources GPU=1)
fi
exec dask worker "${options[@]}" "$@"
