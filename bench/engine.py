#!/usr/bin/env python3
"""The engine client against the docker CLI for the same calls, on the engine that answers. usage: bench/engine.py BUILD [ROUNDS] [MB]

Of each call, by turns: seconds, CPU (user and system) and peak memory of the client's process; the medians of ROUNDS (5), the largest peak. BUILD is a
build folder with engine_probe (the client and nothing else, a part of the tests). What both print of logs, exec and archive is compared first."""
import hashlib, os, statistics, subprocess, sys, time

BUILD, ROUNDS, MB = os.path.abspath(sys.argv[1]), int((sys.argv[2:] or [5])[0]), int((sys.argv[3:] or [100])[0])
PROBE, IMAGE, LABEL, COUNT = [f"{BUILD}/engine_probe", "--seconds", "900"], os.environ.get("DM_LAB_IMAGE", "datamancy-lab/base:13"), "datamancy.test=engine-bench", 20


def docker(*argv):
    return subprocess.run(["docker", *argv], check=True, capture_output=True, text=True).stdout.strip()


def clean():
    ids = docker("ps", "-aq", "--filter", f"label={LABEL}").split()
    if ids:
        docker("rm", "-f", "-v", *ids)


# Run by an interpreter of its own with nothing loaded: what it has itself is the least that a peak can read (some 9 MB).
MEASURE = """import os, sys, time
begin = time.monotonic()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, n, '/dev/null', os.O_WRONLY, 0) for n in (1, 2)])
_, status, used = os.wait4(child, 0)
print(time.monotonic() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss, status)"""


def measured(argv):
    """Seconds, CPU seconds, peak kB of one run, its output thrown away."""
    said = subprocess.run([sys.executable, "-ISc", MEASURE, *argv], check=True, capture_output=True, text=True).stdout.split()
    if said[3] != "0":
        sys.exit(f"{' '.join(argv[:4])} ...: status {said[3]}")
    return float(said[0]), float(said[1]), int(said[2])


def digest(argv):
    running, whole = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL), hashlib.sha256()
    for piece in iter(lambda: running.stdout.read(1 << 20), b""):
        whole.update(piece)
    running.wait()
    return whole.hexdigest()


def main():
    if not os.access(PROBE[0], os.X_OK):
        return print(f"no {PROBE[0]}: build the target engine_probe") or 77
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True).returncode:
        return print(f"no image {IMAGE}: lab/lab images base") or 77
    clean()
    try:
        made = [docker("create", "--label", LABEL, IMAGE, "true") for _ in range(COUNT - 1)]
        script = f"head -c {MB}000000 /dev/urandom > /blob; yes 'a line of a log that is about as long as most of them are, and no longer' | head -c {MB}000000; touch /done; exec sleep 3600"
        one = docker("run", "-d", "--init", "--label", LABEL, "--log-opt", "max-size=1g", IMAGE, "sh", "-c", script)
        while subprocess.run(["docker", "exec", one, "test", "-e", "/done"], capture_output=True).returncode:
            time.sleep(0.5)
        time.sleep(1)  # the engine writes the last lines
        calls = {
            f"list of {COUNT}": ([*PROBE, "ps", LABEL], ["docker", "ps", "-a", "--filter", f"label={LABEL}"], False),
            f"inspect of {COUNT}": ([*PROBE, "inspects", LABEL], ["docker", "inspect", *made, one], False),
            f"logs, {MB} MB": ([*PROBE, "logs", one], ["docker", "logs", one], True),
            f"exec, {MB} MB out": ([*PROBE, "exec", one, "cat", "/blob"], ["docker", "exec", one, "cat", "/blob"], True),
            f"archive, {MB} MB": ([*PROBE, "get", one, "/blob"], ["docker", "cp", f"{one}:/blob", "-"], True),
        }
        print(f"{'':20}{'client':>12}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}")
        for what, (ours, theirs, compare) in calls.items():
            if compare and digest(ours) != digest(theirs):
                return print(f"{what}: the outputs differ") or 1
            runs = {"datamancy": [], "docker": []}
            for _ in range(ROUNDS):
                for who, argv in (("datamancy", ours), ("docker", theirs)):
                    runs[who].append(measured(argv))
            for who, got in runs.items():
                seconds, cpu, peak = (list(column) for column in zip(*got))
                print(f"{what:20}{who:>12}{statistics.median(seconds):10.3f}{statistics.median(cpu):10.3f}{max(peak) / 1000:10.1f}", flush=True)
    finally:
        clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())
