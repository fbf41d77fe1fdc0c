#!/usr/bin/env python3
"""Time from nothing to all healthy: `datamancy up` against `docker compose up -d --wait` and against the critical path, on the engine that
answers; then the no-op of both. usage: bench/up.py DATAMANCY [SERVICES] [INTERVAL_S] [ROUNDS]

All times come from the engine's events. Critical path = creation (by `docker compose create`, measured here) + what this engine needs to
start containers (two at once on each tier but the last, all of the last one; measured here, without Compose and without us) + the longest
chain of the containers' own times from start to healthy in that run."""
import http.client, json, os, shutil, socket, subprocess, sys, tempfile, threading, time

ARGS = dict(enumerate(sys.argv))
BINARY, COUNT, INTERVAL, ROUNDS = os.path.abspath(ARGS[1]), int(ARGS.get(2, 20)), ARGS.get(3, "1"), int(ARGS.get(4, 3))
TIERS, IMAGE, NAME = 5, "deploy-test/base:1", "deploy-bench"
HOST = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
tier = lambda i: i * TIERS // COUNT  # noqa: E731


def compose_file():
    lines = [f"name: {NAME}", "services:"]
    for i in range(COUNT):
        lines += [f"  s{i:02}:", f"    image: {IMAGE}", '    command: [sh, -c, "sleep 0.2; touch /tmp/ok; exec sleep 3600"]', "    init: true", "    stop_grace_period: 1s",
                  "    labels: {datamancy.test: deploy}", "    x-datamancy: {early_readiness: true}",
                  f"    healthcheck: {{test: [CMD, test, -e, /tmp/ok], interval: {INTERVAL}s, timeout: 5s, retries: 10}}"]
        below = needs(i)
        if below:
            lines += ["    depends_on:"] + [f"      s{j:02}: {{condition: service_healthy}}" for j in below]
    return "\n".join(lines) + "\n"


def needs(i):
    return [j for j in range(COUNT) if tier(j) == tier(i) - 1][:2]


def quiet(*argv):
    return subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def down():
    quiet("docker", "compose", "-p", NAME, "down", "-v", "-t", "1")


class Events:
    """The engine's own record of one run."""
    def __enter__(self):
        self.lines = tempfile.TemporaryFile("w+")  # a pipe that nobody empties would hold the engine's events back
        self.reader = subprocess.Popen(["docker", "events", "--filter", f"label=com.docker.compose.project={NAME}", "--format", "{{json .}}"], stdout=self.lines)
        time.sleep(0.4)
        self.begin = time.time()
        return self

    def __exit__(self, *_):
        self.seconds = time.time() - self.begin
        time.sleep(0.4)
        self.reader.terminate()
        self.reader.wait()
        self.lines.seek(0)
        self.of = {}
        for line in self.lines:
            event = json.loads(line)
            if event["Type"] == "container":
                self.of.setdefault(event["Action"], {}).setdefault(event["Actor"]["Attributes"].get("com.docker.compose.service"), event["timeNano"] / 1e9 - self.begin)
    ready = property(lambda self: max(self.of["health_status: healthy"].values()))
    created = property(lambda self: max(self.of["create"].values()))

    def chain(self):
        healthy, began, memo = self.of["health_status: healthy"], self.of["start"], {}
        for i in range(COUNT):
            name = f"s{i:02}"
            memo[name] = healthy[name] - began[name] + max([memo[f"s{j:02}"] for j in needs(i)] or [0])
        return max(memo.values())

    def go(self):
        """From the first start to the last let go, where dependents did not wait for the engine's verdict."""
        return max(self.of["start"].values())


def post(path):
    wire = http.client.HTTPConnection("localhost")
    wire.sock = socket.socket(socket.AF_UNIX)
    wire.sock.connect(HOST)
    wire.request("POST", path)
    wire.getresponse().read()


def start_cost(width):
    """Seconds to start so many containers at once; best of three."""
    best = 99.0
    for _ in range(3):
        ids = [subprocess.run(["docker", "create", "--init", "--label", "datamancy.test=deploy", IMAGE, "sleep", "60"], capture_output=True, text=True).stdout.strip() for _ in range(width)]
        threads = [threading.Thread(target=post, args=(f"/containers/{i}/start",)) for i in ids]
        begin = time.time()
        [t.start() for t in threads], [t.join() for t in threads]
        best = min(best, time.time() - begin)
        quiet("docker", "rm", "-f", *ids)
    return best


def main():
    if quiet("docker", "image", "inspect", IMAGE):
        return print(f"no image {IMAGE}: run tests/lab/deploy_test.py once") or 77
    folder = tempfile.mkdtemp(prefix="deploy-bench-")
    os.environ["DATAMANCY_STATE"] = folder + "/state"
    os.chdir(folder)
    open("compose.yaml", "w").write(compose_file())
    ups = {"compose": ["docker", "compose", "up", "-d", "--wait"], "datamancy": [BINARY, "up", "--settle", "0s", "--min-free", "1g", "--no-preflight", "--progress", "quiet"]}
    if float(INTERVAL) > 2:
        ups["datamancy, not early"] = [*ups["datamancy"], "--no-early-readiness"]
    try:
        down()
        with Events() as creation:
            quiet("docker", "compose", "create")
        two, last = start_cost(2), start_cost(-(-COUNT // TIERS))
        fixed = creation.created + (TIERS - 1) * two + last
        print(f"services {COUNT}, interval {INTERVAL} s: creation {creation.created:.2f} s, start of two {two:.2f} s, of {-(-COUNT // TIERS)} {last:.2f} s")
        print(f"{'':24}{'verdict':>9}{'ready':>9}{'last start':>12}{'critical':>10}{'ready/critical':>16}")
        for _ in range(ROUNDS):
            for who, argv in ups.items():
                down()
                with Events() as run:
                    status = quiet(*argv)
                if status:
                    print(f"{who}: status {status}")
                    continue
                bound = fixed + run.chain()
                print(f"{who:24}{run.seconds:9.2f}{run.ready:9.2f}{run.go():12.2f}{bound:10.2f}{run.ready / bound:16.3f}", flush=True)
        for who in ("compose", "datamancy"):
            times = []
            for _ in range(5):
                begin = time.time()
                quiet(*(ups[who] if who == "compose" else [BINARY, "up", "--progress", "quiet"]))
                times.append(time.time() - begin)
            print(f"no-op {who:18}{min(times):9.3f} best{sorted(times)[2]:9.3f} median", flush=True)
    finally:
        down()
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
