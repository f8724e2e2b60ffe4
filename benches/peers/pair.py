"""What all peers share: two worker processes of one thread each, started together, and the search for the best settings.

A peer is a module with `settings(case, framework)`, the settings to try, and `batches(case, setting, seed)`, which gives a
function that makes a batch of draws and returns the number of draws and the sums of the three norms. One that is not to be
measured so brings its own `work` and `measure`.
"""

import argparse
import json
import os
import subprocess
import sys
import time

ALLOCATORS = {
    "tcmalloc": "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",
    "jemalloc": "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
    "system": None,
}
# A batch that keeps its memory between draws: freed pages are not given back to the system.
ENVIRONMENT = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "MALLOC_CONF": "dirty_decay_ms:100000,muzzy_decay_ms:100000",
    "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES": str(1 << 30),
}


def allocators():
    return [name for name, path in ALLOCATORS.items() if path is None or os.path.exists(path)]


def environment(setting, threads):
    """The variables with which a worker is started."""
    count = str(threads)
    variables = dict(os.environ, **ENVIRONMENT, OMP_NUM_THREADS=count, MKL_NUM_THREADS=count)
    preload = ALLOCATORS[setting.get("malloc", "system")]
    if preload and os.path.exists(preload):
        variables["LD_PRELOAD"] = preload
    return variables


def worker(script, case, setting, seconds):
    """The command that starts a worker."""
    command = [sys.executable, script, "--worker", json.dumps(setting), "--case", json.dumps(case)]
    return command + ["--seconds", str(seconds)]


def work(batches, case, setting, seed, seconds):
    """One process: warms up, waits for the start, draws for so many seconds of processor time, and prints what it did."""
    batch = batches(case, setting, seed)
    batch(), batch()
    print("ready", flush=True)
    sys.stdin.readline()
    draws, sums, start, cpu = 0, [0.0, 0.0, 0.0], time.perf_counter(), time.process_time()
    while time.process_time() - cpu < seconds:
        made, norms = batch()
        draws += made
        sums = [a + float(b) for a, b in zip(sums, norms)]
    took = time.perf_counter() - start
    # By processor time, so that other work on the machine takes nothing away.
    spent = time.process_time() - cpu
    print(json.dumps({"rate": draws / spent, "cpu": spent / took, "means": [s / draws for s in sums]}), flush=True)


def measure(script, case, setting, seconds, seed):
    """Draws per second of processor time of two processes together."""
    command, variables = worker(script, case, setting, seconds), environment(setting, 1)
    pinned = lambda core: ["taskset", "-c", str(core)] if os.path.exists("/usr/bin/taskset") else []
    cores = sorted(os.sched_getaffinity(0))[:2]
    processes = [
        subprocess.Popen(pinned(core) + command + ["--seed", str(seed + core)], env=variables, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for core in cores
    ]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        try:
            process.stdin.write("go\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
    results = []
    for process in processes:
        output, errors = process.communicate()
        if process.returncode or not output.strip():
            return {"rate": 0.0, "error": errors.strip().splitlines()[-1:]}
        results.append(json.loads(output.strip().splitlines()[-1]))
    means = [sum(result["means"][i] for result in results) / len(results) for i in range(3)]
    cpu = min(result["cpu"] for result in results)
    return {"rate": sum(result["rate"] for result in results), "means": means, "cpu": cpu}


def main(script, settings, batches, work=work, measure=measure):
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", required=True, help="the network, as JSON")
    parser.add_argument("--framework", default="torch")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tune", action="store_true", help="try all settings and print the best")
    parser.add_argument("--setting", help="the setting to measure, as JSON; the first one unless given")
    parser.add_argument("--worker")
    arguments = parser.parse_args()
    case = json.loads(arguments.case)
    if arguments.worker:
        return work(batches, case, json.loads(arguments.worker), arguments.seed, arguments.seconds)
    choices = settings(case, arguments.framework)
    if arguments.tune:
        tried = [(measure(script, case, setting, arguments.seconds, arguments.seed), setting) for setting in choices]
        for result, setting in tried:
            print(json.dumps(setting), json.dumps(result), file=sys.stderr, flush=True)
        setting = max(tried, key=lambda pair: pair[0]["rate"])[1]
        return print(json.dumps(setting))
    setting = json.loads(arguments.setting) if arguments.setting else choices[0]
    print(json.dumps(measure(script, case, setting, arguments.seconds, arguments.seed)))
