#!/usr/bin/env bash
# Runs a spec of drawn and one of trained networks on 1, 2, 3 and 5 ranks, kills a rank on the way and goes on with two: every result must
# have the bits of one process. Usage: tests/mpi.sh PROGRAM [short], built with --features mpi; the short form has a little of the work and runs on
# three ranks alone.
set -euo pipefail

program="$(realpath "${1:?the program, built with --features mpi}")"
if [ "${2:-}" = short ]; then draws=384 sides="8, 12" epochs=1 samples=600 counts=3; else draws=20000 sides="8, 12, 16" epochs=12 samples=2000 counts="1 2 3 5"; fi
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
cd "$place"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
ranks() { mpirun --oversubscribe --bind-to none -n "$@"; }

cat > drawn.toml <<SPEC
name = "drawn"
draws = $draws
observables = ["loss.l1", "logit.l2sq"]
sweep = { side = [$sides] }
[[network]]
input = [3, "side", "side"]
layers = [
  { type = "conv", channels = 16, kernel = 3, padding = 1 }, { type = "relu" },
  { type = "avg-pool", size = 2 }, { type = "flatten" }, { type = "dense", units = 10 },
]
SPEC
cat > trained.toml <<SPEC
name = "trained"
repeats = 3
observables = ["accuracy", "loss.l1"]
sweep = { width = [32, 64, 96] }
data = { set = "synthetic", side = 12, samples = $samples, validation = 100, test = 200 }
training = { epochs = $epochs, batch = 20, rate = 0.02 }
[[network]]
input = [432]
layers = [{ type = "dense", units = "width" }, { type = "relu" }, { type = "dense", units = 10 }]
SPEC

same() {
    for file in points.csv verdicts.json; do cmp "whole/$1/$file" "$2/$1/$file"; done
    [ "$1" = drawn ] || cmp whole/trained/networks.csv "$2/trained/networks.csv"
}

for spec in drawn trained; do
    "$program" run $spec.toml --quiet --out whole
    for count in $counts; do
        ranks $count "$program" run $spec.toml --quiet --threads 1 --out "ranks-$count"
        same $spec "ranks-$count"
        echo "$spec: $count ranks give the bits of one process"
    done
    mpirun --oversubscribe --bind-to none -n 3 "$program" run $spec.toml --quiet --threads 1 --out killed 2> /dev/null &
    job=$!
    sleep 1.2
    # The youngest is no leader.
    pkill -9 -n -f "run $spec.toml --quiet --threads 1 --out killed" || true
    began=$SECONDS
    wait $job && echo "$spec: was done before a rank was killed" || echo "$spec: a killed rank ended the job after $((SECONDS - began)) s"
    ranks 2 "$program" run $spec.toml --quiet --threads 1 --out killed
    same $spec killed
    echo "$spec: a job that lost a rank went on with two to the same bits"
done
