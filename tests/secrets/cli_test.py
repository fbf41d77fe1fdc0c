#!/usr/bin/env python3
"""cli_test.py DATAMANCY: git, edit, migrate, scan, deliver, doctor, escrow, rotate's refusals; no engine and no other program but git."""
import json, os, shutil, stat, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import World, equal

w = World(sys.argv[1], need=("git",))
bin_folder = os.path.join(w.temporary.name, "bin")
os.makedirs(bin_folder)
os.symlink(w.binary, os.path.join(bin_folder, "datamancy"))
w.env["PATH"] = bin_folder + os.pathsep + w.env["PATH"]


def git(*words, **options):
    return w.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main", *words], **options)


def get(name, **options):
    return w.dm("get", name, "--in", "secrets.enc.env", **options).stdout


def set_up():
    git("init", "-q", ".")
    said = w.dm("init").stdout.decode()
    equal((said.count(".gitattributes"), said.count(".gitignore")), (1, 1))
    equal("datamancy-secrets" in w.read(".gitattributes").decode(), True)
    equal(b".env\n" in w.read(".gitignore"), True)
    w.dm("set", "--null", input="A=first secret\0B=second secret\0C=third secret\0")
    git("add", "-A")
    git("commit", "-qm", "sealed")


w.check("init in a git work tree", set_up)


def differences_show_names():
    w.dm("set", "B", input="", status=2)  # a program before the pipe has failed
    w.dm("set", "B", input="changed")
    said = git("diff", "--no-color").stdout.decode()
    equal([l for l in said.split("\n") if l.startswith(("-A", "+A", "-C", "+C"))], [])
    equal(("-B = sealed" in said, "+B = sealed" in said, "changed" in said, "ENC[" in said), (True, True, False, False))
    git("commit", "-qam", "b")


w.check("git diff shows which names changed, and no value", differences_show_names)


def merges_by_name():
    git("checkout", "-qb", "other", "HEAD~1")
    w.dm("set", "C", input="theirs")
    w.dm("set", "D", input="added there")
    git("commit", "-qam", "theirs")
    git("checkout", "-q", "main")
    w.dm("remove", "A", "--yes")
    git("commit", "-qam", "ours")
    git("merge", "-q", "other", "-m", "merge")
    equal((get("B"), get("C"), get("D")), (b"changed", b"theirs", b"added there"))
    get("A", status=13)
    git("checkout", "-qb", "third", "HEAD~1")
    w.dm("set", "B", input="their b")
    git("commit", "-qam", "third")
    git("checkout", "-q", "main")
    w.dm("set", "B", input="our b")
    git("commit", "-qam", "fourth")
    done = git("merge", "-q", "third", "-m", "m", status=1)
    equal(b"both sides changed these" in done.stderr + done.stdout and b" B" in done.stderr + done.stdout, True)
    equal(get("B"), b"our b")
    git("checkout", "-q", "--ours", "secrets.enc.env", status=None)
    git("merge", "--abort", status=None)


w.check("git merge joins by name, and keeps ours where both changed one", merges_by_name)


def edits_on_tmpfs():
    w.write("editor", '#!/bin/sh\nstat -f -c %T "$1" > where; stat -c %a "$1" >> where; dirname "$1" >> where\nsed -i "s/our b/edited/" "$1"\n')
    os.chmod(os.path.join(w.folder, "editor"), 0o755)
    w.dm("edit", env={"EDITOR": "./editor"})
    kind, mode, folder = w.read("where").decode().split()
    equal((kind, mode, os.path.exists(folder)), ("tmpfs", "600", False))
    equal(get("B"), b"edited")
    before = w.read("secrets.enc.env")
    w.dm("edit", env={"EDITOR": "true"})
    w.dm("edit", env={"EDITOR": "false"}, status=2)
    w.write("editor", '#!/bin/sh\nprintf "export X=1\\n" >> "$1"\n')
    equal(b"line 4" in w.dm("edit", env={"EDITOR": "./editor"}, status=2).stderr, True)
    w.dm("edit", env={"EDITOR": "no-such-editor"}, status=10)
    equal(w.read("secrets.enc.env"), before)


w.check("edit: tmpfs, mode 0600, gone afterwards; what cannot be sealed changes nothing", edits_on_tmpfs)


def exec_hands_on():
    done = w.dm("exec", "--", "sh", "-c", 'printf %s "$B"; exit 7', status=7)
    equal(done.stdout, b"edited")
    w.dm("exec", "--", "no-such-program", status=10)
    os.makedirs(os.path.join(w.folder, "empty"), exist_ok=True)
    w.dm("exec", "--", "true", cwd=os.path.join(w.folder, "empty"), status=13)


w.check("exec: values in the environment, exit status of the program, exit 13 without secrets", exec_hands_on)


def migrates():
    folder = os.path.join(w.folder, "m")
    os.makedirs(folder)
    text = b'\xef\xbb\xbfexport DB_PASSWORD="pa ss\r\n"\r\n  # note\nKEY=\'line1\nline2 $x\'\nTWICE=1\nTWICE=two # c\nAPI_TOKEN=tok8qwertyZ\n'.replace(b"pa ss\r\n", b"pa ss")
    w.write("m/.env", text)
    git("add", "-f", "m/.env")
    git("commit", "-qm", "oops")
    said = w.dm("migrate", "m/.env", "--yes").stdout.decode()
    equal(os.path.exists(os.path.join(folder, ".env")), False)
    for word in ("tracks m/.env", "API_TOKEN", "DB_PASSWORD", "1 commit has"):
        equal((word, word in said), (word, True))
    equal((w.dm("get", "KEY", cwd=folder).stdout, w.dm("get", "TWICE", cwd=folder).stdout, w.dm("get", "DB_PASSWORD", cwd=folder).stdout), (b"line1\nline2 $x", b"two", b"pa ss"))
    git("check-ignore", "-q", "--no-index", "m/.env")
    w.write("m/.env", "X='open\n")
    w.dm("migrate", "m/.env", "-o", "m/x.enc.env", status=2)
    equal((os.path.exists(os.path.join(folder, ".env")), os.path.exists(os.path.join(folder, "x.enc.env"))), (True, False))
    os.remove(os.path.join(folder, ".env"))


w.check("migrate: normalised, sealed, proven, ignored, history told, then deleted", migrates)


def scans():
    done = w.run([w.binary, "secrets", "scan", "--history", "--json"], status=1)
    leaks = json.loads(done.stdout)["leaks"]
    equal(sorted({(l["rule"], l["name"]) for l in leaks if l.get("commit")}), [("sealed-in-clear", "API_TOKEN"), ("secret-literal", "DB_PASSWORD")])
    equal(b"tok8qwertyZ" in done.stdout, False)
    w.write("x.conf", "db_password = tok8qwertyZ\n")
    done = w.run([w.binary, "secrets", "scan", "--format", "sarif"], status=1)
    results = json.loads(done.stdout)["runs"][0]["results"]
    equal([(r["ruleId"], r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]) for r in results], [("sealed-in-clear", "x.conf")])
    w.dm("scan", "--write-baseline", "base")
    equal(b"tok8" in w.read("base"), False)
    w.dm("scan", "--baseline", "base")
    w.write("x.conf", "db_password = another0One\n")
    w.dm("scan", "--baseline", "base", status=1)
    os.remove(os.path.join(w.folder, "x.conf"))


w.check("scan: work tree, history, SARIF, baseline; no value in any of them", scans)


def delivers():
    folder = os.path.join(w.folder, "d")
    os.makedirs(folder)
    w.dm("set", "--null", input="PG_PASSWORD=db secret one\0TOK=token two\0OTHER=third\0", cwd=folder)
    w.write("d/cert.pem", "certificate\n")
    w.dm("seal", "cert.pem", cwd=folder)
    os.remove(os.path.join(folder, "cert.pem"))
    w.write("d/compose.yaml", """name: dmsecretstest
services:
  db: {image: postgres:17, environment: {POSTGRES_PASSWORD: "${PG_PASSWORD:?}", POSTGRES_USER: app}}
  app: {image: example/app:1, environment: {OTHER: "x${OTHER}"}, secrets: [tok, cert]}
  free: {image: example/free:1}
secrets: {tok: {environment: TOK}, cert: {file: ./cert.pem}}
""")
    try:
        said = w.dm("deliver", cwd=folder).stdout.decode()
        where = said.split(" in ")[1].split(",")[0]
        files = {name: open(os.path.join(where, name)).read() for name in os.listdir(where)}
        equal(files, {"db.POSTGRES_PASSWORD": "db secret one", "secret.tok": "token two", "secret.cert": "certificate\n"})
        equal((stat.S_IMODE(os.stat(where).st_mode), {stat.S_IMODE(os.stat(os.path.join(where, n)).st_mode) for n in files}), (0o700, {0o444}))
        equal("environment  app" in said and "OTHER" in said, True)
        inodes = {n: os.stat(os.path.join(where, n)).st_ino for n in files}
        before = w.dm("deliver", "--override", cwd=folder).stdout.decode()
        equal(any(secret in before for secret in ("db secret", "token two", "third")), False)
        w.dm("set", "PG_PASSWORD", input="db secret new", cwd=folder)
        after = w.dm("deliver", "--override", cwd=folder).stdout.decode()
        changed = [(a, b) for a, b in zip(before.split("\n"), after.split("\n")) if a != b]
        equal(len(changed) == 1 and "datamancy.secrets" in changed[0][0], True)  # one label of one service
        equal("1 changed" in w.dm("deliver", cwd=folder).stdout.decode(), True)
        equal([n for n in files if os.stat(os.path.join(where, n)).st_ino != inodes[n]], ["db.POSTGRES_PASSWORD"])
        w.dm("deliver", "--withdraw", cwd=folder)
        equal(os.path.exists(where), False)
    finally:
        w.dm("deliver", "--withdraw", cwd=folder, status=None)
    shown = w.run([w.binary, "config"], cwd=folder).stdout.decode()
    equal(("sealed.PG_PASSWORD" in shown, "db secret" in shown), (True, False))
    equal("db secret new" in w.run([w.binary, "config", "--show-secrets"], cwd=folder).stdout.decode(), True)
    for refuse in ("OTP_SECRET", "N8N_ENCRYPTION_KEY"):
        w.dm("set", refuse, input="x" * 20, cwd=folder)
        done = w.dm("rotate", refuse, "--yes", cwd=folder, status=None, env={"PATH": w.env["PATH"]})
        equal((done.returncode in (2, 10), b"blindly" in done.stderr or done.returncode == 10), (True, True))
    equal(w.run([w.binary, "audit", "--format", "json"], cwd=folder, status=None, env={"SOPS_AGE_KEY_FILE": "", "HOME": "/nonexistent"}).returncode in (0, 1), True)  # needs no key
    w.run([w.binary, "config"], cwd=folder, status=11, env={"HOME": "/nonexistent"})


w.check("deliver: files in memory, modes, only what changed; config hides values; audit needs no key, config without one is exit 11", delivers)


def sealed_env_files_of_services():
    folder = os.path.join(w.folder, "of")
    os.makedirs(os.path.join(folder, "env"))
    w.write("of/env/plain.env", "PLAIN=1\nTOKEN=from plain\nMADE=a-${S_TOKEN}-b\n")
    w.write("of/env/more.env", "MADE=a-${S_TOKEN}-b\n")
    w.dm("set", "S_TOKEN", input="of the project 7", cwd=folder)
    seal = lambda name, text: w.dm("seal", "-", "-o", name, "--type", "dotenv", input=text, cwd=folder)
    seal("env/a.enc.env", "TOKEN=zebra 'tok $x\nOWN=hidden by inline\nEMPTY=\nREF=p-${S_TOKEN}-q\n")
    seal("env/db.enc.env", "POSTGRES_PASSWORD=yonder db\nPOSTGRES_USER=app\nTOKEN=another of this name\n")
    w.write("of/compose.yaml", """name: dmsecretsof
services:
  a: {image: example/a:1, env_file: [env/plain.env, env/a.enc.env], environment: {OWN: inline}}
  db: {image: "postgres:17", env_file: env/db.enc.env}
  maybe: {image: example/m:1, env_file: [{path: env/gone.enc.env, required: false}]}
  off: {image: "postgres:17", env_file: env/db.enc.env, profiles: [later]}
  made: {image: example/a:1, env_file: env/more.env}
  free: {image: example/f:1, env_file: env/free.env}
""")
    w.write("of/env/free.env", "F=1\n")
    run = lambda *words, **more: w.run([w.binary, *words], cwd=folder, **more)
    values = (b"zebra", b"yonder", b"another of", b"of the project", b"hidden by")
    shown = run("config").stdout
    equal([v for v in values if v in shown], [])
    equal((b"TOKEN: sealed.TOKEN" in shown, b"OWN: inline" in shown, b"POSTGRES_PASSWORD: sealed.POSTGRES_PASSWORD" in shown, b'PLAIN: "1"' in shown), (True,) * 4)
    ours = json.loads(run("config", "--format", "json", "--show-secrets").stdout)["services"]
    equal(ours["a"]["environment"], {"TOKEN": "zebra 'tok ", "OWN": "inline", "EMPTY": "", "REF": "p-of the project 7-q", "PLAIN": "1", "MADE": "a-of the project 7-b"})
    equal(ours["db"]["environment"]["TOKEN"], "another of this name")  # each service its own, as with plain files
    for verb in ("audit", "report", "graph"):
        said = run(verb, status=None).stdout
        equal((verb, [v for v in values if v in said]), (verb, []))
        equal(b"DM0514" in said, False)  # what is sealed becomes a file
    override = w.dm("deliver", "--override", cwd=folder).stdout
    equal([v for v in values if v in override], [])
    equal((override.count(b"env_file: !reset null"), b'"free"' in override, b"POSTGRES_PASSWORD_FILE" in override), (3, False, True))
    try:
        said = w.dm("deliver", cwd=folder).stdout.decode()
        where = said.split(" in ")[1].split(",")[0]
        equal(sorted(os.listdir(where)), ["db.POSTGRES_PASSWORD", "db.POSTGRES_USER", "off.POSTGRES_PASSWORD", "off.POSTGRES_USER"])  # a reboot starts every profile
        if w.compose():  # and the real one, fed from memory, reads the same
            theirs = json.loads(w.dm("compose", "--", "config", "--format", "json", cwd=folder).stdout)["services"]
            equal({k: v.replace("$$", "$") for k, v in theirs["a"]["environment"].items()}, ours["a"]["environment"])
            equal(theirs["made"]["environment"], {"MADE": "a-of the project 7-b"})
            equal((theirs["db"]["environment"]["TOKEN"], "POSTGRES_PASSWORD" in theirs["db"]["environment"]), ("another of this name", False))
            equal(set(theirs["free"].get("labels") or {}), set())
            marks = lambda: {n: s.get("labels", {}).get("datamancy.secrets") for n, s in json.loads(w.dm("compose", "--", "config", "--format", "json", cwd=folder).stdout)["services"].items()}
            before = marks()
            w.dm("set", "TOKEN", "--in", "env/db.enc.env", input="new", cwd=folder)
            after = marks()
            equal([n for n in before if before[n] != after[n]], ["db"])  # exactly the users of a changed value
            w.dm("set", "S_TOKEN", input="new of the project", cwd=folder)
            last = marks()
            equal([n for n in after if last[n] != after[n]], ["a", "made"])  # by a line of a plain env file, too
    finally:
        w.dm("deliver", "--withdraw", cwd=folder, status=None)
    run("config", status=11, env={"HOME": "/nonexistent"})
    good = w.read("of/env/a.enc.env")
    w.write("of/env/a.enc.env", good.replace(b"data:", b"data:A", 1))
    run("config", status=12)
    w.write("of/env/a.enc.env", good)
    # names are found in the files of services, which are shown with who uses them
    listed = json.loads(w.dm("list", "--json", cwd=folder).stdout)["files"]
    equal([(os.path.relpath(f["path"], folder), f["services"]) for f in listed], [("secrets.enc.env", []), ("env/a.enc.env", ["a"]), ("env/db.enc.env", ["db", "off"])])
    equal(w.dm("get", "OWN", cwd=folder).stdout, b"hidden by inline")
    w.dm("set", "POSTGRES_USER", input="other", cwd=folder)
    equal((b"POSTGRES_USER" in w.read("of/secrets.enc.env"), w.dm("get", "POSTGRES_USER", "--in", "env/db.enc.env", cwd=folder).stdout), (False, b"other"))
    said = w.dm("get", "TOKEN", cwd=folder, status=2).stderr
    equal((b"env/a.enc.env (env_file of a)" in said, b"env/db.enc.env (env_file of db, off)" in said), (True, True))
    w.dm("get", "NOWHERE", cwd=folder, status=13)
    # sealed as a whole: opened as well; without a key its names are unknown, not missing
    w.dm("seal", "-", "-o", "env/whole.enc", "--type", "binary", input="# n\nexport POSTGRES_PASSWORD='walrus whole'\nNEAR=2\n", cwd=folder)
    w.write("of/compose.yaml", "name: dmsecretsof\nservices: {db: {image: 'postgres:17', env_file: env/whole.enc}}\n")
    shown = run("config").stdout
    equal((b"POSTGRES_PASSWORD: sealed.POSTGRES_PASSWORD" in shown, b"walrus" in shown), (True, False))
    equal(b"POSTGRES_PASSWORD: walrus whole" in run("config", "--show-secrets").stdout, True)
    equal(b"POSTGRES_PASSWORD_FILE" in w.dm("deliver", "--override", cwd=folder).stdout, True)
    equal(w.dm("get", "POSTGRES_PASSWORD", "--in", "env/whole.enc", cwd=folder).stdout, b"walrus whole")
    equal(w.dm("exec", "--in", "env/whole.enc", "--", "sh", "-c", "printf %s \"$POSTGRES_PASSWORD\"", cwd=folder).stdout, b"walrus whole")
    equal(b"its names are sealed" in w.dm("list", cwd=folder).stdout, True)
    equal(b"secrets seal - -o" in w.dm("set", "NEAR", "--in", "env/whole.enc", input="3", cwd=folder, status=2).stderr, True)
    for home in ({}, {"HOME": "/nonexistent"}):
        said = run("audit", status=None, env=home).stdout
        equal((home, b"DM0115" in said, b"walrus" in said), (home, False, False))
    w.dm("seal", "-", "-o", "env/no.enc", "--type", "binary", input="heron env file\n", cwd=folder)
    for name, text, why in (("no.enc", None, b"line 1"), ("no.enc.yaml", "a: heron\n", b"yaml")):
        if text:
            w.dm("seal", "-", "-o", "env/" + name, "--type", "yaml", input=text, cwd=folder)
        w.write("of/compose.yaml", "name: dmsecretsof\nservices: {a: {image: example/a:1, env_file: env/%s}}\n" % name)
        said = run("config", status=12).stderr
        equal((why in said, b"heron" in said), (True, False))
    # sealed in place, app.env stays what it was: of who names it
    w.dm("seal", "-", "-o", "app.enc.env", input="APP_ONLY=sparrow\n", cwd=folder)
    os.rename(os.path.join(folder, "app.enc.env"), os.path.join(folder, "app.env"))
    equal((b"nothing reads it" in w.dm("list", cwd=folder).stdout, w.dm("get", "APP_ONLY", cwd=folder).stdout), (True, b"sparrow"))
    equal("not-read" in {c["id"] for c in json.loads(w.dm("doctor", "--json", cwd=folder, status=None).stdout)["checks"]}, True)
    w.write("of/compose.yaml", "name: dmsecretsof\nservices: {a: {image: example/a:1, environment: {X: '${APP_ONLY-none}'}}, b: {image: example/a:1, env_file: app.env}}\n")
    equal(b"nothing reads it" in w.dm("list", cwd=folder).stdout, False)
    shown = json.loads(run("config", "--format", "json", "--show-secrets").stdout)["services"]
    equal((shown["a"]["environment"], shown["b"]["environment"]), ({"X": "none"}, {"APP_ONLY": "sparrow"}))
    os.remove(os.path.join(folder, "app.env"))
    # named by --env-file, from another folder
    seal("env/shared.enc.env", "SHARED_TOKEN=from elsewhere\n")
    w.write("of/compose.yaml", "name: dmsecretsof\nservices: {a: {image: example/a:1, environment: {S: '${SHARED_TOKEN:?}', P: '${PLAIN}'}}}\n")
    equal(b"S: from elsewhere" in run("config", "--show-secrets", "--env-file", "env/plain.env", "--env-file", "env/shared.enc.env").stdout, True)
    if w.compose():
        said = w.run([w.binary, "--env-file", "env/plain.env", "--env-file", "env/shared.enc.env", "secrets", "compose", "--", "config"], cwd=folder).stdout
        equal((b"S: from elsewhere" in said, b'P: "1"' in said), (True, True))


w.check("a sealed env_file of a service: config, audit, override, compose; each service its own values, exactly the users of a change", sealed_env_files_of_services)


def delivers_what_this_host_opens():
    folder = os.path.join(w.folder, "keys")
    os.makedirs(folder)
    w.dm("set", "DB_PW", input="of this host 5", cwd=folder)
    w.write("keys/compose.yaml", """name: dmsecretskeys
services:
  db: {image: "postgres:17", environment: {POSTGRES_PASSWORD: "${DB_PW:?}"}}
  ops: {image: "postgres:17", env_file: ops/pw.enc.env, profiles: [ops]}
""")
    other = {"SOPS_AGE_KEY_FILE": "", "HOME": os.path.join(w.temporary.name, "other")}
    os.makedirs(other["HOME"])
    there = os.path.join(w.temporary.name, "there")
    os.makedirs(there)
    w.dm("init", cwd=there, env=other)
    w.dm("seal", "-", "-o", "pw.enc.env", "--type", "dotenv", input="POSTGRES_PASSWORD=of another host\n", cwd=there, env=other)
    os.makedirs(os.path.join(folder, "ops"))
    shutil.copy(os.path.join(there, "pw.enc.env"), os.path.join(folder, "ops"))
    try:
        done = w.dm("deliver", cwd=folder)
        where = done.stdout.decode().split(" in ")[1].split(",")[0]
        equal((os.listdir(where), b"ops/pw.enc.env" in done.stderr), (["db.POSTGRES_PASSWORD"], True))
        equal(w.run([w.binary, "--profile", "ops", "secrets", "deliver"], cwd=folder, status=None).returncode, 11)  # asked for: refused
        w.dm("deliver", "--withdraw", cwd=folder)
        equal(os.path.exists(where), False)
    finally:
        w.dm("deliver", "--withdraw", cwd=folder, status=None)
        shutil.rmtree(folder)  # the drill opens everything


w.check("deliver: a sealed env_file of another profile, for keys of another host, holds nothing up", delivers_what_this_host_opens)


def finds_the_project():
    folder = os.path.join(w.folder, "up")
    os.makedirs(os.path.join(folder, "sub/deep"))
    w.dm("set", "--null", input="S_TOKEN=one two\0", cwd=folder)
    w.write("up/compose.yaml", "name: dmsecretsup\nservices: {a: {image: x/y:1, environment: {S: '${S_TOKEN:?}', P: '${PLAIN:-none}', D: '${DOT:-none}'}}}\n")
    w.write("up/extra.env", "PLAIN=from extra\n")
    w.write("up/.env", "DOT=from dotenv\n")
    config = lambda where, **env: w.run([w.binary, "config", "--show-secrets"], cwd=os.path.join(folder, where), env=env).stdout.decode()
    for where in (".", "sub/deep"):
        text = config(where)
        equal(("S: one two" in text, "D: from dotenv" in text, "P: none" in text), (True, True, True))
    equal(w.dm("list", cwd=os.path.join(folder, "sub")).stdout.decode().startswith(folder + "/secrets.enc.env"), True)
    text = config("sub", COMPOSE_ENV_FILES=folder + "/extra.env")
    equal(("S: one two" in text, "P: from extra" in text, "D: none" in text), (True, True, True))  # as Compose: .env is not read then
    equal("D: none" in config(".", COMPOSE_DISABLE_ENV_FILE="1"), True)
    if w.compose():
        said = w.dm("compose", "--", "config", cwd=os.path.join(folder, "sub"), env={"COMPOSE_ENV_FILES": folder + "/extra.env"}).stdout.decode()
        equal(("S: one two" in said, "P: from extra" in said, "D: none" in said), (True, True, True))


w.check("the project is found from a subfolder; COMPOSE_ENV_FILES and COMPOSE_DISABLE_ENV_FILE count beside sealed files", finds_the_project)


def refuses_another_machine():
    folder = os.path.join(w.folder, "rem")
    os.makedirs(folder)
    w.dm("set", "R_PASSWORD", input="hidden two", cwd=folder)
    w.write("rem/compose.yaml", "name: dmsecretsrem\nservices: {db: {image: 'postgres:17', environment: {POSTGRES_PASSWORD: '${R_PASSWORD:?}'}}}\n")
    done = w.dm("compose", "--", "up", "-d", cwd=folder, env={"DOCKER_HOST": "tcp://192.0.2.1:2375"}, status=2)
    equal(b"another machine" in done.stderr, True)
    equal([at for at in ("/run", "/dev/shm") if os.path.exists(at + "/datamancy/dmsecretsrem")], [])


if w.tool("docker"):
    w.check("an engine on another machine cannot mount what lies in memory here: refused before anything is written", refuses_another_machine)


def counts():
    folder = os.path.join(w.temporary.name, "metrics")
    os.makedirs(folder)
    env = {"DATAMANCY_METRICS": folder}
    read = lambda: dict(line.rsplit(" ", 1) for line in open(os.path.join(folder, "datamancy_secrets.prom")) if not line.startswith("#"))
    get("B", env=env)
    first = {k: int(v) for k, v in read().items()}
    equal([v for k, v in first.items() if "failures" in k], [0, 0, 0, 0])
    equal(abs(first["datamancy_secrets_last_success_timestamp_seconds"] - time.time()) < 60 and abs(first["datamancy_secrets_key_created_timestamp_seconds"] - time.time()) < 600, True)
    for _ in range(3):
        get("B", env={**env, "HOME": "/nonexistent"}, status=11)
    get("NO_SUCH", env=env, status=13)
    w.dm("list", env=env)
    got = {k: int(v) for k, v in read().items()}
    equal((got['datamancy_secrets_failures_total{exit="11"}'], got['datamancy_secrets_failures_total{exit="13"}'], got['datamancy_secrets_failures_total{exit="12"}']), (3, 1, 0))
    equal("our b" in open(os.path.join(folder, "datamancy_secrets.prom")).read(), False)


w.check("metrics: failures by exit status, last success, age of the key", counts)


def doctors_of_recipients_swap_and_files():
    folder = os.path.join(w.folder, "doc")
    os.makedirs(folder)
    w.dm("set", "A_PASSWORD", input="x1y2z3", cwd=folder)
    checks = lambda *before: {c["id"]: c for c in json.loads(w.run([*before, w.binary, "secrets", "doctor", "--json"], cwd=folder, status=None).stdout)["checks"]}
    equal("recipients" in checks(), False)
    other = w.dm("init", env={"HOME": w.home + "/else"}, cwd=w.temporary.name).stdout.decode().split("key      ")[1].split()[0]
    w.write("doc/.sops.yaml", f"creation_rules:\n  - path_regex: enc.env$\n    age: {other}\n")
    equal((checks()["recipients"]["state"], ".sops.yaml:2" in checks()["recipients"]["what"]), ("failing", True))
    w.write("doc/.sops.yaml", f"creation_rules:\n  - path_regex: nothing$\n    age: {other}\n")
    equal(checks()["recipients"]["state"], "warning")
    w.write("doc/compose.yaml", "services:\n  db: {image: 'postgres:17', environment: {POSTGRES_PASSWORD: written-here}}\n  app: {image: 'couchdb:3', environment: {COUCHDB_PASSWORD: '${A_PASSWORD}'}}\n")
    found = checks()
    equal(("db" in found["could-be-file"]["what"], "POSTGRES_PASSWORD" in found["could-be-file"]["what"], "COUCHDB_PASSWORD" in found["by-environment"]["what"]), (True, True, True))
    # A swap of another kind each time, as the kernel would list it.
    swaps = os.path.join(w.temporary.name, "swaps")
    for device, state in (("/dev/sda2", "warning"), ("/dev/zram0", "ok"), ("/swapfile", "warning"), ("", "ok")):
        with open(swaps, "w") as file:
            file.write("Filename\tType\tSize\tUsed\tPriority\n" + (f"{device}\tpartition\t1\t0\t-2\n" if device else ""))
        if w.run(["unshare", "-m", "mount", "--bind", swaps, "/proc/swaps"], status=None).returncode != 0:
            return print("          (/proc/swaps cannot be replaced here: not looked at)")
        got = checks("unshare", "-m", "sh", "-c", 'mount --bind "$0" /proc/swaps && exec "$@"', swaps)
        equal((device, got["swap"]["state"]), (device, state))


w.check("doctor: recipients differing from .sops.yaml, what could be a file, open swap", doctors_of_recipients_swap_and_files)


def doctors():
    os.chmod(os.path.join(w.home, ".config/sops/age/keys.txt"), 0o644)
    w.write("plain.env", "DB_PASSWORD=aG7kQ2mZ9\n")
    w.write("plain.enc.env", w.read("secrets.enc.env"))
    w.write("conf.yaml", "db: {password: aG7kQ2mZ9}\n")
    w.dm("seal", "conf.yaml", "--type", "yaml")
    w.dm("set", "B__NEXT", "--in", "secrets.enc.env", input="half")
    checks = json.loads(w.run([w.binary, "secrets", "doctor", "--json"], status=1).stdout)["checks"]
    equal([c["what"] for c in checks if c["id"] == "twin"], ["conf.yaml lies in the clear beside conf.enc.yaml", "plain.env lies in the clear beside plain.enc.env"])
    equal([c["mend"] for c in checks if c["id"] == "rotation"], ["datamancy secrets rotate B --in secrets.enc.env"])
    w.dm("remove", "B__NEXT", "--in", "secrets.enc.env", "--yes")
    for name in ("conf.yaml", "conf.enc.yaml"):
        os.remove(os.path.join(w.folder, name))
    found = {c["id"] for c in json.loads(w.run([w.binary, "secrets", "doctor", "--json"], status=1).stdout)["checks"] if c["state"] == "failing"}
    equal(found >= {"key-mode", "key-backups", "twin", "plain-env"}, True)
    os.chmod(os.path.join(w.home, ".config/sops/age/keys.txt"), 0o600)
    os.remove(os.path.join(w.folder, "plain.env"))
    os.remove(os.path.join(w.folder, "plain.enc.env"))


w.check("doctor: open key file, no backups, plain twins", doctors)


def keeps_the_key():
    paper = w.dm("escrow", "print", "--yes").stdout.decode()
    w.dm("escrow", "print", status=2)
    w.dm("escrow", "check", input=paper.lower().replace(" ", "  "))
    lines = paper.split("\n")
    wrong = next(i for i, l in enumerate(lines) if l.startswith("3:"))
    typo = lines[wrong].replace(lines[wrong][4], "Q" if lines[wrong][4] != "Q" else "P", 1)
    done = w.dm("escrow", "check", input="\n".join(lines[:wrong] + [typo] + lines[wrong + 1:]), status=2)
    equal(b"line 3 " in done.stderr, True)
    keys = os.path.join(w.home, ".config/sops/age/keys.txt")
    os.rename(keys, keys + ".away")
    try:
        for place in ("safe", "sister"):
            w.dm("escrow", "drill", "--place", place, input=paper)
        w.dm("escrow", "drill", input=w.dm("init", env={"HOME": w.home + "/new"}).stdout, status=2)
        other = open(w.home + "/new/.config/sops/age/keys.txt").read()
        w.dm("escrow", "drill", input=other, status=11)
    finally:
        os.rename(keys + ".away", keys)
    states = {c["id"]: c["state"] for c in json.loads(w.run([w.binary, "secrets", "doctor", "--json"], status=None).stdout)["checks"]}
    equal(states["key-backups"], "ok")


w.check("escrow: printed, typed back, a mistake found in its line, a drill from the backup alone", keeps_the_key)
w.end()
