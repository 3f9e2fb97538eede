#!/usr/bin/env bash
# A cluster of three node processes on this machine: a head that does not translate and two nodes
# of one core. Translates a folder there and on a Ray of its own, and compares the files.
#
#     docs/cluster/three-nodes.sh .venv/bin ilvr_latent/assets/references
set -euo pipefail
bin=$(realpath "$1") source=$(realpath "$2") work=$(mktemp -d)
address=$("$bin/python" -c 'import ray.util; print(ray.util.get_node_ip_address())'):6399
export RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
# Nobody else may use the cluster while it is there.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$("$bin/python" -c 'import secrets; print(secrets.token_hex(32))')

nodes=()
end() {
    kill "${nodes[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap end EXIT
node() { # OPTIONS
    "$bin/ray" start --block --object-store-memory 80000000 "$@" >"$work/node${#nodes[@]}.log" 2>&1 &
    nodes+=($!)
}
translate() { # OUTPUT OPTIONS
    "$bin/python" -m ilvr_latent translate "$source" --factor 8 --steps 4 --output "$work/$1" "${@:2}"
}

begun=$SECONDS
node --head --port "${address##*:}" --num-cpus 0 --include-dashboard false
for _ in 1 2; do
    until (echo >"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null; do sleep 0.5; done
    node --address "$address" --num-cpus 1
done
until "$bin/python" - "$address" 2>/dev/null <<'PYTHON'; do sleep 1; done
import sys
import ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
sys.exit(sum(node["Alive"] for node in ray.nodes()) < 3)
PYTHON
echo "three nodes in $((SECONDS - begun)) s"
translate cluster --address "$address" --workers 2
translate alone --workers 1
diff -r --exclude .ilvr --exclude manifest.jsonl "$work/cluster" "$work/alone"
echo "the same files"
