#!/usr/bin/env python3
"""The engine client against a real engine: engine.py PROBE. Exit 77 where there is no engine or no image to start.

DOCKER_HOST is respected. Makes containers with the label datamancy.test=engine and removes them.
"""
import hashlib, os, signal, subprocess, sys, tempfile, time

PROBE = sys.argv[1]
IMAGE = os.environ.get("DM_LAB_IMAGE", "datamancy-lab/debian:trixie")
NAME = f"engine-lab-{os.getpid()}"
LABEL = "datamancy.test=engine"
faults, done = [], 0


def docker(*words, check=True, **more):
    return subprocess.run(["docker", *words], check=check, capture_output=True, **more)


def probe(*words, data=None, seconds=300):  # a loaded machine takes its time
    return subprocess.run([PROBE, "--seconds", str(seconds), *words], input=data, capture_output=True, timeout=seconds + 60)


def expect(what, truth, detail=""):
    global done
    done += 1
    if not truth:
        faults.append(f"{what}: {detail}")
        print(f"FAIL {what}: {detail}", flush=True)
    else:
        print(f"ok   {what}", flush=True)


def fresh():
    docker("rm", "-f", NAME, check=False)
    docker("run", "-d", "--name", NAME, "--label", LABEL, IMAGE, "sleep", "100000")


def main():
    for image in (IMAGE, "lab/debian:trixie"):
        if docker("image", "inspect", image, check=False).returncode == 0:
            globals()["IMAGE"] = image
            break
    else:
        print("no engine, or no image to start")
        return 77
    fresh()
    blob = os.urandom(1 << 20) * 100
    digest = hashlib.sha256(blob).hexdigest()

    got = probe("exec", "--in", NAME, "sha256sum", data=blob)
    expect("100 MB of any bytes into an exec", got.returncode == 0 and got.stdout.decode().startswith(digest), got.stderr[-300:])
    got = probe("exec", "--in", NAME, "sh", "-c", "cat > /blob", data=blob)
    expect("100 MB into a file", got.returncode == 0, got.stderr[-300:])
    for guard in ([], ["--guard"]):
        got = probe("exec", *guard, NAME, "cat", "/blob")
        expect(f"100 MB out of an exec {guard}", hashlib.sha256(got.stdout).hexdigest() == digest and b"certain true" in got.stderr, got.stderr[-300:])
    got = probe("exec", "--guard", "--in", NAME, "cat", data=blob)
    expect("100 MB through an exec, both ways at once", hashlib.sha256(got.stdout).hexdigest() == digest and b"certain true" in got.stderr, got.stderr[-300:])
    got = probe("exec", "--in", NAME, "head", "-c", "10", data=blob)
    expect("a command that stops reading early is no error", got.returncode == 0 and len(got.stdout) == 10, got.stderr[-300:])

    for guard in ([], ["--guard"]):
        got = probe("exec", *guard, NAME, "sh", "-c", "printf out; printf err >&2; exit 42")
        expect(f"streams are apart and the exit code is kept {guard}", got.returncode == 42 and got.stdout == b"out" and got.stderr.startswith(b"err"), got)
        got = probe("exec", *guard, NAME, "no-such-program")
        expect(f"a missing program is not found {guard}", got.returncode == 2 and b"not_found" in got.stderr, got)
        got = probe("exec", *guard, NAME, "sh", "-c", "kill -9 $$")
        expect(f"a killed command has 137 {guard}", got.returncode == 137, got)
    got = probe("exec", NAME, "/etc/passwd")
    expect("a program that may not be run is denied", got.returncode == 2 and b"denied" in got.stderr, got)
    got = probe("exec", f"{NAME}-gone", "true")
    expect("a container that does not exist is not found", got.returncode == 2 and b"not_found" in got.stderr, got)

    # The lost tail: a reader that stalls over two seconds while the command ends. Never may an incomplete output count as whole.
    size = 1_300_000
    for guard in ([], ["--guard"]):
        certain = lost = 0
        for _ in range(4):
            got = probe("exec", *guard, "--stall-ms", "6000", NAME, "head", "-c", str(size), "/dev/zero")
            whole = len(got.stdout) == size
            claims = got.returncode == 0 and b"certain true" in got.stderr
            certain += claims
            lost += not whole
            expect(f"a stalled reader is never told that a part is the whole {guard}", whole or not claims, (len(got.stdout), got.stderr[-200:]))
        if guard:
            expect("with the guard nothing is lost", lost == 0 and certain == 4, (lost, certain))

    # Endings that look like success.
    for what in (["kill", NAME], ["restart", "-t", "0", NAME], ["rm", "-f", NAME]):
        for guard in ([], ["--guard"]):
            fresh()
            running = subprocess.Popen([PROBE, "exec", *guard, NAME, "sh", "-c", "echo begin; sleep 30; echo end"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            running.stdout.readline()
            docker(*what)
            out, err = running.communicate(timeout=60)
            expect(f"docker {what[0]} in the middle of an exec is no success {guard}", running.returncode != 0, err[-300:])
    fresh()

    # Abandoned: the process in the container is ended too.
    begin = time.time()
    got = probe("exec", NAME, "sleep", "4321", seconds=2)
    expect("an exec ends at its deadline", got.returncode == 2 and b"timeout" in got.stderr and time.time() - begin < 10, got)
    left = docker("exec", NAME, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout  # not `top`: Podman's fails where the image has no ps
    expect("and its process is gone", b"4321" not in left, left)

    # Archives.
    script = ("mkdir -p /t/sub && echo hello > /t/a && chown 12:34 /t/a && chmod 4750 /t/a && ln -s a /t/link && ln /t/a /t/hard && mkfifo /t/fifo && truncate -s 3000000 /t/sub/big"
              " && touch '/t/name with blank' && chmod 1777 /t/sub; (command -v setfattr >/dev/null && setfattr -n user.note -v kept /t/a); true")
    docker("exec", NAME, "sh", "-c", script)
    tar = probe("get", NAME, "/t")
    expect("a folder comes out as tar", tar.returncode == 0 and len(tar.stdout) > 3_000_000, tar.stderr)
    docker("exec", NAME, "mkdir", "/back")
    put = probe("put", NAME, "/back", data=tar.stdout)
    expect("and goes in again", put.returncode == 0, put.stderr)
    look = "cd %s && find . -printf '%%P %%y %%m %%U %%G %%s %%l\\n' | grep -v '^ d' | sort && sha256sum a sub/big"
    one = docker("exec", NAME, "sh", "-c", look % "/t").stdout
    two = docker("exec", NAME, "sh", "-c", look % "/back/t").stdout
    expect("modes, owners, links and contents are the same", one == two and b"4750" in one, (one, two))
    got = probe("get", NAME, "/nowhere")
    expect("a path that does not exist is not found", b"not_found" in got.stderr, got)
    got = probe("put", NAME, "/nowhere", data=tar.stdout)
    expect("a folder that does not exist is not found", b"not_found" in got.stderr, got)
    got = probe("put", NAME, "/back", data=b"this is no tar" * 1000)
    expect("what is no tar is refused", got.returncode == 2, got)

    # Logs.
    talk = f"{NAME}-talk"
    docker("rm", "-f", talk, check=False)
    docker("run", "--name", talk, "--label", LABEL, IMAGE, "sh", "-c", "for i in 1 2 3; do echo out $i; echo err $i >&2; done")
    got = probe("logs", talk)
    expect("logs have their streams apart", got.stdout == b"out 1\nout 2\nout 3\n" and got.stderr == b"err 1\nerr 2\nerr 3\n", got)
    got = probe("logs", "--tail", "1", "--timestamps", talk)
    expect("the last lines with their times", got.stdout.count(b"\n") + got.stderr.count(b"\n") == 1 and b"Z " in got.stdout + got.stderr, got)
    docker("rm", "-f", talk)
    docker("run", "-d", "--name", talk, "--label", LABEL, IMAGE, "sh", "-c", "echo first; sleep 2; echo last")
    got = probe("logs", "--follow", talk)
    expect("following ends with the container", got.returncode == 0 and got.stdout.endswith(b"last\n"), got)
    docker("rm", "-f", talk)

    # Events.
    with tempfile.TemporaryFile() as out:
        follower = subprocess.Popen([PROBE, "events", LABEL], stdout=out, stderr=subprocess.PIPE)
        follower.stderr.readline()
        time.sleep(0.2)
        docker("restart", "-t", "0", NAME)
        docker("rm", "-f", NAME)
        time.sleep(1)
        follower.send_signal(signal.SIGINT)
        follower.wait(timeout=20)
        out.seek(0)
        seen = [line.split()[1] for line in out.read().decode().splitlines()]
        expect("events come while containers start and die", {"kill", "die", "start", "destroy"} <= set(seen), seen)

    got = probe("drill", IMAGE, f"{NAME}-drill")
    expect("a throw-away container with network, volume and limits is made and removed", got.returncode == 0 and b"running user daemon memory 67108864 pids 50" in got.stdout, got)
    print(f"{done} checks, {len(faults)} failed")
    return 1 if faults else 0


try:
    status = main()
finally:
    for listed in docker("ps", "-aq", "--filter", f"name={NAME}", check=False).stdout.split():
        docker("rm", "-f", listed.decode(), check=False)
sys.exit(status)
