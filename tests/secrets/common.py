"""What the tests of `datamancy secrets` share: a throw-away home, the tools, a counter of what held."""
import os, shutil, subprocess, sys, tempfile

here = os.path.dirname(os.path.abspath(__file__))
files = os.path.join(here, "files")
LAB = os.environ.get("DATAMANCY_LAB", "/var/cache/datamancy-lab")


class World:
    def __init__(self, binary, need=()):
        self.binary = os.path.abspath(binary)
        for tool in need:
            if not self.tool(tool):
                print(f"skipped: '{tool}' is not on PATH")
                sys.exit(77)
        self.temporary = tempfile.TemporaryDirectory(prefix="dm-secrets-")
        self.home = os.path.join(self.temporary.name, "home")
        self.folder = os.path.join(self.temporary.name, "p")
        os.makedirs(self.home)
        os.makedirs(self.folder)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SOPS_", "XDG_", "AGE_", "COMPOSE_"))}
        self.env.update(self.docker_config())
        self.env.update(HOME=self.home, PATH=self.path(), GIT_CONFIG_NOSYSTEM="1", SOPS_DISABLE_VERSION_CHECK="1")
        self.held, self.failed = 0, []

    @staticmethod
    def path():
        # What `lab/lab tools age sops` compiles, newer than the distribution's, comes first.
        return os.pathsep.join([os.path.join(LAB, "bin"), os.environ["PATH"]])

    @staticmethod
    def docker_config():
        """Where the docker CLI finds the Compose that the lab fetched, if the machine has none of its own."""
        own = os.path.join(LAB, "docker-config")
        alone = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0 if shutil.which("docker") else True
        return {} if alone or not os.path.isdir(own) else {"DOCKER_CONFIG": own}

    @classmethod
    def tool(cls, name):
        return shutil.which(name, path=cls.path())

    @classmethod
    def compose(cls):
        """Whether `docker compose` answers: a docker CLI without its plugin is not enough."""
        return bool(cls.tool("docker")) and subprocess.run(["docker", "compose", "version"], env={**os.environ, **cls.docker_config()}, capture_output=True).returncode == 0

    def run(self, argv, input=b"", env=None, cwd=None, status=0):
        if isinstance(input, str):
            input = input.encode("utf-8", "surrogateescape")
        done = subprocess.run(argv, input=input, env={**self.env, **(env or {})}, cwd=cwd or self.folder, capture_output=True)
        if status is not None and done.returncode != status:
            raise AssertionError(f"{argv}: status {done.returncode}, expected {status}\n{done.stdout[-2000:].decode(errors='replace')}\n{done.stderr[-2000:].decode(errors='replace')}")
        return done

    def dm(self, *words, **options):
        return self.run([self.binary, "secrets", *words], **options)

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
        return path

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def check(self, name, body):
        try:
            body()
            self.held += 1
            print("ok      ", name)
        except Exception as error:  # a test that cannot run has failed
            self.failed.append(name)
            print("FAILED  ", name, "\n   ", str(error).replace("\n", "\n    "))

    def end(self):
        print(f"{self.held} passed, {len(self.failed)} failed")
        sys.exit(1 if self.failed or not self.held else 0)


def equal(got, expected):
    if isinstance(got, dict) and isinstance(expected, dict):
        got, expected = ({k: v for k, v in a.items() if b.get(k) != v} for a, b in ((got, expected), (expected, got)))
    if got != expected:
        raise AssertionError(f"got      {got!r:.1500}\nexpected {expected!r:.1500}")
