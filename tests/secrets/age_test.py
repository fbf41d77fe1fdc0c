#!/usr/bin/env python3
"""age_test.py DATAMANCY AGE_TRY: files of the real `age` open with ours and the other way round; ssh, plugin and post-quantum recipients go through
`age`. Skips (77) without `age`; post-quantum needs 1.3, and says so where it is older."""
import os, pty, select, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import World, equal

w = World(sys.argv[1], need=("age", "age-keygen"))
age_try = os.path.abspath(sys.argv[2])
w.dm("init")
keys = os.path.join(w.home, ".config/sops/age/keys.txt")
recipient = w.run(["age-keygen", "-y", keys]).stdout.decode().strip()
print(w.run(["age", "--version"]).stdout.decode().strip())


def on_terminal(argv, answers):
    """Runs it on a terminal of its own, types each answer where the prompt before it ends; (status, what was said)."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(w.folder)
        os.execve(w.tool(argv[0]) or argv[0], argv, w.env)
    said, waiting, seen = b"", list(answers), 0
    while select.select([master], [], [], 60)[0]:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
        if waiting and said[seen:].rstrip().endswith(b":"):
            seen = len(said)
            os.write(master, waiting.pop(0) + b"\n")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def their_files_open():
    identity = next(line for line in open(keys).read().split("\n") if line.startswith("AGE-SECRET-KEY-"))
    for size in (0, 1, 31, 48, 65535, 65536, 65537, 131072, 200001):
        content = os.urandom(size)
        for armor in ([], ["-a"]):
            sealed = w.run(["age", "-r", recipient, *armor], input=content).stdout
            equal(w.run([age_try], input=sealed, env={"AGE_IDENTITIES": identity}).stdout, content)


w.check("files of age, 0 to 200,001 bytes, armored and not, open with ours", their_files_open)


def our_files_open():
    w.dm("set", "A_PASSWORD", input="one")
    sealed = w.read("secrets.enc.env").decode()
    enc = next(line for line in sealed.split("\n") if line.startswith("sops_age__list_0__map_enc=")).split("=", 1)[1].replace("\\n", "\n")
    equal(len(w.run(["age", "-d", "-i", keys], input=enc).stdout), 32)


w.check("age opens what we wrap", our_files_open)


def our_backup_opens():
    status, said = on_terminal([w.binary, "secrets", "escrow", "save", "backup.age"], [b"a long passphrase", b"a long passphrase"])
    equal((status, b"a long passphrase" in said), (0, False))
    status, said = on_terminal(["age", "-d", "-o", "back.txt", "backup.age"], [b"a long passphrase"])
    equal(status, 0)
    equal(w.run(["age-keygen", "-y", "back.txt"]).stdout.decode().strip(), recipient)
    os.remove(os.path.join(w.folder, "back.txt"))
    status, _ = on_terminal([w.binary, "secrets", "escrow", "check", "--from", "backup.age"], [b"another passphrase"])
    equal(status, 11)


w.check("a key backup under a passphrase opens with age; a wrong passphrase is exit 11", our_backup_opens)


def round_trip(public, env):
    """Sealed for `public` alone, by us through age; opened with that key alone. And no key of another is asked."""
    w.write("one.env", "A_PASSWORD=for one key\n")
    w.write(".sops.yaml", f"creation_rules:\n  - age: {public}\n")
    try:
        w.dm("seal", "one.env")
        text = w.read("one.enc.env")
        equal(b"for one key" in text, False)
        equal(w.dm("get", "A_PASSWORD", "--in", "one.enc.env", env=env).stdout, b"for one key")
        w.dm("get", "A_PASSWORD", "--in", "one.enc.env", status=11)  # the default key file
        w.dm("set", "B", "--in", "one.enc.env", input="two", env=env)
        equal(w.dm("get", "B", "--in", "one.enc.env", env=env).stdout, b"two")
        w.dm("reseal", "one.enc.env", env=env)
        equal(w.dm("get", "B", "--in", "one.enc.env", env=env).stdout, b"two")
        w.dm("get", "B", "--in", "one.enc.env", env={**env, "PATH": "/nonexistent"}, status=10)
    finally:
        for name in (".sops.yaml", "one.env", "one.enc.env"):
            if os.path.exists(os.path.join(w.folder, name)):
                os.remove(os.path.join(w.folder, name))
        w.run([w.binary, "secrets", "init", "--no-git"])


def ssh_recipients():
    for kind, more in (("ed25519", []), ("rsa", ["-b", "2048"])):
        path = os.path.join(w.home, "ssh_" + kind)
        w.run(["ssh-keygen", "-q", "-t", kind, *more, "-N", "", "-f", path])
        public = " ".join(open(path + ".pub").read().split()[:2])
        round_trip(public, {"HOME": "/nonexistent", "SOPS_AGE_SSH_PRIVATE_KEY_FILE": path})


if w.tool("ssh-keygen"):
    w.check("ssh-ed25519 and ssh-rsa recipients", ssh_recipients)
else:
    print("skipped  ssh recipients: no ssh-keygen")

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(prefix, data):
    values, bits, held = [], 0, 0
    for byte in data:
        held, bits = held << 8 | byte, bits + 8
        while bits >= 5:
            bits -= 5
            values.append(held >> bits & 31)
    if bits:
        values.append(held << 5 - bits & 31)
    check = 1
    for value in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values + [0] * 6:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for i, factor in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= factor if top >> i & 1 else 0
    check ^= 1
    return prefix + "1" + "".join(LETTERS[v] for v in values + [check >> 5 * (5 - i) & 31 for i in range(6)])


PLUGIN = '''#!/usr/bin/env python3
# A plugin for tests: the file key is only turned round.
import base64, sys
def read():
    words, body = sys.stdin.buffer.readline().decode().split()[1:], ""
    while True:
        line = sys.stdin.buffer.readline().decode().rstrip("\\n")
        body += line
        if len(line) < 64:
            return words, base64.b64decode(body + "=" * (-len(body) % 4))
def say(words, body=b""):
    sys.stdout.write("-> " + words + "\\n" + base64.b64encode(body).decode().rstrip("=") + "\\n")
    sys.stdout.flush()
wrap, keys, stanzas, recipients = "recipient" in sys.argv[1], [], [], 0
while True:
    words, body = read()
    if words[0] == "add-recipient": recipients += 1
    if words[0] == "wrap-file-key": keys.append(body)
    if words[0] == "recipient-stanza" and words[2] == "dmtest": stanzas.append((words[1], body))
    if words[0] == "done": break
for i, key in enumerate(keys):
    for _ in range(recipients):
        say(f"recipient-stanza {i} dmtest", key[::-1]); read()
for number, body in stanzas[:1]:
    say("file-key " + number, body[::-1]); read()
say("done")
'''


def plugin_recipients():
    folder = os.path.join(w.home, "bin")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "age-plugin-dmtest")
    with open(path, "w") as file:
        file.write(PLUGIN)
    os.chmod(path, 0o755)
    before = w.env["PATH"]
    w.env["PATH"] = folder + os.pathsep + before
    try:
        identity = w.write("plugin.txt", bech32("age-plugin-dmtest-", b"identity").upper() + "\n")
        round_trip(bech32("age1dmtest", b"recipient"), {"HOME": "/nonexistent", "SOPS_AGE_KEY_FILE": identity})
    finally:
        w.env["PATH"] = before


w.check("plugin recipients: age calls age-plugin-NAME", plugin_recipients)


def post_quantum_recipients():
    path = os.path.join(w.home, "pq.txt")
    w.run(["age-keygen", "-pq", "-o", path])
    public = w.run(["age-keygen", "-y", path]).stdout.decode().strip()
    equal(public.startswith("age1pq1"), True)
    round_trip(public, {"HOME": "/nonexistent", "SOPS_AGE_KEY_FILE": path})


if subprocess.run([w.tool("age-keygen"), "-pq"], capture_output=True).returncode == 0:
    w.check("post-quantum recipients", post_quantum_recipients)
else:
    print("skipped  post-quantum recipients: this age is older than 1.3")
w.end()
