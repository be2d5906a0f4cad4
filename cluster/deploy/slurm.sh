#!/usr/bin/env bash
# A Ray cluster inside one SLURM job, for one run. Activate the environment that has automl-frontier[all], then
#
#   sbatch cluster/deploy/slurm.sh /shared/churn.csv --target churn --budget 45m --out /shared/runs/churn
#
# Everything after the script's name goes to `automl fit`. Data and run folder must be where the first node sees them.
# The same command with --nodes, --time or --gpus-per-node before the script's name changes the size.

#SBATCH --job-name=automl
#SBATCH --output=automl-%j.log
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=01:00:00
#SBATCH --no-kill
#SBATCH --signal=B:USR1@300
# Time: the budget and about ten minutes for start and end. Five minutes before it is over automl is asked to finish
# with the best model so far. no-kill: a lost node costs the folds it was working on, not the job.
# GPUs on every node: remove one # in the next line.
##SBATCH --gpus-per-node=1

set -euo pipefail

join_s=${AUTOML_JOIN_S:-300} # how long the nodes may take to find each other
nodes=$SLURM_JOB_NUM_NODES
cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}
read -r head < <(scontrol show hostnames "$SLURM_JOB_NODELIST")  # where this script runs too
head_ip=${AUTOML_HEAD_IP:-$(hostname -I | cut -d ' ' -f 1)}      # set it where the first network is the wrong one
port=$((20000 + SLURM_JOB_ID % 12000))                           # jobs that share a node do not meet
logs=/tmp/ray-$SLURM_JOB_ID                                      # short: a path of a socket has 107 characters

for tool in automl ray python; do
    command -v "$tool" >/dev/null || { echo "$tool not found: activate the environment before sbatch" >&2; exit 2; }
done

# The token is made for this job and travels in the environment. Without it anybody on the network could run code here.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_ADDRESS="$head_ip:$port"

steps=() # the srun of the head, and that of the others

# Ends the cluster by ending the steps this script started. `ray stop` is never used: it finds processes by their name
# and would end the Ray of every other job of yours on the node.
end_cluster() {
    local step
    for step in "${steps[@]}"; do kill -TERM "$step" 2>/dev/null || true; done
    for _ in {1..200}; do # 40 seconds: Ray drains for up to 30
        [ -n "$(jobs -rp)" ] || break
        sleep 0.2
    done
    for step in "${steps[@]}"; do kill -KILL "$step" 2>/dev/null || true; done
    wait
}
trap end_cluster EXIT

# start_ray NODES SHARE SRUN_OPTIONS... -- RAY_OPTIONS...
# SHARE percent of the node's memory is what trials may ask for; a quarter holds the data; the rest is Ray's own.
# Worker ports are left to the system, as two jobs on one node would else want the same ones.
start_ray() {
    local count=$1 share=$2 where=() sizes=()
    shift 2
    while [ "$1" != -- ]; do where+=("$1"); shift; done
    shift
    if [ -n "${SLURM_MEM_PER_NODE:-}" ]; then # in MB; without --mem Ray looks at the machine
        sizes=("--memory=$((SLURM_MEM_PER_NODE * 1048576 * share / 100))"
            "--object-store-memory=$((SLURM_MEM_PER_NODE * 1048576 / 4))")
    fi
    srun --nodes="$count" --ntasks="$count" --ntasks-per-node=1 --cpus-per-task="$cpus" --no-kill --input=none \
        "${where[@]}" ray start --block --min-worker-port=0 --max-worker-port=0 --disable-usage-stats \
        "${sizes[@]}" "$@" &
    steps+=("$!")
}

# Until so many nodes are there; fails after join_s seconds, or when one of the steps has ended.
wait_for_nodes() {
    python - "$head_ip" "$port" "$1" "$join_s" "${steps[@]}" <<'PYTHON'
import os, socket, sys, time

import ray

host, port, wanted, seconds, *steps = sys.argv[1:]
until, here = time.monotonic() + float(seconds), 0
while here < int(wanted):
    if time.monotonic() > until:
        sys.exit(f"{here} of {wanted} nodes joined within {seconds} s. A slow start? Set AUTOML_JOIN_S. Else see above.")
    for step in steps:
        try:
            os.kill(int(step), 0)
        except ProcessLookupError:
            sys.exit(f"Ray ended on a node while {here} of {wanted} had joined: see above.")
    time.sleep(0.5)
    if not ray.is_initialized():
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError:
            continue  # the head is not up yet
        ray.init(address=f"{host}:{port}", log_to_driver=False, logging_level="ERROR")
    here = sum(node["Alive"] for node in ray.nodes())
PYTHON
}

# One core of the first node, and more of its memory, are kept for the driver.
start_ray 1 40 --nodelist="$head" -- --head --node-ip-address="$head_ip" --port="$port" --temp-dir="$logs" \
    --include-dashboard=false --num-cpus="$((cpus > 1 ? cpus - 1 : 1))"
wait_for_nodes 1
if [ "$nodes" -gt 1 ]; then
    start_ray "$((nodes - 1))" 60 --exclude="$head" -- --address="$RAY_ADDRESS" --num-cpus="$cpus"
    wait_for_nodes "$nodes"
fi
echo "$nodes nodes, $cpus cores each: automl fit $*"

set -m # else bash would have automl ignore the interrupt that asks it to finish
automl fit "$@" --cluster ray &
run=$!
set +m
trap 'kill -INT "$run" 2>/dev/null || true' USR1 INT TERM
status=0
wait "$run" || status=$?
while kill -0 "$run" 2>/dev/null; do # wait came back for a signal
    status=0
    wait "$run" || status=$?
done
trap - USR1 INT TERM

if [ "$status" -eq 0 ]; then
    end_cluster
    steps=()
    srun --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --input=none rm -rf "$logs" || true
else
    echo "automl ended with $status; what Ray wrote is on each node in $logs" >&2
fi
exit "$status"
