#!/usr/bin/env python3
"""`up` on a real engine: order, gating, failures, Ctrl-C, kill -9, two at once, rollback, adoption, content, secrets.

usage: deploy_test.py SOURCE_FOLDER DATAMANCY [TEST...]      exit 77 where there is no engine or no image to build from
Every project begins with the name of the file that runs it and its pid, so that any two of them can share an engine, and is taken down at the end.
"""
import json, os, random, shutil, signal, subprocess, sys, tempfile, time

BINARY = os.path.abspath(sys.argv[2])
OURS = f"{os.path.basename(sys.argv[0]).split('_test')[0].replace('_', '-')}-{os.getpid()}"  # deploy-123, deploy-faults-124
IMAGE = "deploy-test/base:1"
APP = f"{OURS}/app:latest"
STATE = tempfile.mkdtemp(prefix="deploy-state-")
ENV = dict(os.environ, DATAMANCY_STATE=STATE)
LABEL = "    labels: {datamancy.test: deploy}\n    init: true\n    stop_grace_period: 1s\n"
OK = "    healthcheck: {test: [CMD, test, -e, /tmp/ok], interval: 1s, timeout: 60s, retries: 30}\n"


def sh(*argv, check=True, **more):
    done = subprocess.run(argv, text=True, capture_output=True, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Project:
    """A project in a folder of its own."""
    def __init__(self, name, text):
        self.name, self.folder = f"{OURS}-{name}", tempfile.mkdtemp(prefix=f"deploy-{name}-")
        self.write("compose.yaml", f"name: {self.name}\nservices:\n{text}")

    def write(self, path, text):
        with open(os.path.join(self.folder, path), "w") as out:
            out.write(text)

    def run(self, *words, env=None, timeout=180):
        return subprocess.run([BINARY, *words], cwd=self.folder, env={**ENV, **(env or {})}, text=True, capture_output=True, timeout=timeout)

    def up(self, *words, **more):
        return self.run("up", "--progress", "plain", "--min-free", "1g", "--settle", "1s", *words, **more)

    def start(self, *words):
        return subprocess.Popen([BINARY, "up", "--progress", "plain", "--min-free", "1g", "--settle", "1s", *words], cwd=self.folder, env=ENV,
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ids(self):
        out = sh("docker", "ps", "-a", "--no-trunc", "--filter", f"label=com.docker.compose.project={self.name}",
                 "--format", "{{.Label \"com.docker.compose.service\"}} {{.ID}}").stdout.split("\n")
        return dict(line.split() for line in out if line)

    def inspect(self, service):
        return json.loads(sh("docker", "inspect", self.ids()[service]).stdout)[0]

    def gone(self):
        sh("docker", "compose", "-p", self.name, "down", "-v", "-t", "1", "--remove-orphans", check=False, cwd="/")
        shutil.rmtree(self.folder, ignore_errors=True)


def service(name, command, more="", image=IMAGE):
    return f"  {name}:\n    image: {image}\n    command: [sh, -c, {json.dumps(command)}]\n{LABEL}{more}"


SERVER = "sleep 0.3; touch /tmp/ok; exec sleep 3600"
THREE = (service("db", SERVER, OK) + service("migrate", "echo migrated", "    depends_on: {db: {condition: service_healthy}}\n")
         + service("app", SERVER, OK + "    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}\n"))


def same(got, want, what):
    assert got == want, f"{what}: {got!r}, wanted {want!r}"


def has(text, *parts):
    for part in parts:
        assert part in text, f"'{part}' is missing in:\n{text}"


def test_starts_in_order_and_does_nothing_the_second_time():
    p = Project("order", THREE)
    try:
        done = p.up()
        same(done.returncode, 0, done.stdout + done.stderr)
        has(done.stdout, "3 services up and stable")
        started = {s: p.inspect(s)["State"]["StartedAt"] for s in ("db", "migrate", "app")}
        assert started["db"] < started["migrate"] < started["app"], started
        assert p.inspect("app")["State"]["StartedAt"] >= p.inspect("migrate")["State"]["FinishedAt"]
        before = p.ids()
        again = p.up("--json")
        same(again.returncode, 0, again.stderr)
        same(p.ids(), before, "containers after a second up")
        same({s: p.inspect(s)["State"]["StartedAt"] for s in started}, started, "nothing was started again, the one-shot neither")
        status = json.loads(p.run("status", "--json").stdout)
        same(status["revision_result"], "good", "status")
    finally:
        p.gone()


def test_failure_names_the_first_cause_and_spares_the_other_branch():
    p = Project("cause", service("db", "echo starting; echo 'FATAL: no password'; exit 3", OK) + service("app", SERVER, "    depends_on: {db: {condition: service_healthy}}\n")
                + service("edge", SERVER, "    depends_on: [app]\n") + service("other", SERVER, OK))
    try:
        done = p.up()
        same(done.returncode, 1, done.stdout + done.stderr)
        has(done.stdout, "db: ended with exit code 3", "log: FATAL: no password", "not started because of it: app, edge", "NOT up: 1 of 4")
        same(p.inspect("other")["State"]["Health"]["Status"], "healthy", "the other branch")
        same(p.inspect("app")["State"]["Status"], "created", "app")
    finally:
        p.gone()


def test_never_healthy_crash_loop_and_missing_tool_are_told_apart():
    p = Project("kinds", service("never", "exec sleep 3600", "    healthcheck: {test: [CMD-SHELL, 'echo not yet; exit 1'], interval: 1s, timeout: 2s, retries: 2}\n")
                + service("loop", "echo boom; sleep 0.2; exit 7", "    restart: always\n")
                + service("tool", "exec sleep 3600", "    healthcheck: {test: [CMD, curl, -f, http://localhost], interval: 1s, timeout: 2s, retries: 2}\n"))
    try:
        done = p.run("up", "--progress", "plain", "--min-free", "1g", "--settle", "5s")  # on a busy machine its first run may outlast a second
        same(done.returncode, 1, done.stderr)
        has(done.stdout, "never: unhealthy", "healthcheck: exit 1: not yet", "loop: keeps restarting", "it ended with exit code 7", "log: boom", "tool: unhealthy", "executable file not found")
    finally:
        p.gone()


def test_image_that_is_missing_stops_before_anything_is_touched():
    p = Project("image", service("a", SERVER, OK) + service("b", SERVER, "    pull_policy: never\n", image="deploy-test/no-such:1"))
    try:
        done = p.up()
        same(done.returncode, 2, done.stdout)
        has(done.stderr, "image deploy-test/no-such:1 of b is not here", "nothing was touched")
        same(p.ids(), {}, "containers")
        tried = p.up("--no-preflight")
        assert tried.returncode == 1, tried.stdout + tried.stderr
        has(tried.stdout, "deploy-test/no-such:1")
    finally:
        p.gone()


def test_port_that_is_taken_names_its_holder_and_the_next_up_works():
    port = 20000 + os.getpid() % 10000
    ports = f"    ports: ['127.0.0.1:{port}:80']\n"
    holder = Project("holder", service("h", SERVER, ports))
    p = Project("port", service("web", SERVER, ports) + service("other", SERVER))
    try:
        same(holder.up().returncode, 0, "holder")
        done = p.up()
        same(done.returncode, 2, done.stdout)
        has(done.stderr, f"web publishes {port}/tcp, which is taken by container {holder.name}-h-1")
        done = p.up("--no-preflight")
        same(done.returncode, 1, done.stdout)
        has(done.stdout, "web: cannot start: a port that it publishes is taken")
        same(p.inspect("other")["State"]["Status"], "running", "other")
        holder.gone()
        same(p.up().returncode, 0, "the next up")
    finally:
        p.gone()
        holder.gone()


def test_ctrl_c_leaves_a_known_state():
    p = Project("ctrlc", service("slow", "exec sleep 3600", OK.replace("retries: 3", "retries: 60")) + service("app", SERVER, "    depends_on: {slow: {condition: service_healthy}}\n"))
    try:
        run = p.start()
        while "slow" not in p.ids() or p.inspect("slow")["State"]["Status"] != "running":
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
        same(run.returncode, 130, out + err)
        has(out, "interrupted", "'datamancy up' goes on from here")
        same(p.inspect("app")["State"]["Status"], "created", "app")
        has(p.run("history").stdout, "interrupted")
        sh("docker", "exec", p.ids()["slow"], "touch", "/tmp/ok")
        same(p.up().returncode, 0, "the next up")
    finally:
        p.gone()


def test_kill_9_at_random_moments(rounds=6):
    p = Project("kill", THREE + service("x", SERVER, OK + "    depends_on: {app: {condition: service_healthy}}\n"))
    try:
        for i in range(rounds):
            p.write("compose.yaml", open(os.path.join(p.folder, "compose.yaml")).read().split("# round")[0] + f"# round\nx-round: {i}\n")
            if i % 3 == 0:
                sh("docker", "compose", "-p", p.name, "down", "-t", "1", cwd=p.folder)
            run = p.start(*(["--recreate", "db"] if i % 3 else []))
            time.sleep(random.uniform(0.05, 6))
            run.kill()
            run.communicate()
            done = p.up()
            same(done.returncode, 0, f"round {i}: {done.stdout}{done.stderr}")
            same(len(p.ids()), 4, "containers")
            again = p.run("plan", "--json")
            assert not json.loads(again.stdout)["changes"], again.stdout
        same(json.loads(p.run("status", "--json").stdout)["revision_result"], "good", "status")
    finally:
        p.gone()


def test_two_at_once_the_second_says_who_holds_it_or_waits():
    p = Project("two", service("a", "sleep 3; touch /tmp/ok; exec sleep 3600", OK.replace("retries: 3", "retries: 30")))
    try:
        first = p.start()
        while "creating" not in (line := first.stderr.readline()) and line:  # then it holds the lock
            pass
        second = p.up()
        same(second.returncode, 2, second.stdout + second.stderr)
        has(second.stderr, f"pid {first.pid}", f"up of {p.name}")
        third = p.up("--lock-wait", "60s")
        same(third.returncode, 0, third.stderr)
        same(first.wait(), 0, "the first one")
    finally:
        p.gone()


def test_atomic_returns_to_the_last_good_revision_also_where_a_tag_moved():
    p = Project("atomic", service("db", SERVER, OK) + service("app", SERVER, OK + "    depends_on: {db: {condition: service_healthy}}\n", image=APP))
    try:
        sh("docker", "tag", IMAGE, APP)
        done = p.up()
        same(done.returncode, 0, "first: " + done.stdout + done.stderr)
        good = p.inspect("app")["Image"]
        db = p.ids()["db"]
        # The tag moves to an image whose service never gets healthy.
        sh("docker", "build", "--network", "none", "--label", "datamancy.test=deploy", "-t", APP, "-", input=f"FROM {IMAGE}\nENTRYPOINT [\"sh\",\"-c\",\"exec sleep 3600\"]\n")
        done = p.up("--atomic")
        same(done.returncode, 1, done.stdout + done.stderr)
        has(done.stdout + done.stderr, "app: unhealthy", "going back to revision 1", "revision 1 runs again")
        same(p.inspect("app")["Image"], good, "image of app")
        same(p.inspect("app")["State"]["Health"]["Status"], "healthy", "app")
        same(p.ids()["db"], db, "db was not touched")
        has(p.run("history").stdout, "failed", "rollback to 1", "good")
        # A changed file: the new configuration fails, the old one comes back.
        text = open(os.path.join(p.folder, "compose.yaml")).read()
        p.write("compose.yaml", text.replace(json.dumps(SERVER), json.dumps("echo broken; exit 1")))
        done = p.up("--atomic")
        same(done.returncode, 1, done.stdout + done.stderr)
        same(p.inspect("app")["State"]["Health"]["Status"], "healthy", "app after the second one")
        same(p.inspect("db")["State"]["Health"]["Status"], "healthy", "db after the second one")
    finally:
        p.gone()
        for tag in sh("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", APP.rsplit(":", 1)[0]).stdout.split():
            sh("docker", "rmi", tag, check=False)  # by name: the good one has the id of the base image


def test_content_of_a_mounted_file_recreates_its_users_and_rollback_restores_it():
    p = Project("content", service("web", SERVER, OK + "    volumes: ['./web.conf:/etc/web.conf:ro']\n") + service("other", SERVER, OK)
                + service("conf", SERVER, OK + "    configs: [c]\n") + "configs:\n  c: {file: ./c.txt}\n")
    try:
        p.write("web.conf", "color = red\n")
        p.write("c.txt", "one\n")
        done = p.up()
        same(done.returncode, 0, "first: " + done.stdout + done.stderr)
        before = p.ids()
        p.write("web.conf", "color = blue\n")
        plan = p.run("plan").stdout
        has(plan, "content of ./web.conf changed", "1 to recreate", "2 as wanted")
        done = p.up()
        same(done.returncode, 0, "second: " + done.stdout + done.stderr)
        after = p.ids()
        assert after["web"] != before["web"] and after["other"] == before["other"] and after["conf"] == before["conf"], (before, after)
        done = p.up()
        same(done.returncode, 0, "third: " + done.stdout + done.stderr)
        same(p.ids(), after, "containers of the third")
        done = p.run("rollback", "--progress", "plain", "--no-preflight", "--settle", "1s")
        same(done.returncode, 0, done.stdout + done.stderr)
        same(sh("docker", "exec", p.ids()["web"], "cat", "/etc/web.conf").stdout, "color = red\n", "content after the rollback")
        same(open(os.path.join(p.folder, "web.conf")).read(), "color = blue\n", "the user's file is not touched")
        has(done.stderr, "going back to revision 1 (up by ")
        has(p.run("status").stdout, f"files: {p.folder}/compose.yaml")
        done = p.up()
        same(done.returncode, 0, "up from the files again: " + done.stdout + done.stderr)
        same(sh("docker", "exec", p.ids()["web"], "cat", "/etc/web.conf").stdout, "color = blue\n", "content after the next up")
    finally:
        p.gone()


def test_no_secret_in_the_store_and_rollback_fills_it_in():
    p = Project("secret", service("app", SERVER, OK + "    environment: {DB_PASSWORD: '${DB_PASSWORD}', COLOR: '${COLOR}', URL: 'postgres://u:${DB_PASSWORD}@db/x'}\n"))
    try:
        p.write(".env", "DB_PASSWORD=s3cr3t-Grotte$9\nCOLOR=red\n")
        done = p.up()
        same(done.returncode, 0, "first: " + done.stdout + done.stderr)
        p.write(".env", "DB_PASSWORD=s3cr3t-Grotte$9\nCOLOR=blue\n")
        done = p.up()
        same(done.returncode, 0, "second: " + done.stdout + done.stderr)
        done = p.run("rollback", "--progress", "plain", "--no-preflight", "--settle", "1s")
        same(done.returncode, 0, done.stdout + done.stderr)
        env = p.inspect("app")["Config"]["Env"]
        assert "COLOR=red" in env and "DB_PASSWORD=s3cr3t-Grotte$9" in env, env
        found = subprocess.run(["grep", "-rlF", "s3cr3t-Grotte", STATE], capture_output=True, text=True).stdout
        same(found, "", "files of the store that hold the secret")
    finally:
        p.gone()


def test_a_project_that_compose_started_is_taken_over_as_it_is():
    p = Project("adopt", THREE)
    try:
        sh("docker", "compose", "up", "-d", cwd=p.folder)
        time.sleep(2)
        before = p.ids()
        status = p.run("status")
        has(status.stdout, "started by docker compose 2", "store: " + STATE)
        elsewhere = subprocess.run([BINARY, "-p", p.name, "status"], cwd="/", env=ENV, text=True, capture_output=True)
        has(elsewhere.stdout, p.folder, "healthy")
        by_name = lambda *words: subprocess.run([BINARY, "-p", p.name, *words], cwd="/", env=ENV, text=True, capture_output=True)  # noqa: E731
        has(by_name("logs", "migrate").stdout, "migrate | migrated")
        has(by_name("plan").stdout, "0 to create, 0 to recreate", "3 as wanted")
        has(subprocess.run([BINARY, "-p", "no-such-project", "plan"], cwd="/", env=ENV, text=True, capture_output=True).stderr, "there is no container of a project 'no-such-project'")
        done = p.up()
        same(done.returncode, 0, done.stdout + done.stderr)
        same(p.ids(), before, "containers")
        has(p.run("history").stdout, "adopt")
    finally:
        p.gone()


def by_name(p, *words):
    return subprocess.run([BINARY, "-p", p.name, *words], cwd="/", env=ENV, text=True, capture_output=True, timeout=180)


def test_a_project_with_sealed_values_is_found_by_its_name():
    p = Project("sealed-name", service("a", SERVER, "    environment: {DB_PASSWORD: \"${DB_PASSWORD:?}\"}\n"))
    keys = dict(ENV, SOPS_AGE_KEY_FILE=os.path.join(p.folder, "keys.txt"))
    try:
        p.write(".env", "DB_PASSWORD=kohlrabi-77\n")
        for words in (["init"], ["migrate"]):
            done = p.run("secrets", *words, env=keys)
            same(done.returncode, 0, done.stdout + done.stderr)
        done = p.up(env=keys)
        same(done.returncode, 0, done.stdout + done.stderr)
        found = subprocess.run([BINARY, "-p", p.name, "plan"], cwd="/", env=keys, text=True, capture_output=True, timeout=60)
        has(found.stdout + found.stderr, "0 to recreate", "1 as wanted")
        assert "/dev/fd" not in by_name(p, "status").stdout, by_name(p, "status").stdout
    finally:
        p.gone()


def test_by_name_after_a_rollback_the_files_are_asked_and_not_the_kept_model():
    p = Project("back-name", service("a", SERVER))
    try:
        same(p.up().returncode, 0, "up")
        p.write("compose.yaml", f"name: {p.name}\nservices:\n" + service("a", SERVER + " #"))
        same(p.up().returncode, 0, "second up")
        done = p.run("rollback")
        same(done.returncode, 0, done.stdout + done.stderr)
        has(by_name(p, "plan").stdout, "1 to recreate")
        os.rename(os.path.join(p.folder, "compose.yaml"), os.path.join(p.folder, "own.yaml"))
        has(by_name(p, "plan").stderr, "made by a rollback", "-f FILE", p.folder)
        has(by_name(p, "status").stdout, "running")
    finally:
        p.gone()


def test_services_that_compose_has_to_start_are_started_by_it():
    p = Project("inline", service("a", "cat /c; " + SERVER, OK + "    configs: [{source: c, target: /c}]\n") + service("b", SERVER, "    depends_on: {a: {condition: service_healthy}}\n")
                + "configs:\n  c: {content: inline-text}\n")
    try:
        done = p.up()
        same(done.returncode, 0, done.stdout + done.stderr)
        same(sh("docker", "exec", p.ids()["a"], "cat", "/c").stdout, "inline-text", "config")
    finally:
        p.gone()


def test_early_readiness_lets_dependents_go_before_the_engine_asks():
    slow = OK.replace("interval: 1s", "interval: 8s")
    p = Project("early", service("db", SERVER, slow + "    x-datamancy: {early_readiness: true}\n") + service("app", SERVER, "    depends_on: {db: {condition: service_healthy}}\n"))
    try:
        def between():
            began = {s: p.inspect(s)["State"]["StartedAt"] for s in ("db", "app")}
            at = {s: float(t[17:19]) + float(t[19:25]) + 60 * int(t[14:16]) for s, t in began.items()}
            return (at["app"] - at["db"]) % 3600
        same(p.up().returncode, 0, "up")
        assert between() < 8, f"app started {between()} s after db, the engine asks after 8"
        sh("docker", "compose", "down", "-t", "1", cwd=p.folder)
        same(p.up("--no-early-readiness").returncode, 0, "up without")
        assert between() >= 8, between()
    finally:
        p.gone()


def test_restart_cascade_follows_dependents():
    p = Project("cascade", THREE + service("alone", SERVER))
    try:
        same(p.up().returncode, 0, "up")
        before = {s: p.inspect(s)["State"]["StartedAt"] for s in ("db", "app", "alone", "migrate")}
        done = p.run("restart", "db", "--cascade", "--progress", "plain", "--settle", "1s")
        same(done.returncode, 0, done.stdout + done.stderr)
        after = {s: p.inspect(s)["State"]["StartedAt"] for s in before}
        assert after["db"] > before["db"] and after["app"] > after["db"], (before, after)
        assert after["alone"] == before["alone"] and after["migrate"] == before["migrate"], (before, after)
        has(p.run("logs", "migrate").stdout, "migrate | migrated")
    finally:
        p.gone()


def main(module=None):
    if subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        print("no engine")
        return 77
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True).returncode != 0:
        base = next((i for i in ("datamancy-lab/base:13", "datamancy-lab/debian:trixie", "busybox:latest") if subprocess.run(["docker", "image", "inspect", i], capture_output=True).returncode == 0), None)
        if base is None:
            print("no image to build from")
            return 77
        sh("docker", "build", "--network", "none", "-t", IMAGE, "-", input=f"FROM {base}\nLABEL datamancy.test=deploy\nCMD [\"sleep\",\"3600\"]\n")
    tests = {name: body for name, body in (module or globals()).items() if name.startswith("test_")}
    wanted = sys.argv[3:] or list(tests)
    failed = 0
    for name, body in tests.items():
        if not any(word in name for word in wanted):
            continue
        begin = time.time()
        try:
            body()
            print(f"ok   {name} ({time.time() - begin:.1f} s)", flush=True)
        except Exception as trouble:  # a test that fails must not hide the others
            failed += 1
            print(f"FAIL {name}: {trouble}", flush=True)
    shutil.rmtree(STATE, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
