#!/usr/bin/env python3
"""Time from nothing to all healthy: `datamancy up` against `docker compose up -d --wait` and against the critical path, on the engine that
answers; then the no-op of both. usage: bench/up.py DATAMANCY [SERVICES] [INTERVAL_S] [ROUNDS]

All times come from the engine's events. Critical path = creation (by `docker compose create`, measured here) + the best order in which this engine
can start the rest: two starts at a time, those with most behind them first, each as long as the engine takes for it beside as many containers as
run by then, whose healthchecks keep it busy (measured here, without Compose and without us), each service as long from start to healthy as in that
run. "of idle" divides by the same path with the starts as fast as on an engine that does nothing else: below the engine's reach where checks are many.
"engine alone" is that order really run, after `docker compose create`: a start at the very event that lets it go, and nothing else asked."""
import heapq, http.client, json, os, shutil, socket, subprocess, sys, tempfile, threading, time

ARGS = dict(enumerate(sys.argv))
BINARY, COUNT, INTERVAL, ROUNDS = os.path.abspath(ARGS[1]), int(ARGS.get(2, 20)), ARGS.get(3, "1"), int(ARGS.get(4, 3))
TIERS, IMAGE, NAME = 5, "deploy-test/base:1", "deploy-bench"
HOST = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
tier = lambda i: i * TIERS // COUNT  # noqa: E731
name = lambda i: f"s{i:02}"  # noqa: E731


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


def rank(i):
    """Those that others wait for first; of them the ones with most behind them."""
    return (not any(i in needs(j) for j in range(COUNT)), tier(i))


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

    def path(self, cost):
        """Seconds from the first start to the last healthy one in the best order; `cost(n)` = of a start, two at a time, beside n that run."""
        own = {i: self.of["health_status: healthy"][name(i)] - self.of["start"][name(i)] for i in range(COUNT)}
        at, busy, waiting, healthy, events = 0.0, 0, set(range(COUNT)), set(), []
        while len(healthy) < COUNT:
            for i in sorted((i for i in waiting if healthy.issuperset(needs(i))), key=rank):
                if busy < 2:
                    busy += 1
                    waiting.discard(i)
                    heapq.heappush(events, (at + cost(COUNT - len(waiting) - busy), "up", i))
            at, what, i = heapq.heappop(events)
            if what == "up":
                busy -= 1
                heapq.heappush(events, (at + own[i], "well", i))
            else:
                healthy.add(i)
        return at

    def go(self):
        """From the first start to the last let go, where dependents did not wait for the engine's verdict."""
        return max(self.of["start"].values())


def ask(method, path):
    wire = http.client.HTTPConnection("localhost")
    wire.sock = socket.socket(socket.AF_UNIX)
    wire.sock.connect(HOST)
    wire.request(method, path)
    return wire.getresponse()


def post(path):
    ask("POST", path).read()


def created(count, *options):
    argv = ["docker", "create", "--init", "--label", "datamancy.test=deploy", *options, IMAGE, "sleep", "600"]
    return [subprocess.run(argv, capture_output=True, text=True).stdout.strip() for _ in range(count)]


def started(ids):
    threads = [threading.Thread(target=post, args=(f"/containers/{i}/start",)) for i in ids]
    begin = time.time()
    [t.start() for t in threads], [t.join() for t in threads]
    return time.time() - begin


def start_costs():
    """{containers that run: seconds to start two beside them}, each the best of three."""
    costs, beside = {}, []
    try:
        for running in (0, COUNT // 2, COUNT - 2):
            more = created(running - len(beside), "--health-cmd", "test -e /tmp", "--health-interval", f"{INTERVAL}s")
            beside += more
            started(more)
            time.sleep(float(INTERVAL) * 1.2 if more else 0)  # now their checks run
            best = 99.0
            for _ in range(3):
                two = created(2)
                best = min(best, started(two))
                quiet("docker", "rm", "-f", *two)
            costs[running] = best
    finally:
        quiet("docker", "rm", "-f", *beside) if beside else None
    return costs


def between(costs, n):
    """The cost beside n containers, on the line between what was measured."""
    low, high = max(k for k in costs if k <= n), min((k for k in costs if k >= n), default=max(costs))
    return costs[low] if low == high else costs[low] + (costs[high] - costs[low]) * (n - low) / (high - low)


def engine_alone():
    """Compose creates; then each start is asked at the event that lets it go, two at a time."""
    if quiet("docker", "compose", "create"):
        return 1
    listed = json.load(ask("GET", f"/containers/json?all=1&filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3D{NAME}%22%5D%7D"))
    ids = {one["Labels"]["com.docker.compose.service"]: one["Id"] for one in listed}
    events = ask("GET", f"/events?filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3D{NAME}%22%5D%2C%22event%22%3A%5B%22health_status%22%5D%7D")
    healthy, waiting, change = set(), set(range(COUNT)), threading.Condition()

    def starter():
        while True:
            with change:
                while True:
                    if not waiting:
                        return
                    free = sorted((i for i in waiting if healthy.issuperset(needs(i))), key=rank)
                    if free:
                        break
                    change.wait()
                waiting.discard(free[0])
            post(f"/containers/{ids[name(free[0])]}/start")

    threads = [threading.Thread(target=starter) for _ in range(2)]
    [t.start() for t in threads]
    while len(healthy) < COUNT:
        event = json.loads(events.readline())
        if event["Action"] == "health_status: healthy":
            with change:
                healthy.add(int(event["Actor"]["Attributes"]["com.docker.compose.service"][1:]))
                change.notify_all()
    [t.join() for t in threads]
    return 0


def main():
    if quiet("docker", "image", "inspect", IMAGE):
        return print(f"no image {IMAGE}: run tests/lab/deploy_test.py once") or 77
    folder = tempfile.mkdtemp(prefix="deploy-bench-")
    os.environ["DATAMANCY_STATE"] = folder + "/state"
    os.chdir(folder)
    open("compose.yaml", "w").write(compose_file())
    ups = {"compose": ["docker", "compose", "up", "-d", "--wait"], "datamancy": [BINARY, "up", "--settle", "0s", "--min-free", "1g", "--no-preflight", "--progress", "quiet"]}
    ups["engine alone"] = None
    if float(INTERVAL) > 2:
        ups["datamancy, not early"] = [*ups["datamancy"], "--no-early-readiness"]
    try:
        down()
        with Events() as creation:
            quiet("docker", "compose", "create")
        costs = start_costs()
        print(f"services {COUNT}, interval {INTERVAL} s: creation {creation.created:.2f} s, start of two beside " + ", ".join(f"{n}: {cost:.2f} s" for n, cost in costs.items()))
        print(f"{'':24}{'verdict':>9}{'ready':>9}{'last start':>12}{'critical':>10}{'ready/critical':>16}{'of idle':>9}")
        for _ in range(ROUNDS):
            for who, argv in ups.items():
                down()
                with Events() as run:
                    status = quiet(*argv) if argv else engine_alone()
                if status:
                    print(f"{who}: status {status}")
                    continue
                bound, idle = creation.created + run.path(lambda n: between(costs, n)), creation.created + run.path(lambda n: costs[0])
                print(f"{who:24}{run.seconds:9.2f}{run.ready:9.2f}{run.go():12.2f}{bound:10.2f}{run.ready / bound:16.3f}{run.ready / idle:9.3f}", flush=True)
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
