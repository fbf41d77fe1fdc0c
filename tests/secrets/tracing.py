"""What a traced run says of secrets: every write, argv and path of a command and its children, searched for values."""
import os, re, shutil, subprocess, tempfile

CALLS = "write,writev,pwrite64,pwritev,pwritev2,execve,sendto,sendmsg,sendmmsg,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,symlink,symlinkat,link,linkat"
MEMORY = ("/memfd:", "memfd:", "/dev/shm/", "/run/datamancy", "/run/user/")


def bytes_of(text):
    return bytes.fromhex("".join(re.findall(r"\\x([0-9a-f]{2})", text)))


def can_trace():
    return shutil.which("strace") is not None and subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0


class Trace:
    """argv(words): the command under strace. leaks(values): where a value went that is no memory; `seen` counts what went to memory, so that a trace that
    sees nothing is noticed."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="dm-trace-")
        self.seen = 0

    def argv(self, words):
        return ["strace", "-ff", "-qq", "-s", "1000000", "-xx", "-y", "-e", "trace=" + CALLS, "-o", os.path.join(self.folder, "t"), *words]

    def leaks(self, values, pipes=False, engine_stdin=False, made=()):
        """`pipes`: standard output may hold them. `engine_stdin`: what a program in a container reads from its standard input goes over the engine's socket;
        a request (arguments and environment of a container or of a program in it) still may not hold any, but for those of `made` where a container is made."""
        needles = {value: "".join(f"\\x{b:02x}" for b in (value if isinstance(value, bytes) else value.encode())) for value in values}
        out = []
        for name in os.listdir(self.folder):
            with open(os.path.join(self.folder, name), errors="replace") as file:
                for line in file:
                    for value, needle in needles.items():
                        if needle in line:
                            self.judge(line, value, pipes, engine_stdin, made, out)
        return out

    def judge(self, line, value, pipes, engine_stdin, made, out):
        call = line.split("(")[0]
        begin = re.match(r"^\w+\((\d+)<([^>]*)>", line)
        target = "" if begin is None else (bytes_of(begin[2]).decode(errors="replace") or begin[2])
        writes = call.startswith(("write", "pwrite", "send"))
        if writes and target.startswith(MEMORY):
            self.seen += 1
            return
        if writes and pipes and target.startswith(("pipe:", "/dev/pts", "/dev/tty", "/dev/ptmx")):
            return
        if writes and target.startswith(("socket:", "UNIX", "TCP")):
            body = bytes_of(line.split("\"", 1)[-1])
            request = b"HTTP/1.1" in body or b'"Cmd"' in body or b'"Env"' in body or b'"Config"' in body or b'"Image"' in body
            if (engine_stdin and not request) or (value in made and b"HostConfig" in body):
                return
        out.append(f"{call} to {target or '(argv or path)'}")

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
