#!/usr/bin/env python3
"""The engine over TLS, TCP and ssh: engine_transports.py PROBE. A proxy of our own speaks TLS in front of the local socket; `ssh` is once a
script that checks its arguments as the docker CLI's helper gives them and runs the helper here, and once the real one against a real sshd
(where openssh-server is installed, and as root). Exit 77 without an engine."""
import os, pathlib, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading, time

PROBE = sys.argv[1]
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
faults = []


def expect(what, truth, detail=""):
    print(("ok   " if truth else "FAIL ") + what + ("" if truth else f": {detail}"), flush=True)
    if not truth:
        faults.append(what)


def probe(*words, data=None, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
    return subprocess.run([PROBE, "--seconds", "120", *words], input=data, capture_output=True, timeout=150, env={**clean, **env})


def pump(source, target):
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
    except OSError:
        pass
    try:
        if isinstance(target, ssl.SSLSocket):
            target.settimeout(5)
            target.unwrap()  # close_notify, as an engine sends it; a stream that ends without is cut
        else:
            target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(listener, context):
    while True:
        try:
            raw, _ = listener.accept()
            client = context.wrap_socket(raw, server_side=True) if context else raw
        except (OSError, ssl.SSLError):
            if listener.fileno() < 0:
                return
            continue
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(SOCKET)
        threading.Thread(target=pump, args=(client, engine), daemon=True).start()
        threading.Thread(target=pump, args=(engine, client), daemon=True).start()


def openssl(*words, cwd):
    subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=cwd)


def certificates(folder):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=lab CA", cwd=folder)
    for name, extra in (("server", "subjectAltName=IP:127.0.0.1,DNS:localhost"), ("client", "extendedKeyUsage=clientAuth")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}-key.pem", "-out", f"{name}.csr", "-subj", f"/CN={name}", cwd=folder)
        (folder / "ext").write_text(extra + "\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2", "-out", f"{name}.pem", "-extfile", "ext", cwd=folder)
    user = folder / "user"
    user.mkdir()
    for source, target in (("ca.pem", "ca.pem"), ("client.pem", "cert.pem"), ("client-key.pem", "key.pem")):
        shutil.copy(folder / source, user / target)
    return user


def listen(context):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, context), daemon=True).start()
    return listener, listener.getsockname()[1]


class Sshd:
    """A real sshd on a loopback port, with keys of its own; `ssh` in `bin` is the real one with a configuration that knows them."""
    def __init__(self, folder):
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as probe_socket:
            self.port = probe_socket.getsockname()[1]
        for key in ("host", "user", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        shutil.copy(folder / "user.pub", folder / "authorized")
        (folder / "known").write_text(f"[127.0.0.1]:{self.port} {(folder / 'host.pub').read_text()}")
        (folder / "nobody").write_text("")
        (folder / "sshd_config").write_text("\n".join((
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/authorized", "StrictModes no", "UsePAM no",
            "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", f"PidFile {folder}/pid",
            f"SetEnv PATH={os.environ['PATH']}", "")))
        self.as_client("user", "known")
        pathlib.Path("/run/sshd").mkdir(exist_ok=True)  # where it may not write, privileges are given up
        program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
        self.server = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe_socket:
                if probe_socket.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)

    def as_client(self, key, known):
        (self.folder / "ssh_config").write_text(f"IdentityFile {self.folder}/{key}\nIdentitiesOnly yes\nUserKnownHostsFile {self.folder}/{known}\n"
                                                "GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n")
        (self.bin / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder}/ssh_config "$@"\n')
        (self.bin / "ssh").chmod(0o755)

    def sessions(self):
        """Processes of sshd that serve a client."""
        children = pathlib.Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text().split()
        return [int(c) for c in children]

    def gone(self):
        self.server.terminate()
        self.server.wait()


def real_sshd(folder, container):
    if os.geteuid() != 0 or not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or not shutil.which("ssh"):
        print("     (no sshd here, or not root: the real ssh is not tried)")
        return
    sshd = Sshd(folder)
    try:
        env = {"PATH": f"{sshd.bin}:{os.environ['PATH']}", "DOCKER_HOST": ""}
        remote = f"ssh://root@127.0.0.1:{sshd.port}{SOCKET}"
        got = probe("-H", remote, "info", **env)
        expect("a real sshd", got.returncode == 0 and b"api 1." in got.stdout, got)
        if container:
            data = os.urandom(5_000_000)
            got = probe("-H", remote, "exec", "--guard", "--in", container, "cat", data=data, **env)
            expect("5 MB through an exec over a real sshd, both ways", got.stdout == data and b"certain true" in got.stderr, got.stderr[-300:])
            running = subprocess.Popen([PROBE, "--seconds", "60", "-H", remote, "exec", "--guard", container, "sh", "-c", "echo begun; sleep 30"],
                                       env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            running.stdout.readline()
            begin = time.time()
            for pid in sshd.sessions():
                os.kill(pid, signal.SIGKILL)
            _, err = running.communicate(timeout=60)
            took = time.time() - begin
            expect("a session that is cut is an error, at once", running.returncode != 0 and took < 15 and b"certain true" not in err,
                   (running.returncode, err[-300:], took))
        sshd.as_client("stranger", "known")
        got = probe("-H", remote, "info", **env)
        expect("a key that nobody knows is denied, in ssh's words", got.returncode == 2 and b"Permission denied (publickey)" in got.stderr, got)
        sshd.as_client("user", "nobody")
        got = probe("-H", remote, "info", **env)
        expect("an unknown host is refused, in ssh's words", got.returncode == 2 and b"Host key verification failed" in got.stderr, got)
    finally:
        sshd.gone()


def main():
    if probe("-H", f"unix://{SOCKET}", "ping").returncode != 0:
        print("no engine")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        user = certificates(folder)
        _, port = listen(None)
        got = probe("-H", f"tcp://127.0.0.1:{port}", "info")
        expect("plain TCP", got.returncode == 0 and b"api 1." in got.stdout, got)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        _, port = listen(context)
        tls = {"DOCKER_HOST": f"tcp://127.0.0.1:{port}", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(user)}
        got = probe("info", **tls)
        expect("TLS with client certificate, by DOCKER_TLS_VERIFY and DOCKER_CERT_PATH", got.returncode == 0 and b"api 1." in got.stdout, got)
        got = probe("ping", **{**tls, "DOCKER_HOST": f"tcp://localhost:{port}"})
        expect("TLS by name", got.returncode == 0, got)
        got = probe("info", **{**tls, "DOCKER_HOST": f"tcp://127.0.0.2:{port}"})
        expect("another address is refused", got.returncode == 2, got)
        bare = folder / "bare"
        bare.mkdir()
        shutil.copy(folder / "ca.pem", bare / "ca.pem")
        got = probe("info", **{**tls, "DOCKER_CERT_PATH": str(bare)})
        expect("without a client certificate the engine is not reached", got.returncode == 2, got)
        other = folder / "other"
        other.mkdir()
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=someone else", cwd=other)
        got = probe("info", **{**tls, "DOCKER_CERT_PATH": str(other)})
        expect("a server that another authority signed is denied", got.returncode == 2 and b"denied" in got.stderr and b"not who it should be" in got.stderr, got)
        got = probe("-H", f"tcp://127.0.0.1:{port}", "info")
        expect("plain TCP to a TLS port fails and says what it was", got.returncode == 2, got)

        image = next((i for i in ("datamancy-lab/debian:trixie", "lab/debian:trixie") if subprocess.run(["docker", "image", "inspect", i], capture_output=True).returncode == 0), None)
        container = f"engine-transports-{os.getpid()}"
        if image:
            subprocess.run(["docker", "run", "-d", "--name", container, "--label", "datamancy.test=engine", image, "sleep", "1000"], check=True, capture_output=True)
        try:
            data = os.urandom(5_000_000)
            if image:
                got = probe("exec", "--guard", container, "head", "-c", "5000000", "/dev/zero", **tls)
                expect("5 MB out of an exec over TLS", len(got.stdout) == 5_000_000 and b"certain true" in got.stderr, got.stderr)

            # ssh: the docker CLI's way.
            bin_folder = folder / "bin"
            bin_folder.mkdir()
            script = bin_folder / "ssh"
            script.write_text('#!/bin/sh\nprintf "%s\\n" "$*" >> "$SSH_LOG"\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec "$@"\n')
            script.chmod(0o755)
            log = folder / "ssh.log"
            env = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "SSH_LOG": str(log), "DOCKER_HOST": ""}
            remote = f"ssh://eve@lab.example:2222{SOCKET}"
            got = probe("-H", remote, "info", **env)
            said = log.read_text() if log.exists() else ""
            expect("ssh through `docker system dial-stdio`", got.returncode == 0 and "-l eve -p 2222 -- lab.example docker --host unix://" + SOCKET + " system dial-stdio" in said, (got, said))
            if image:
                got = probe("-H", remote, "exec", "--guard", "--in", container, "cat", data=data, **env)
                expect("5 MB through an exec over ssh, both ways", got.stdout == data and b"certain true" in got.stderr, got.stderr[-300:])
            script.write_text('#!/bin/sh\necho "Permission denied (publickey)." >&2\nexit 255\n')
            got = probe("-H", remote, "info", **env)
            expect("what ssh says is told", got.returncode == 2 and b"Permission denied (publickey)" in got.stderr, got)
            real_sshd(folder / "sshd", container if image else None)
        finally:
            subprocess.run(["docker", "rm", "-f", container], capture_output=True)
    return 1 if faults else 0


sys.exit(main())
