#!/bin/bash
# mini-slurm.sh -- throw-away Slurm cluster on loopback, no systemd, no cgroups, root or any one user.
#
#   mini-slurm.sh start  DIR     start (idempotent: a second start on a live DIR is a no-op)
#   mini-slurm.sh stop   DIR     cancel every job, stop only the pids recorded in DIR
#   mini-slurm.sh status DIR     rc 0 when every daemon recorded in DIR is alive and answers
#   eval "$(mini-slurm.sh env DIR)"   puts SLURM_CONF in the environment of the caller
#
# knobs (environment):  MINISLURM_NODES=2  MINISLURM_CPUS=4  MINISLURM_GPUS=2  MINISLURM_MEM=4000
# everything (keys, sockets, spool, logs, pids) lives in DIR; nothing is read from or written to /etc.
# shellcheck disable=SC2013,SC2015,SC2016,SC2086
set -u
cmd=${1:-}; DIR=${2:-}
[ -n "$cmd" ] && [ -n "$DIR" ] || { sed -n '2,11p' "$0"; exit 2; }
mkdir -p "$DIR" && DIR=$(cd "$DIR" && pwd -P)
NODES=${MINISLURM_NODES:-2} CPUS=${MINISLURM_CPUS:-4} GPUS=${MINISLURM_GPUS:-2} MEM=${MINISLURM_MEM:-4000}
ETC=$DIR/etc RUN=$DIR/run LOG=$DIR/log
export SLURM_CONF=$ETC/slurm.conf
unset ${!SLURM_JOB*} ${!SLURM_STEP*} 2>/dev/null

stime() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }      # start time: guards pid reuse
record() { echo "$2 $(stime "$2")" > "$RUN/$1.pid"; }
alive() { local p s; [ -f "$RUN/$1.pid" ] || return 1; read -r p s < "$RUN/$1.pid"
          [ -n "${s:-}" ] && [ "$(stime "$p")" = "$s" ] && ! grep -qs '^State:.Z' "/proc/$p/status"; }
daemon() { local n=$1; shift                                                  # name command...
  alive "$n" && return 0
  setsid -f bash -c 'echo $$ > "$0"; exec "$@"' "$RUN/$n.tmp" "$@" </dev/null >>"$LOG/$n.out" 2>&1
  for _ in $(seq 100); do [ -s "$RUN/$n.tmp" ] && break; sleep .01; done
  record "$n" "$(cat "$RUN/$n.tmp")"; rm -f "$RUN/$n.tmp"; }
wait_for() { local t=$1; shift; local end=$((SECONDS + t)); until "$@" >/dev/null 2>&1; do
  [ $SECONDS -lt $end ] || return 1; sleep .1; done; }
nodes() { seq -f 'n%g' 1 "$NODES"; }
daemons() { echo munged slurmctld; [ -f "$RUN/nodes" ] && sed 's/^/slurmd-/' "$RUN/nodes"; }

write_conf() {
  local H; H=$(hostname -s)
  read -r -a P <<< "$(python3 - $((NODES + 1)) <<'PY'
import socket, sys
s = [socket.socket() for _ in range(int(sys.argv[1]))]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])
PY
)"
  cat > "$ETC/slurm.conf" <<CONF
ClusterName=mini
SlurmctldHost=$H(127.0.0.1)
SlurmctldPort=${P[0]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$RUN/munge.sock,cred_expire=10
CommunicationParameters=NoInAddrAny
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$RUN/slurmctld.slurmpid
SlurmdPidFile=$RUN/slurmd-%n.slurmpid
SlurmctldLogFile=$LOG/slurmctld.log
SlurmdLogFile=$LOG/slurmd-%n.log
SlurmctldDebug=info
SlurmdDebug=info
# no systemd, no cgroups, no accounting database
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$LOG/jobcomp.txt
MpiDefault=none
SwitchType=switch/none
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
ReturnToService=2
# quick turn-round for tests
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
MinJobAge=300
KillWait=2
CompleteWait=0
InactiveLimit=0
SlurmctldTimeout=60
SlurmdTimeout=60
MessageTimeout=30
TCPTimeout=5
GresTypes=gpu
CONF
  local i=1 n
  for n in $(nodes); do
    echo "NodeName=$n NodeHostname=$n NodeAddr=127.0.0.1 Port=${P[$i]} CPUs=$CPUS RealMemory=$MEM Gres=gpu:$GPUS State=UNKNOWN"
    i=$((i + 1))
  done >> "$ETC/slurm.conf"
  echo "PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO" >> "$ETC/slurm.conf"
  : > "$ETC/gres.conf"
  local devs; devs=$(printf '%s\n' /dev/null /dev/zero /dev/full /dev/random /dev/urandom | head -"$GPUS" | paste -sd,)
  for n in $(nodes); do                       # fake GPUs: any distinct *character devices* do; a count without File= does not
    [ "$GPUS" -gt 0 ] && echo "NodeName=$n Name=gpu File=$devs" >> "$ETC/gres.conf"
  done
  nodes > "$RUN/nodes"
}

start() {
  mkdir -p "$ETC" "$RUN" "$LOG" "$DIR/state"; chmod 755 "$DIR" "$ETC" "$RUN"; chmod 700 "$LOG"
  [ -s "$ETC/munge.key" ] || { (umask 077; head -c 1024 /dev/urandom > "$ETC/munge.key"); }
  [ -s "$ETC/slurm.conf" ] || write_conf
  for n in $(cat "$RUN/nodes"); do mkdir -p "$DIR/spool/$n"; done
  daemon munged /usr/sbin/munged --foreground --key-file="$ETC/munge.key" --socket="$RUN/munge.sock" \
      --pid-file="$RUN/munged.mungepid" --seed-file="$RUN/munged.seed" --log-file="$LOG/munged.log"
  wait_for 10 munge -S "$RUN/munge.sock" -n || { echo "munged did not start" >&2; return 1; }
  daemon slurmctld /usr/sbin/slurmctld -D -f "$SLURM_CONF"
  wait_for 15 scontrol ping || { echo "slurmctld did not start" >&2; return 1; }
  for n in $(cat "$RUN/nodes"); do daemon "slurmd-$n" /usr/sbin/slurmd -D -N "$n" -f "$SLURM_CONF"; done
  wait_for 20 all_idle || { echo "nodes did not come up" >&2; sinfo -N >&2; return 1; }
}
all_idle() { [ "$(sinfo -h -N -t idle,mix,alloc -r -o %N | sort -u | wc -l)" = "$(wc -l < "$RUN/nodes")" ]; }
status() { local d; for d in $(daemons); do alive "$d" || { echo "$d: down"; return 1; }; done; all_idle; }

stop() {
  [ -f "$RUN/nodes" ] || return 0
  if alive slurmctld; then
    scancel --user="$(id -un)" --full 2>/dev/null; scancel --user="$(id -un)" 2>/dev/null
    wait_for 8 bash -c '[ -z "$(squeue -h)" ]' || { scancel --user="$(id -un)" --signal=KILL --full; sleep 1; }
  fi
  local d p s
  for d in $(daemons | tac); do alive "$d" && { read -r p s < "$RUN/$d.pid"; kill -TERM "$p"; }; done
  for d in $(daemons); do
    wait_for 8 eval "! alive $d" || { read -r p s < "$RUN/$d.pid"; kill -KILL "$p"; }
    rm -f "$RUN/$d.pid"
  done
  # job processes that escaped: only those that carry this DIR's SLURM_CONF in their environment *and* a job id
  for p in /proc/[0-9]*; do
    p=${p#/proc/}
    [ "$p" != $$ ] && grep -qzxs "SLURM_CONF=$SLURM_CONF" "/proc/$p/environ" && grep -qzs '^SLURM_JOB_ID=' "/proc/$p/environ" \
      && kill -KILL "$p" 2>/dev/null
  done
  return 0
}

case $cmd in
  start) start;; stop) stop;; status) status;;
  env) echo "export SLURM_CONF='$SLURM_CONF'";;
  *) echo "unknown command $cmd" >&2; exit 2;;
esac
