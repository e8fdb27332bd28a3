#!/usr/bin/env bash
# A Slurm of several nodes on this machine, in a folder of its own, as whoever runs it. For tests.
#
#   cluster.sh start FOLDER NODES    start munge, a controller and nodes n1, n2, ..; SLURM_CONF=FOLDER/slurm.conf reaches them
#   cluster.sh kill FOLDER NODE      what a power cut does: the node's daemon and everything that its jobs run, with SIGKILL
#   cluster.sh back FOLDER NODE      start a killed node again
#   cluster.sh stop FOLDER           end all of it
#
# It needs Debian's packages slurm-wlm and munge, or others with the same programs. Where they are missing it says so and ends
# with 77; with BENCH_SLURM_INSTALL=1 it installs them first (as root, on Debian).
set -euo pipefail

command=${1:?start, kill, back or stop}
folder=$(realpath -m "${2:?a folder}")
export PATH=$PATH:/usr/sbin:/sbin
export SLURM_CONF=$folder/slurm.conf

missing() {
    for program in munged slurmctld slurmd sbatch squeue scontrol; do
        command -v "$program" > /dev/null || { echo "$program"; return; }
    done
}

# Ids of the processes that jobs run on a node (of all nodes without a name), and of the daemons that watch over them. The
# environment of a job names its cluster and its node.
processes() {
    local environment id parent
    for environment in /proc/[0-9]*/environ; do
        id=${environment%/environ}
        id=${id#/proc/}
        tr '\0' '\n' 2> /dev/null < "$environment" | grep -qxF "SLURM_CONF=$SLURM_CONF" || continue
        tr '\0' '\n' 2> /dev/null < "$environment" | grep -qx "SLURMD_NODENAME=${1:-.*}" || continue
        echo "$id"
        parent=$(awk '/^PPid:/ { print $2 }' "/proc/$id/status" 2> /dev/null || true)
        if [[ -n $parent && $(cat "/proc/$parent/comm" 2> /dev/null) == slurmstepd ]]; then
            echo "$parent"
        fi
    done | sort -un
}

node() {
    slurmd -N "$1" -f "$SLURM_CONF"
}

# Whether nobody listens on a port of this machine.
is_free() {
    ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

case $command in
start)
    nodes=${3:?how many nodes}
    if [[ -n $(missing) && ${BENCH_SLURM_INSTALL:-} == 1 ]]; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slurm-wlm munge >&2
    fi
    if [[ -n $(missing) ]]; then
        echo "skipped: no $(missing) here; apt-get install slurm-wlm munge, or BENCH_SLURM_INSTALL=1 to let this script do so" >&2
        exit 77
    fi
    mkdir -p "$folder/state" "$folder/spool"
    chmod 755 "$folder"
    port=$((20000 + RANDOM % 20000))
    until for ((at = 0; at <= nodes; at++)); do is_free $((port + at)) || exit 1; done; do
        port=$((20000 + RANDOM % 20000))
    done
    user=$(id -un)
    host=$(hostname -s)
    head -c 1024 /dev/urandom > "$folder/munge.key"
    chmod 400 "$folder/munge.key"
    cat > "$SLURM_CONF" << END
ClusterName=bench
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
# A container has neither systemd nor cgroups.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Nor has it the system's own limits of memory; Slurm looks once a second.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=1
SlurmdTimeout=20
KillWait=2
SchedulerParameters=sched_min_interval=0,sched_interval=2,bf_interval=2
NodeName=n[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1))-$((port + nodes)) CPUs=1 RealMemory=4000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munge.pid" \
        --log-file "$folder/munge.log" --seed-file "$folder/munge.seed"
    slurmctld -f "$SLURM_CONF"
    for ((at = 1; at <= nodes; at++)); do
        node "n$at"
    done
    for ((tries = 0; tries < 60; tries++)); do
        idle=$(sinfo --noheader --Node --format=%T 2> /dev/null | grep -c '^idle$' || true)
        [[ $idle == "$nodes" ]] && exit 0
        sleep 0.5
    done
    echo "the nodes did not come up within 30 s:" >&2
    sinfo >&2 || true
    tail -n 5 "$folder"/*.log >&2
    exit 1
    ;;
kill)
    name=${3:?a node}
    daemon=$(cat "$folder/slurmd-$name.pid")
    # The daemon first: it would report the end of its jobs.
    kill -9 "$daemon"
    processes "$name" | xargs -r kill -9 2> /dev/null || true
    ;;
back)
    node "${3:?a node}"
    ;;
stop)
    for file in "$folder"/slurmd-*.pid "$folder/slurmctld.pid" "$folder/munge.pid"; do
        [[ -s $file ]] && kill "$(cat "$file")" 2> /dev/null || true
    done
    processes | xargs -r kill -9 2> /dev/null || true
    ;;
*)
    echo "$command: expected start, kill, back or stop" >&2
    exit 2
    ;;
esac
