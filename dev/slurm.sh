#!/bin/sh
# A sweep through Slurm: starts a cluster of one node on this machine from Debian's packages, runs
# dev/slurm.R on it and takes it down. Skips, with the reason, where Slurm cannot be had or started.
# Usage: R_LIBS=<library with the package> dev/slurm.sh <directory for all its files>
set -u
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)

skip() {
  echo "slurm: skipped: $*"
  [ ! -f "$dir/start.log" ] || tail -n 5 "$dir/start.log"
  exit 0
}

tools="munged slurmctld slurmd sbatch scancel sinfo"
lacking() {
  for tool in $tools; do
    command -v "$tool" > /dev/null || echo "$tool"
  done
}
if [ -n "$(lacking)" ]; then
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null ||
    skip "not installed: $(lacking | tr '\n' ' ')"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    munge slurmctld slurmd slurm-client > "$dir/start.log" 2>&1 < /dev/null
  [ -z "$(lacking)" ] || skip "apt-get could not install $(lacking | tr '\n' ' ')"
fi
Rscript -e 'quit(status = !requireNamespace("future.batchtools", quietly = TRUE))' ||
  skip "the R package future.batchtools is not installed"

rm -rf "$dir/run" && mkdir -p "$dir/run/state" "$dir/run/spool" "$dir/run/work"
run=$dir/run
node=$(hostname -s)
user=$(id -un)
port=$((20000 + $$ % 20000))
head -c 1024 /dev/urandom > "$run/munge.key" && chmod 400 "$run/munge.key"
chmod 711 "$run"
export SLURM_CONF="$run/slurm.conf"
cat > "$SLURM_CONF" << CONF
ClusterName=mrlearn
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$run/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1
ReturnToService=2
StateSaveLocation=$run/state
SlurmdSpoolDir=$run/spool
SlurmctldPidFile=$run/slurmctld.pid
SlurmdPidFile=$run/slurmd.pid
SlurmctldLogFile=$run/slurmctld.log
SlurmdLogFile=$run/slurmd.log
NodeName=$node NodeAddr=127.0.0.1 CPUs=2 CoresPerSocket=2 State=UNKNOWN
PartitionName=all Nodes=$node Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF

# Each runs in the foreground of its own process, so that its number is known and it alone is ended.
started=""
finish() {
  for pid in $started; do
    kill "$pid" 2> /dev/null
  done
  wait
}
trap finish EXIT
start() {
  "$@" >> "$dir/start.log" 2>&1 &
  started="$! $started"
}
: > "$dir/start.log"
start munged --foreground --force --key-file="$run/munge.key" --socket="$run/munge.socket" \
  --pid-file="$run/munged.pid" --log-file="$run/munged.log" --seed-file="$run/munged.seed"
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ -S "$run/munge.socket" ] && break
  sleep 0.5
done
[ -S "$run/munge.socket" ] || skip "munged does not start"
start slurmctld -D -f "$SLURM_CONF"
start slurmd -D -f "$SLURM_CONF" -N "$node"
tries=0
until [ "$(sinfo -h -o %t 2> /dev/null)" = idle ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 30 ] || skip "the node does not come up: $(sinfo -h -o '%t %E' 2>&1 | head -n 1)"
  sleep 1
done
echo "slurm: $(sinfo --version) is up on $node"
cd "$run/work" && Rscript "$here/slurm.R"
