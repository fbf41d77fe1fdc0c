#!/usr/bin/env python3
"""The lab's Valkey keeps the contract of the official image (lab/images/valkey)."""
from labtest import container, docker, eventually, files, network, run, tag, that, volume

IMAGE = tag("valkey")


def test_it_runs_as_its_user_in_data_and_is_reachable_without_protected_mode():
    with network() as net, container(IMAGE, options=["--network", net, "--network-alias", "valkey"]) as c:
        eventually("it answers", lambda: c.run("valkey-cli", "ping")[1] == "PONG", 20)
        that(c.out("sh", "-c", "awk '/^Uid/ {print $2}' /proc/1/status") == "999", "it runs as user 999")
        that(docker("run", "--rm", "--network", net, IMAGE, "valkey-cli", "-h", "valkey", "ping") == "PONG", "another container reaches it without a password")


def test_options_and_files_alone_mean_the_server_and_data_survive():
    with volume() as data:
        options = ["-v", f"{data}:/data"]
        with container(IMAGE, "--requirepass", "pw", "--appendonly", "yes", options=options) as c:
            eventually("it answers", lambda: c.run("valkey-cli", "ping", env=["REDISCLI_AUTH=pw"])[1] == "PONG", 20)
            status, text = c.run("valkey-cli", "ping")
            that(status == 0 and "NOAUTH" in text, "valkey-cli ping exits 0 on NOAUTH")
            that(not c.ok("valkey-cli", "-e", "ping"), "with -e it does not")
            c.out("valkey-cli", "set", "k", "v", env=["REDISCLI_AUTH=pw"])
            docker("stop", c.name)
            that(c.state(".State.ExitCode") == "0", "SIGTERM is a clean end")
        with files(my__conf="appendonly yes\nmaxmemory 20mb\n") as f, container(IMAGE, "/f/my.conf", options=[*options, "-v", f"{f}:/f:ro"]) as c:
            eventually("it answers", lambda: c.run("valkey-cli", "get", "k")[1] == "v", 20)
            that(c.out("valkey-cli", "config", "get", "maxmemory").split()[-1] == "20971520", "the file is the server's configuration")


def test_extra_flags_by_variable_and_other_commands():
    with container(IMAGE, "valkey-server", env={"VALKEY_EXTRA_FLAGS": "--maxmemory 30mb --save ''"}) as c:
        eventually("it answers", lambda: c.run("valkey-cli", "config", "get", "maxmemory")[1].split()[-1:] == ["31457280"], 20)
    that(docker("run", "--rm", IMAGE, "echo", "hi") == "hi", "another command is run")


if __name__ == "__main__":
    run(globals(), ["valkey"])
