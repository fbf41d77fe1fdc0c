#!/usr/bin/env python3
"""history_test.py DATAMANCY: `audit --history`, `report --history`, `secrets scan --history`: git history, and what is remembered of it. Needs git alone."""
import json, os, shutil, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import World, equal

w = World(sys.argv[1], need=("git",))
REAL_GIT = w.tool("git")
FIRST, SECOND, THIRD, FOURTH = "aG7kQ2mZ9xWalrus", "pT4nR8vB1cOtter", "hJ6sD3fL5yBadger", "wE9uK7iM2zFerret"
SECRETS = (FIRST, SECOND, THIRD, FOURTH)
COMPOSE = 'services:\n  app:\n    image: example/app:1\n    environment: {DB_PASSWORD: "${DB_PASSWORD:?}"}\n'

# A git that writes down how it is called, and which objects it is asked for.
tools = os.path.join(w.temporary.name, "bin")
calls = os.path.join(w.temporary.name, "calls")
os.makedirs(tools)
w.write(os.path.join(tools, "git"), f"""#!/bin/bash
printf '%s\\n' "$*" >> {calls}
case "$*" in
  *' cat-file '*) tee -a {calls}.asked | exec {REAL_GIT} "$@" ;;
  *) exec {REAL_GIT} "$@" ;;
esac
""")
os.chmod(os.path.join(tools, "git"), 0o755)
STATE = os.path.join(w.temporary.name, "state")
w.env.update(PATH=tools + os.pathsep + w.env["PATH"], DATAMANCY_STATE=STATE)
number = 0


class Repository:
    """A new one, with a project in it."""

    def __init__(self, *options, compose=COMPOSE):
        global number
        number += 1
        self.folder = os.path.join(w.folder, f"r{number}")
        self.ticks = 0
        os.makedirs(self.folder)
        self.git("init", "-q", "-b", "main", *options, ".")
        if compose:
            self.write("compose.yaml", compose)

    def git(self, *words, **options):
        self.ticks += 60
        when = f"{1700000000 + self.ticks} +0000"
        who = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, "GIT_CONFIG_GLOBAL": "/dev/null"}
        return w.run([REAL_GIT, "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always", "-c", "gc.auto=0", *words], cwd=options.pop("cwd", self.folder), env=who, **options).stdout.decode()

    def write(self, path, text):
        full = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        return w.write(full, text)

    def commit(self, files, message="m"):
        """Writes files, or removes those that are None; gives the commit."""
        for path, text in files.items():
            if text is None:
                os.remove(os.path.join(self.folder, path))
            else:
                self.write(path, text)
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD").strip()

    def run(self, *words, status=None, env=None, cwd=None):
        return w.run([w.binary, *words], cwd=cwd or self.folder, status=status, env=env)

    def found(self, *words, env=None, cwd=None):
        done = self.run("audit", "--history", "--json", *words, env=env, cwd=cwd)
        if done.returncode not in (0, 1):
            raise AssertionError(f"status {done.returncode}: {done.stderr.decode()}")
        for secret in SECRETS:
            equal(secret.encode() in done.stdout + done.stderr, False)
        self.said = done.stderr.decode()
        return [f for f in json.loads(done.stdout)["findings"] if f["rule"] == "DM0515"]

    def both(self):
        """With what was remembered, and without: the same."""
        cached = self.found()
        said = self.said
        with_nothing = os.path.join(w.temporary.name, "nothing")
        shutil.rmtree(with_nothing, ignore_errors=True)
        equal(cached, self.found(env={"DATAMANCY_STATE": with_nothing}))
        equal(said, self.said)
        return [f["message"] for f in cached]

    def asked(self):
        """The paths of the files that the next look reads, and what it says."""
        open(calls + ".asked", "w").close()
        messages = [f["message"] for f in self.found()]
        with open(calls + ".asked") as file:
            return {line.split(" ", 1)[1].strip() for line in file if " " in line}, messages


def shows(commit, path, names, more=""):
    return f"{path} in git history, commit {commit[:10]} of 2023-11-14, shows {names} to whoever has a clone{more}"


def caches():
    return [os.path.join(STATE, "git-history", name) for name in os.listdir(os.path.join(STATE, "git-history"))]


def removed():
    r = Repository()
    first = r.commit({"old.env": f"TZ=UTC\nDB_PASSWORD={FIRST}\n", "kept.txt": "x"})
    r.commit({"old.env": None})
    finding, = r.found()
    equal(finding["message"], shows(first, "old.env", "DB_PASSWORD"))
    equal((finding["severity"], finding["area"], finding["places"][0]["file"], finding["places"][0]["line"]), ("high", "security", "compose.yaml", 1))
    equal(finding["evidence"], "line 2: DB_PASSWORD aG... (16 characters), a secret stands here in plain text")
    equal("secrets rotate" in finding["hint"], True)
    equal(r.run("audit", "--history", "--fail-on", "high").returncode, 1)
    equal([f for f in json.loads(r.run("audit", "--json").stdout)["findings"] if f["rule"] == "DM0515"], [])  # only when asked
    report = r.run("report", "--history").stdout.decode()
    equal(("old.env in git history" in report, "old.env in git history" in r.run("report").stdout.decode()), (True, False))


w.check("a removed file: commit, path and line; the report, too", removed)


def remembers():
    r = Repository()
    first = r.commit({"old.env": f"DB_PASSWORD={FIRST}\n", "a.conf": "x=1\n"})
    r.commit({"old.env": None, "b.conf": "y=2\n"})
    paths, once = r.asked()
    equal((paths >= {"old.env", "a.conf", "b.conf"}, once), (True, [shows(first, "old.env", "DB_PASSWORD")]))
    paths, twice = r.asked()
    equal((paths, twice), ({"old.env"}, once))  # what stands there is read again, nothing else
    second = r.commit({"new.env": f"API_TOKEN={SECOND}\n"})
    r.commit({"new.env": None})
    paths, third = r.asked()
    equal((paths, third), ({"old.env", "new.env"}, [shows(second, "new.env", "API_TOKEN"), once[0]]))
    equal(sorted(r.both()), sorted(third))
    other = r.commit({"later.env": f"DB_PASSWORD={THIRD}\n"})
    r.commit({"later.env": None})
    scan = json.loads(r.run("secrets", "scan", "--history", "--json").stdout)  # what one verb read the other need not
    equal([(leak["path"], leak["commit"]) for leak in scan["leaks"]], [("later.env", other[:10] + " 2023-11-14"), ("new.env", second[:10] + " 2023-11-14"), ("old.env", first[:10] + " 2023-11-14")])
    equal(r.asked()[0], {"old.env", "new.env", "later.env"})
    equal(scan["history_versions"], json.loads(r.run("secrets", "scan", "--history", "--json", env={"DATAMANCY_STATE": "/dev/null/x"}).stdout)["history_versions"])


w.check("only what came since is read, and the answer is the same; both verbs share it", remembers)


def tells_nothing():
    r = Repository()
    r.commit({"old.env": f"DB_PASSWORD={FIRST}\nAPI_TOKEN={SECOND}\n", "x.sh": f"redis-cli -a {THIRD}\n", "u.txt": f"u=https://me:{FOURTH}@example.org/\n"})
    r.commit({"old.env": None, "x.sh": None, "u.txt": None})
    shown = {}
    for verb, formats in (("audit", ("text", "json", "markdown", "html", "sarif", "junit")), ("report", ("markdown", "json", "html"))):
        for form in formats:
            done = r.run(verb, "--history", "--format", form)
            shown[verb, form] = done.stdout + done.stderr
    for form in ("text", "json", "sarif"):
        done = r.run("secrets", "scan", "--history", "--format", form)
        shown["scan", form] = done.stdout + done.stderr
    baseline = os.path.join(r.folder, "base")
    r.run("audit", "--history", "--write-baseline", baseline, status=0)
    for path in [baseline, calls, *caches()]:
        with open(path, "rb") as file:
            shown[path] = file.read()
    equal(len(caches()) >= 3, True)
    for where, text in shown.items():
        equal((where, b"old.env" in text), (where, where != calls))
        for secret in SECRETS:
            equal((where, secret.encode()[2:12] in text), (where, False))
    for path in caches():
        equal(oct(os.stat(path).st_mode & 0o777), "0o600")
    equal(oct(os.stat(os.path.join(STATE, "git-history")).st_mode & 0o777), "0o700")
    sarif = json.loads(shown["audit", "sarif"])["runs"][0]
    equal({x["level"] for x in sarif["results"] if x["ruleId"] == "DM0515"}, {"error"})


w.check("no secret in an output, an argument or what is remembered; mode 0600", tells_nothing)


def rewritten():
    r = Repository()
    r.commit({"README": "x\n"})
    away = r.commit({"old.env": f"DB_PASSWORD={FIRST}\n"})
    r.git("rm", "-q", "old.env")
    r.git("commit", "-q", "--amend", "-m", "amended", "--allow-empty")
    equal(r.both(), [shows(away, "old.env", "DB_PASSWORD")])  # only the reflog has it
    base = r.commit({"app.env": f"API_TOKEN={SECOND}\nA=1\n"})
    r.commit({"app.env": f"API_TOKEN={SECOND}\nA=2\n"})
    r.commit({"app.env": None})
    equal(r.both(), [shows(base, "app.env", "API_TOKEN"), shows(away, "old.env", "DB_PASSWORD")])
    # All of it told anew: of app.env only the later version stays.
    tree = r.git("rev-parse", "HEAD~1^{tree}").strip()
    anew = r.git("commit-tree", tree, "-m", "anew").strip()
    r.git("reset", "-q", "--hard", anew)
    last = r.commit({"app.env": None})
    r.git("reflog", "expire", "--expire=now", "--all")
    r.git("gc", "-q", "--prune=now")
    equal(r.both(), [shows(anew, "app.env", "API_TOKEN")])
    r.git("checkout", "-q", "--orphan", "other")
    r.commit({"z": "1\n"})
    r.git("branch", "-qD", "main")
    r.git("reflog", "expire", "--expire=now", "--all")
    equal(r.both(), [])  # not reached any more, though the objects are still there
    equal(last != anew, True)


w.check("amended, rewritten, forgotten and pruned: as a first look would say", rewritten)


def refs():
    r = Repository()
    start = r.commit({"README": "x\n"})
    r.git("checkout", "-qb", "side")
    side = r.commit({"side.env": f"DB_PASSWORD={FIRST}\n"})
    r.git("checkout", "-q", "main")
    r.write("README", f"DB_PASSWORD={SECOND}\n")
    r.git("stash", "-q")
    stash = r.git("rev-parse", "stash").strip()
    equal(sorted(r.both()), sorted([shows(side, "side.env", "DB_PASSWORD"), shows(stash, "README", "DB_PASSWORD")]))
    r.git("stash", "drop", "-q")
    r.git("merge", "-q", "--no-ff", "--no-commit", "side")
    merge = r.commit({"side.env": None, "evil.env": f"API_TOKEN={THIRD}\n"})
    r.commit({"evil.env": None})
    equal(sorted(r.both()), sorted([shows(side, "side.env", "DB_PASSWORD"), shows(merge, "evil.env", "API_TOKEN")]))
    blob = w.run([REAL_GIT, "hash-object", "-w", "--stdin"], input=f"DB_PASSWORD={FOURTH}\n", cwd=r.folder).stdout.decode().strip()
    r.git("tag", "settings.env", blob)
    equal([m for m in r.both() if "object" in m], [f"settings.env in git history, object {blob[:10]}, shows DB_PASSWORD to whoever has a clone"])
    equal(start != merge, True)


w.check("branches, stashes, merges, a tag on a file", refs)


def work_tree():
    r = Repository()
    r.commit({".env": f"DB_PASSWORD={FIRST}\n", "app.conf": f"password={SECOND}\n", "c.env": f"API_TOKEN={THIRD}\n"})
    first = r.git("rev-parse", "HEAD").strip()
    r.write(".gitignore", ".env\n")
    r.git("rm", "-q", "--cached", ".env")
    r.git("mv", "c.env", "d.env")
    r.commit({"d.env": f"A=1\nAPI_TOKEN={THIRD}\n"})
    finding, = r.found()
    equal(finding["message"], shows(first, ".env", "DB_PASSWORD", "; still in use: DB_PASSWORD"))
    equal(finding["places"][0]["file"], ".env")
    equal("3 secrets of git history stand in committed files" in r.said, True)
    scan = json.loads(r.run("secrets", "scan", "--history", "--json").stdout)["leaks"]
    equal([(leak["path"], leak.get("note", "")) for leak in scan if leak.get("commit")], [(".env", "still in use: line 1 of the file, which git has no more")])
    r.write(".env", f"DB_PASSWORD={FOURTH}\n")  # changed
    equal(r.both(), [shows(first, ".env", "DB_PASSWORD")])


w.check("what stands in committed files is left to other rules; what git gave up and is used, is said", work_tree)


def samples():
    r = Repository()
    first = r.commit({".env.example": f"DB_PASSWORD={FIRST}\n", "notes.sample": f"see ghp_{'a7' * 18}\n"})
    r.commit({".env.example": None, "notes.sample": None})
    equal([(f["message"], f["severity"]) for f in r.found()], [(shows(first, "notes.sample", "a GitHub token"), "critical"), (shows(first, ".env.example", "DB_PASSWORD"), "info")])
    r.commit({"live.env": f"DB_PASSWORD={FIRST}\n"})  # the same file, in earnest
    r.commit({"live.env": None})
    equal(r.both(), [shows(first, "notes.sample", "a GitHub token"), shows(first, "live.env", "DB_PASSWORD")])
    second = r.commit({"b.env": f"K_PASSWORD={SECOND}\n"})
    r.git("mv", "b.env", "b.env.sample")  # and the other way round
    r.commit({})
    r.commit({"b.env.sample": None})
    equal(r.both(), [shows(first, "notes.sample", "a GitHub token"), shows(second, "b.env", "K_PASSWORD"), shows(first, "live.env", "DB_PASSWORD")])


w.check("a sample is info, a token in it is not, and a sample used in earnest is none", samples)


def damaged_cache():
    r = Repository()
    first = r.commit({"old.env": f"DB_PASSWORD={FIRST}\n"})
    r.commit({"old.env": None})
    before = set(caches())
    expected = r.both()
    equal(expected, [shows(first, "old.env", "DB_PASSWORD")])
    path, = set(caches()) - before
    with open(path, "rb") as file:
        good = file.read()
    no_file = b"\n".join(line for line in good.split(b"\n") if not line.startswith(b"file "))
    for bad in (b"", b"\0" * 64, good[:-3], good.replace(b"old.env", b"new.env"), no_file, good.replace(b"scan ", b"scan 9"), good + b"x"):
        w.write(path, bad)
        equal(r.both(), expected)
        with open(path, "rb") as file:
            equal(file.read(), good)
    for other in before:  # of another repository
        shutil.copy(other, path)
        equal(r.both(), expected)
        with open(path, "rb") as file:
            equal(file.read(), good)
        break
    os.chmod(path, 0o666)  # anybody may have written it
    equal(r.asked()[0], {"compose.yaml", "old.env"})
    equal(r.asked()[0], {"old.env"})
    os.remove(path)
    os.makedirs(path)
    equal(r.both(), expected)
    os.rmdir(path)
    for nowhere in ("/dev/null/x", "relative", os.path.join(r.folder, "compose.yaml")):
        equal([f["message"] for f in r.found(env={"DATAMANCY_STATE": nowhere})], expected)
        equal(r.said, "")
    equal(os.path.exists(os.path.join(r.folder, "relative")), False)


w.check("a cache that is damaged, foreign or cannot be written is none", damaged_cache)


def no_history():
    outside = os.path.join(w.temporary.name, "outside")
    os.makedirs(outside)
    w.write(os.path.join(outside, "compose.yaml"), COMPOSE)
    done = w.run([w.binary, "audit", "--history"], cwd=outside, status=2)
    equal((b"lies in no git work tree" in done.stderr, b"leave --history out" in done.stderr, b"DM0801" in done.stdout), (True, True, True))
    w.run([w.binary, "report", "--history"], cwd=outside, status=2)
    equal(b"lies in no git work tree" in w.run([w.binary, "secrets", "scan", "--history"], cwd=outside, status=2).stderr, True)
    r = Repository()
    equal(r.both(), [])  # no commit yet
    done = r.run("audit", "--history", status=2, env={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    equal((b"safe.directory" in done.stderr, b"DM0801" in done.stdout), (True, True))
    bin_less = os.path.join(w.temporary.name, "no-git")
    os.makedirs(bin_less)
    done = r.run("audit", "--history", status=10, env={"PATH": bin_less})
    equal((b"'git' is needed" in done.stderr, b"DM0801" in done.stdout), (True, True))
    bare = os.path.join(w.temporary.name, "bare.git")
    r.git("init", "-q", "--bare", bare)
    w.write(os.path.join(bare, "compose.yaml"), COMPOSE)
    equal(b"without a work tree" in w.run([w.binary, "audit", "--history"], cwd=bare, status=2).stderr, True)


w.check("no repository, no commit, no git, no trust: said, with the mend, beside the rest", no_history)


def damaged_repository():
    r = Repository()
    first = r.commit({"old.env": f"DB_PASSWORD={FIRST}\n", "x.txt": "x\n"})
    r.commit({"old.env": None})
    equal(r.both(), [shows(first, "old.env", "DB_PASSWORD")])
    before = {path: open(path, "rb").read() for path in caches()}

    def lose(name):
        id = r.git("rev-parse", name).strip()
        path = os.path.join(r.folder, ".git/objects", id[:2], id[2:])
        os.rename(path, path + ".away")
        return path

    path = lose(f"{first}:x.txt")
    fresh = {"DATAMANCY_STATE": os.path.join(w.temporary.name, "damaged")}
    equal([f["message"] for f in r.found(env=fresh)], [shows(first, "old.env", "DB_PASSWORD")])
    equal("1 object of git history are not in this clone" in r.said or "1 object of git history is not in this clone" in r.said, True)
    equal(os.path.exists(os.path.join(fresh["DATAMANCY_STATE"], "git-history")), False)  # it may come back, and is to be read then
    os.rename(path + ".away", path)
    lose(first)
    done = r.run("audit", "--history", status=2, env=fresh)
    equal((b"git cannot read" in done.stderr, b"fsck" in done.stderr, b"DM0801" in done.stdout), (True, True, True))
    r.run("audit", "--history", status=None)
    equal({path: open(path, "rb").read() for path in before}, before)


w.check("a damaged repository: what is missing is said, and nothing is remembered as read", damaged_repository)


def kinds():
    sha = Repository("--object-format=sha256")
    first = sha.commit({"old.env": f"DB_PASSWORD={FIRST}\n"})
    sha.commit({"old.env": None})
    sha.both()
    equal((len(first), sha.both()), (64, [shows(first, "old.env", "DB_PASSWORD")]))

    r = Repository()
    first = r.commit({"old.env": f"DB_PASSWORD={FIRST}\n"})
    r.commit({"old.env": None})
    second = r.commit({"new.env": f"API_TOKEN={SECOND}\n"})
    r.commit({"new.env": None})
    shallow = Repository(compose=None)
    shutil.rmtree(shallow.folder)
    r.git("clone", "-q", "--depth", "2", "file://" + r.folder, shallow.folder, cwd=w.folder)
    equal((shallow.both(), "shallow" in shallow.said), ([shows(second, "new.env", "API_TOKEN")], True))
    shallow.git("fetch", "-q", "--unshallow")
    equal((shallow.both(), shallow.said), ([shows(second, "new.env", "API_TOKEN"), shows(first, "old.env", "DB_PASSWORD")], ""))

    bare = os.path.join(w.temporary.name, "store.git")
    r.git("clone", "-q", "--bare", r.folder, bare)
    r.found()
    trees = [os.path.join(w.folder, name) for name in ("tree1", "tree2")]
    before = set(caches())
    for tree in trees:
        w.run([REAL_GIT, "-C", bare, "worktree", "add", "-q", "--detach", tree, "main"])
        equal(r.found(cwd=tree) == r.found(), True)
    equal(len(set(caches()) - before), 1)  # one repository

    outer = Repository()
    outer.commit({"README": "x\n"})
    outer.git("submodule", "add", "-q", r.folder, "inner")
    outer.commit({})
    equal((outer.both(), "submodules" in outer.said), ([], True))
    equal(len(outer.found(cwd=os.path.join(outer.folder, "inner"))), 2)


w.check("sha256, shallow and whole again, work trees of a bare repository, submodules", kinds)


def below():
    r = Repository(compose=None)
    first = r.commit({".env": f"DB_PASSWORD={FIRST}\n", "stack/compose.yaml": COMPOSE, "stack/app/x.env": f"API_TOKEN={SECOND}\n", "we\x1brd \u00e4\".env": f"K_TOKEN={THIRD}\n"})
    r.commit({".env": None, "stack/app/x.env": None, "we\x1brd \u00e4\".env": None})
    folder = os.path.join(r.folder, "stack")
    expected = [shows(first, "../.env", "DB_PASSWORD"), shows(first, "../we?rd \u00e4\".env", "K_TOKEN"), shows(first, "app/x.env", "API_TOKEN")]
    equal([f["message"] for f in r.found(cwd=folder)], expected)
    equal([f["message"] for f in r.found("stack")], expected)
    link = os.path.join(w.temporary.name, "link")
    os.symlink(folder, link)
    equal([f["message"] for f in r.found(link)], expected)
    equal([f["message"] for f in r.found(cwd=folder, env={"GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/"})], expected)


w.check("a project below the top, by a link, names that move no cursor, another repository in the environment", below)


def suppresses():
    r = Repository()
    first = r.commit({"old.env": f"DB_PASSWORD={FIRST}\n"})
    second = r.commit({"old.env": f"DB_PASSWORD={SECOND}\n"})
    r.commit({"old.env": None})
    equal([m[:30] for m in r.both()], [f"old.env in git history, commit"[:30]] * 2)
    r.write(".datamancy.yml", f"suppress: [{{rule: secret-in-history, file: 'old.env@{first[:10]}', reason: changed in March}}]\n")
    equal([f["suppressed_by"] for f in r.found()], ["changed in March (.datamancy.yml:1)", ""])
    r.write(".datamancy.yml", "suppress: [{rule: DM0515, file: old.env, reason: all changed}]\n")
    equal([f["suppressed_by"] for f in r.found()], ["all changed (.datamancy.yml:1)"] * 2)
    r.write(".datamancy.yml", "suppress: [{rule: DM0515, file: other.env, reason: all changed}]\n")
    equal([f["suppressed_by"] for f in r.found()], [""] * 2)
    os.remove(os.path.join(r.folder, ".datamancy.yml"))
    base = os.path.join(w.temporary.name, "base")
    r.run("audit", "--history", "--write-baseline", base, status=0)
    r.run("audit", "--history", "--baseline", base, status=0)
    third = r.commit({"old.env": f"DB_PASSWORD={THIRD}\n"})
    r.commit({"old.env": None})
    new = [f for f in r.found("--baseline", base) if not f["suppressed_by"]]
    equal([f["message"] for f in new], [shows(third, "old.env", "DB_PASSWORD")])
    equal(r.run("audit", "--history", "--baseline", base).returncode, 1)
    equal(second != third, True)


w.check("suppressed by file and by commit; a baseline lets through what is new, in the same file too", suppresses)


def sealed():
    r = Repository()
    w.dm("init", cwd=r.folder)
    first = r.commit({"notes.txt": f"we use {FOURTH} for the door\n"})
    r.commit({"notes.txt": None})
    equal(r.both(), [])  # nothing says what it is
    w.dm("set", "DOOR", input=FOURTH, cwd=r.folder)
    finding, = r.found()
    equal((finding["message"], finding["severity"]), (shows(first, "notes.txt", "DOOR"), "critical"))
    r.commit({})
    r.both()
    w.dm("set", "DOOR", input="qX3vN8bT6mAnother", cwd=r.folder)
    equal(r.both(), [])


w.check("a sealed value is looked for in all of history when it is new", sealed)


def hostile():
    r = Repository()
    trap = os.path.join(w.temporary.name, "sprung")
    w.write(os.path.join(w.temporary.name, "trap"), f"#!/bin/sh\ntouch {trap}\n")
    program = os.path.join(w.temporary.name, "trap")
    os.chmod(program, 0o755)
    os.makedirs(os.path.join(r.folder, ".hooks"))
    for name in ("post-index-change", "post-checkout"):
        shutil.copy(program, os.path.join(r.folder, ".hooks", name))
    first = r.commit({"old.env": f"DB_PASSWORD={FIRST}\n", ".gitattributes": "*.env diff=x filter=x\n"})
    r.commit({"old.env": None})
    for key, value in (("core.fsmonitor", program), ("core.hooksPath", ".hooks"), ("core.pager", program), ("pager.log", program), ("diff.external", program), ("diff.x.textconv", program), ("diff.x.command", program),
                       ("filter.x.smudge", program), ("filter.x.clean", program), ("gpg.program", program), ("log.showSignature", "true"), ("log.showRoot", "false"), ("diff.renames", "copies"), ("core.abbrev", "4"),
                       ("color.ui", "always"), ("format.pretty", "raw"), ("log.date", "relative"), ("core.quotePath", "true"), ("log.diffMerges", "on"), ("diff.orderFile", "/nowhere"), ("log.follow", "true")):
        r.git("config", key, value)
    equal(r.both(), [shows(first, "old.env", "DB_PASSWORD")])
    equal(os.path.exists(trap), False)


w.check("nothing that a repository's configuration names is run, and none of it changes the answer", hostile)
w.end()
