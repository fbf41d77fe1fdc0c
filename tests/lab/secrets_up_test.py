#!/usr/bin/env python3
"""`datamancy up`, `plan`, `restart` and `rollback` deliver secrets themselves: no file in the clear, exactly the users of a changed secret are recreated, a key
that does not fit touches nothing, owner and mode of the long syntax hold."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "secrets"))
import labtest
from labtest import ENV, docker, eventually, run, tag, that
from tracing import Trace, can_trace

BINARY = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.abspath("build/datamancy")
PROJECT = f"secretsup{os.getpid()}"
TAGS = {"postgres": f"postgres:17-{PROJECT}", "base": f"example/base:1-{PROJECT}"}
VALUES = {"PG_PASSWORD": "pg up 'secret' $one", "API_TOKEN": "token-of-the-club-7", "ENV_ONLY": "only-by-environment-5"}
OF_SERVICES = {"TOKEN": "zebra 'tok $x of its own", "POSTGRES_PASSWORD": "quagga db of its own"}  # in sealed env files of services
COMPOSE = """
services:
  db:
    image: {postgres}
    environment: {{POSTGRES_PASSWORD: "${{PG_PASSWORD:?}}", POSTGRES_USER: app}}
    labels: {{datamancy.test: secrets}}
  reader:
    image: {base}
    command: ["sleep", "infinity"]
    init: true
    user: "999:998"
    secrets:
      - {{source: token, target: tok, uid: "999", gid: "998", mode: 0400}}
    labels: {{datamancy.test: secrets}}
  plain:
    image: {base}
    command: ["sleep", "infinity"]
    init: true
    user: "1234"
    secrets: [token]
    labels: {{datamancy.test: secrets}}
  env:
    image: {base}
    command: ["sleep", "infinity"]
    init: true
    environment: {{VALUE: "${{ENV_ONLY:?}}"}}
    labels: {{datamancy.test: secrets}}
  bystander:
    image: {base}
    command: ["sleep", "infinity"]
    init: true
    labels: {{datamancy.test: secrets}}
secrets:
  token: {{environment: API_TOKEN}}
"""
OF = """
services:
  own:
    image: {base}
    command: ["sleep", "infinity"]
    init: true
    env_file: [env/plain.env, env/own.enc.env]
    labels: {{datamancy.test: secrets}}
  store:
    image: {postgres}
    env_file: env/store.enc.env
    labels: {{datamancy.test: secrets}}
  made:
    image: {base}
    command: ["sleep", "infinity"]
    init: true
    env_file: env/plain.env
    labels: {{datamancy.test: secrets}}
"""
world = tempfile.TemporaryDirectory(prefix="dm-secrets-up-")
folder, home, state = (os.path.join(world.name, n) for n in (PROJECT, "home", "state"))
for each in (folder, home, state):
    os.makedirs(each)
env = {**{k: v for k, v in ENV.items() if not k.startswith("SOPS_")}, "HOME": home, "DATAMANCY_STATE": state}


def dm(*words, data=None, status=0, more=()):
    done = subprocess.run([BINARY, *words], env={**env, **dict(more)}, cwd=folder, input=data, capture_output=True, text=True)
    said = done.stdout + done.stderr
    that(not any(v in said for v in VALUES.values()), f"{' '.join(words)} says a secret")
    if status is not None and done.returncode != status:
        raise labtest.Failed(f"{' '.join(words)}: status {done.returncode}\n{said}")
    return said


def up(*words, **more):
    return dm("up", "--progress", "plain", "--min-free", "100m", "--settle", "1s", *words, **more)


def container(service):
    return docker("ps", "-aq", "--no-trunc", "--filter", f"label=com.docker.compose.project={PROJECT}", "--filter", f"label=com.docker.compose.service={service}")


def all_containers():
    return {s: container(s) for s in ("db", "reader", "plain", "env", "bystander")}


def delivered():
    out = {}
    for root in ("/run/datamancy", "/dev/shm/datamancy", os.environ.get("XDG_RUNTIME_DIR", "/nowhere") + "/datamancy"):
        at = os.path.join(root, PROJECT)
        for name in os.listdir(at) if os.path.isdir(at) else []:
            path = os.path.join(at, name)
            info = os.stat(path)
            out[name] = (open(path).read(), info.st_uid, info.st_gid, info.st_mode & 0o7777, path)
    return out


def no_plaintext():
    for at, _, names in os.walk(world.name):
        for name in names:
            content = open(os.path.join(at, name), "rb").read()
            that(not any(v.encode() in content for v in VALUES.values()), f"{name} holds a secret in the clear")


def takes(password):
    address = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", container("db")).split()[0]
    return subprocess.run(["docker", "exec", "-e", "PGPASSWORD=" + password, container("db"), "psql", "-h", address, "-U", "app", "-d", "postgres", "-w", "-Atc", "select 1"],
                          env=ENV, capture_output=True).returncode == 0


def test_up_delivers_by_itself():
    for name, other in TAGS.items():
        docker("tag", tag(name), other)
    with open(os.path.join(folder, "compose.yaml"), "w") as file:
        file.write(COMPOSE.format(**TAGS))
    dm("secrets", "init")
    dm("secrets", "set", "--null", data="".join(f"{k}={v}\0" for k, v in VALUES.items()))
    that(not delivered(), "nothing is there before")
    dm("plan")
    that("does not exist" not in dm("preflight", "--min-free", "100m", status=None), "preflight does not miss files that up will write")
    dm("up", "--dry-run")
    that(not delivered(), "plan, preflight and a dry run write nothing")
    said = up()
    that("3 of 3 files" in said or "4 of 4 files" in said, said)
    eventually("the database takes its password", lambda: takes(VALUES["PG_PASSWORD"]), 90)
    that(not takes("wrong"), "the database refuses another")
    seen = docker("inspect", container("db"), container("reader"), container("plain"))
    that(VALUES["PG_PASSWORD"] not in seen and VALUES["API_TOKEN"] not in seen, "inspect shows no secret that is a file")
    no_plaintext()


def test_owner_and_mode_of_the_long_syntax():
    files = delivered()
    own = next(v for k, v in files.items() if k.startswith("reader."))
    that(own[:4] == (VALUES["API_TOKEN"], 999, 998, 0o400), f"the reader's own file: {own[1:4]}")
    that(files["secret.token"][:4] == (VALUES["API_TOKEN"], os.geteuid(), os.getegid(), 0o444), "the file for all")
    that(docker("exec", container("reader"), "cat", "/run/secrets/tok") == VALUES["API_TOKEN"], "its owner reads it")
    that(subprocess.run(["docker", "exec", "-u", "1234", container("reader"), "cat", "/run/secrets/tok"], env=ENV, capture_output=True).returncode != 0, "another user does not")
    that(docker("exec", container("plain"), "cat", "/run/secrets/token") == VALUES["API_TOKEN"], "without a mode everybody reads it")


def test_a_second_up_changes_nothing():
    before = all_containers()
    said = up()
    that("secrets:" not in said, said)
    that(all_containers() == before, "no container is new")


def test_exactly_the_users_of_a_changed_secret_are_recreated():
    before = all_containers()
    VALUES["API_TOKEN"] = "another-token-of-the-club"
    dm("secrets", "set", "API_TOKEN", data=VALUES["API_TOKEN"])
    said = dm("plan")
    that("secret token changed" in said or "secrets API_TOKEN, token changed" in said, said)
    up()
    after = all_containers()
    that({s for s in before if before[s] != after[s]} == {"reader", "plain"}, f"recreated: {[s for s in before if before[s] != after[s]]}")
    that(docker("exec", container("reader"), "cat", "/run/secrets/tok") == VALUES["API_TOKEN"], "the new value is there")
    VALUES["ENV_ONLY"] = "another-by-environment-6"
    dm("secrets", "set", "ENV_ONLY", data=VALUES["ENV_ONLY"])
    that("secret ENV_ONLY changed" in dm("plan"), "the plan names a variable, too")
    up()
    that({s for s in after if after[s] != container(s)} == {"env"}, "only the user of the variable is recreated")


def test_what_is_exported_does_not_win_over_what_is_sealed():
    before = all_containers()
    up(more={"PG_PASSWORD": "from-the-shell", "ENV_ONLY": "from-the-shell"}.items())
    that(all_containers() == before, "no container is new")


def test_a_key_that_does_not_fit_touches_nothing():
    before, files = all_containers(), delivered()
    other = os.path.join(world.name, "other")
    os.makedirs(other, exist_ok=True)
    for verb in (("up", "--min-free", "100m"), ("plan",), ("restart", "env"), ("rollback",), ("preflight",), ("secrets", "deliver"), ("secrets", "compose", "--", "up", "-d")):
        said = dm(*verb, status=11, more={"HOME": other}.items())
        that("no key" in said, said)
    sealed = os.path.join(folder, "secrets.enc.env")
    good = open(sealed).read()
    with open(sealed, "w") as file:
        file.write(good.replace("data:", "data:A", 1))
    dm("up", "--min-free", "100m", status=12)
    with open(sealed, "w") as file:
        file.write(good)
    that(all_containers() == before and delivered() == files, "containers and files are as they were")


def test_a_traced_up_says_no_secret_to_argv_file_or_socket():
    trace = os.path.join(world.name, "trace")
    os.makedirs(trace)
    strace = ["strace", "-ff", "-qq", "-s", "1000000", "-xx", "-y", "-e", "trace=execve,write,writev,pwrite64,sendto,sendmsg", "-o", os.path.join(trace, "t")]
    if subprocess.run([*strace, "true"], capture_output=True).returncode != 0:
        print("       strace may not trace here: not looked at")
        return
    dm("secrets", "deliver", "--withdraw")  # so that the files are written in the trace
    words = [BINARY, "up", "--progress", "plain", "--min-free", "100m", "--settle", "1s", "--recreate", "db", "--recreate", "reader"]
    done = subprocess.run([*strace, *words], env=env, cwd=folder, capture_output=True, text=True)
    that(done.returncode == 0, f"traced up: status {done.returncode}\n{done.stdout}{done.stderr}")
    needles = {name: "".join(f"\\x{b:02x}" for b in VALUES[name].encode()) for name in ("PG_PASSWORD", "API_TOKEN")}
    seen = 0
    for name in os.listdir(trace):
        for line in open(os.path.join(trace, name), errors="replace"):
            for secret, needle in needles.items():
                if needle not in line:
                    continue
                target = "".join(chr(int(line[i + 2:i + 4], 16)) for i in range(line.find("<") + 1, line.find(">"), 4)) if "<\\x" in line[:40] else line.split("<", 1)[-1].split(">", 1)[0]
                memory = "memfd:" in target or target.startswith(("/dev/shm/datamancy/", "/run/datamancy/", "/run/user/"))
                that(memory and not line.startswith("execve"), f"{secret} in {line.split('(')[0]} to {target}")
                seen += 1
        os.remove(os.path.join(trace, name))
    that(seen >= 3, f"the trace sees writes to memory ({seen}), so it would see others")


def test_no_verb_that_handles_secrets_says_one_to_argv_file_or_engine():
    if not can_trace():
        print("       strace may not trace here: not looked at")
        return
    key = os.path.join(world.name, "repository-key")
    with open(key, "w") as file:
        file.write("of the repository\n")
    repository = ("--repository", os.path.join(world.name, "repository"), "--password-file", key)
    quick = ("--progress", "plain", "--min-free", "100m", "--settle", "1s")
    files = [VALUES["PG_PASSWORD"], VALUES["API_TOKEN"]]
    seen = 0
    for words in (("plan",), ("preflight", "--min-free", "100m"), ("up", *quick, "--recreate", "reader"), ("restart", "--progress", "plain", "--settle", "1s", "plain"), ("status",), ("check",),
                  ("audit", "--live"), ("rollback", *quick), ("up", *quick), ("backup", "run", *repository), ("history",), ("logs", "--tail", "3", "db")):
        trace = Trace()
        done = subprocess.run(trace.argv([BINARY, *words]), env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        that(done.returncode in (0, 1), f"{words[0]}: status {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
        said = done.stdout + done.stderr
        that(not any(v in said for v in VALUES.values()), f"{words} says a secret")
        # What goes by environment is in the request that makes its container, and nowhere else.
        leaks = trace.leaks(VALUES.values(), pipes=True, made=[VALUES["ENV_ONLY"]])  # pipes: what Compose answers us; our own output is looked at above
        that(not leaks, f"{words}: {leaks[:3]}")
        seen += trace.seen
        trace.close()
    that(seen > 10, f"the traces see writes to memory ({seen}), so they would see others")
    trace = Trace()  # and one that is planted is seen
    subprocess.run(trace.argv(["docker", "exec", "-e", "PGPASSWORD=" + files[0], container("db"), "true"]), env=env, capture_output=True)
    leaks = " ".join(trace.leaks(files, engine_stdin=True))
    that("argv" in leaks and "socket" in leaks, f"a password in an argument and in a request is seen: {leaks[:200]}")
    trace.close()


def test_restart_puts_back_files_that_are_gone():
    dm("secrets", "deliver", "--withdraw")
    that(not delivered(), "withdrawn")
    dm("restart", "--progress", "plain", "--settle", "1s", "plain")
    that(docker("exec", container("plain"), "cat", "/run/secrets/token") == VALUES["API_TOKEN"], "read again")
    up()


def test_rollback_runs_with_the_values_of_today():
    text = open(os.path.join(folder, "compose.yaml")).read()
    with open(os.path.join(folder, "compose.yaml"), "w") as file:
        file.write(text.replace("user: \"1234\"", "user: \"1235\""))
    up()
    dm("rollback", "--progress", "plain", "--min-free", "100m", "--settle", "1s")
    that(json.loads(docker("inspect", container("plain")))[0]["Config"]["User"] == "1234", "the configuration before")
    that(docker("exec", container("plain"), "cat", "/run/secrets/token") == VALUES["API_TOKEN"], "with its secret")
    eventually("the database takes its password", lambda: takes(VALUES["PG_PASSWORD"]), 90)
    no_plaintext()


def test_a_sealed_file_that_vanished_is_13_and_touches_nothing():
    before, files = all_containers(), delivered()
    sealed, compose = os.path.join(folder, "secrets.enc.env"), os.path.join(folder, "compose.yaml")
    text = open(compose).read()
    os.rename(sealed, sealed + ".away")
    try:
        for lenient in (False, True):  # without :? Compose would take empty values, with a warning
            if lenient:
                with open(compose, "w") as file:
                    file.write(text.replace(":?}", "}"))
            for verb in (("up", "--min-free", "100m"), ("plan",)):
                said = dm(*verb, status=13)
                that("no sealed file gives any more" in said and "ENV_ONLY (env)" in said and "token (" in said, said)
    finally:
        os.rename(sealed + ".away", sealed)
        with open(compose, "w") as file:
            file.write(text)
    that(all_containers() == before and delivered() == files, "containers and files are as they were")


def test_a_sealed_env_file_of_a_service():
    at = os.path.join(folder, "env")
    os.makedirs(at)
    with open(os.path.join(folder, "of.yaml"), "w") as file:
        file.write(OF.format(**TAGS))
    with open(os.path.join(at, "plain.env"), "w") as file:
        file.write("PLAIN=1\nTOKEN=from the plain one\n")
    seal = lambda name, text: dm("secrets", "seal", "-", "-o", f"env/{name}.enc.env", "--type", "dotenv", data=text)
    seal("own", f"TOKEN=\"{OF_SERVICES['TOKEN'].replace('$', chr(92) + '$')}\"\n")
    seal("store", f"POSTGRES_PASSWORD={OF_SERVICES['POSTGRES_PASSWORD']}\nPOSTGRES_USER=app\n")
    both = ("-f", "compose.yaml", "-f", "of.yaml")
    go = lambda *words, **more: dm(*both, "up", "--progress", "plain", "--min-free", "100m", "--settle", "1s", *words, **more)
    mine = lambda: {s: container(s) for s in ("own", "store", "made", *all_containers())}
    said = go()
    that(not any(v in said for v in OF_SERVICES.values()), "up says none")
    shown = json.loads(docker("inspect", container("own")))[0]["Config"]["Env"]
    that(f"TOKEN={OF_SERVICES['TOKEN']}" in shown and "PLAIN=1" in shown, f"the container has the sealed value, over that of the plain file: {len(shown)}")
    that(OF_SERVICES["POSTGRES_PASSWORD"] not in docker("inspect", container("store")), "what the image takes as a file is none in inspect")
    eventually("the database takes it", lambda: subprocess.run(["docker", "exec", container("store"), "pg_isready", "-q"], env=ENV).returncode == 0, 90)
    that(docker("exec", container("store"), "cat", "/run/secrets/dm_store_POSTGRES_PASSWORD") == OF_SERVICES["POSTGRES_PASSWORD"], "its file")
    for root, _, names in os.walk(world.name):
        for name in names:
            content = open(os.path.join(root, name), "rb").read()
            that(not any(v.encode() in content for v in OF_SERVICES.values()), f"{name} holds a sealed env file's value in the clear")
    before = mine()
    go()
    that(mine() == before, "a second up changes nothing, for services with plain env files neither")
    OF_SERVICES["TOKEN"] = "another of its own"
    dm("secrets", "set", "TOKEN", "--in", "env/own.enc.env", data=OF_SERVICES["TOKEN"])
    that("secret env/own.enc.env:TOKEN changed" in dm(*both, "plan"), "the plan says which")
    go()
    that({s for s, c in before.items() if c != mine()[s]} == {"own"}, "exactly its user is recreated")
    before = mine()
    with open(os.path.join(at, "plain.env"), "w") as file:
        file.write("PLAIN=2\nTOKEN=from the plain one\n")
    go()
    that({s for s, c in before.items() if c != mine()[s]} == {"own", "made"}, "a changed plain env file recreates its users")
    before, sealed = mine(), os.path.join(at, "store.enc.env")
    os.rename(sealed, sealed + ".away")
    said = dm(*both, "up", "--min-free", "100m", status=13)
    that("env/store.enc.env:POSTGRES_PASSWORD (store)" in said and "own.enc.env" not in said.split("any more:")[1], said)
    os.rename(sealed + ".away", sealed)
    dm(*both, "up", "--min-free", "100m", status=11, more={"HOME": os.path.join(world.name, "other")}.items())
    that(mine() == before, "and touches nothing")
    dm(*both, "restart", "--progress", "plain", "--settle", "1s", "store")
    dm(*both, "secrets", "deliver", "--withdraw")
    dm(*both, "secrets", "deliver")  # what the unit does at boot
    that(any(name == "store.POSTGRES_PASSWORD" for name in delivered()), "the reboot unit's command brings its file back")
    text = open(os.path.join(folder, "of.yaml")).read()
    with open(os.path.join(folder, "of.yaml"), "w") as file:
        file.write(text.replace("env_file: env/plain.env", "env_file: env/plain.env\n    user: \"1234\""))
    go()
    dm(*both, "rollback", "--progress", "plain", "--min-free", "100m", "--settle", "1s")
    that(json.loads(docker("inspect", container("made")))[0]["Config"]["User"] == "", "rolled back")
    that(f"TOKEN={OF_SERVICES['TOKEN']}" in json.loads(docker("inspect", container("own")))[0]["Config"]["Env"], "with the values of today")
    up("--remove-orphans")


def test_files_go_when_nobody_mounts_them():
    other = os.path.join(folder, "other.yaml")
    with open(other, "w") as file:
        file.write(f"name: {PROJECT}\nservices: {{only: {{image: {TAGS['base']}, secrets: [one]}}}}\nsecrets: {{one: {{environment: ENV_ONLY}}}}\n")
    before = delivered()
    dm("-f", "other.yaml", "secrets", "deliver")
    that(set(delivered()) == {*before, "secret.one"}, f"a part of the project takes nothing from the rest: {sorted(delivered())}")
    text = open(other).read()
    with open(other, "w") as file:
        file.write(text.replace("secrets: [one]", "secrets: [one], command: [sleep, infinity], init: true, labels: {datamancy.test: secrets}"))
    docker("stop", "-t", "1", container("reader"))
    dm("-f", "other.yaml", "up", "--progress", "plain", "--min-free", "100m", "--settle", "1s")  # it prunes, and knows nothing of the rest
    that(set(delivered()) == {*before, "secret.one"}, f"what others mount stays, a stopped one's too: {sorted(delivered())}")
    docker("start", container("reader"))
    that(docker("exec", container("reader"), "cat", "/run/secrets/tok") == VALUES["API_TOKEN"], "and it starts again with its file")
    docker("rm", "-f", container("only"))
    os.remove(other)
    up()
    that(set(delivered()) == set(before), f"an up removes what no container mounts: {sorted(delivered())}")


def clean():
    subprocess.run([BINARY, "down", "--volumes", "--yes", "--remove-orphans", "--timeout", "1"], env=env, cwd=folder, capture_output=True)
    subprocess.run([BINARY, "secrets", "deliver", "--withdraw"], env=env, cwd=folder, capture_output=True)
    for other in TAGS.values():
        subprocess.run(["docker", "rmi", other], env=ENV, capture_output=True)


if __name__ == "__main__":
    try:
        run(globals(), list(TAGS))
    finally:
        clean()
