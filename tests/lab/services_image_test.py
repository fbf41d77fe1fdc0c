#!/usr/bin/env python3
"""The other images of the lab keep the contracts of those that they stand for (lab/images)."""
import json
import ssl
import smtplib
import imaplib
import subprocess

from labtest import ENV, container, docker, engine, eventually, files, network, run, tag, that, volume


def test_pgbouncer_pools_for_a_SCRAM_server_by_variables_url_and_file():
    users = '"club" "pw"\n'
    with network() as net, files(userlist__txt=users) as f, \
            container(tag("postgres"), env={"POSTGRES_USER": "club", "POSTGRES_PASSWORD": "pw"}, options=["--network", net, "--network-alias", "postgres"]) as pg, \
            container(tag("pgbouncer"), env={"DB_HOST": "postgres", "DB_USER": "club", "DB_PASSWORD": "pw", "AUTH_TYPE": "scram-sha-256", "POOL_MODE": "transaction", "MAX_CLIENT_CONN": "77"}, options=["--network", net]) as by_variables, \
            container(tag("pgbouncer"), env={"DATABASE_URL": "postgres://club:pw@postgres:5432/club", "AUTH_TYPE": "plain", "LISTEN_PORT": "6432"}, options=["--network", net]) as by_url, \
            container(tag("pgbouncer"), env={"DB_HOST": "postgres", "AUTH_TYPE": "scram-sha-256", "AUTH_FILE": "/f/userlist.txt"}, options=["--network", net, "-v", f"{f}:/f:ro"]) as by_file, \
            container(tag("pgbouncer"), env={"DB_HOST": "postgres", "DB_USER": "club", "DB_PASSWORD": "pw"}, options=["--network", net]) as by_md5:
        eventually("PostgreSQL answers", lambda: pg.ok("pg_isready", "-q", "-h", "127.0.0.1", "-U", "club"), 90)
        for c, port in ((by_variables, 5432), (by_url, 6432), (by_file, 5432)):
            that(c.out("psql", f"postgresql://club:pw@127.0.0.1:{port}/club", "-tAc", "select 1") == "1", f"a query through {c.name}")
        ini = by_variables.out("cat", "/etc/pgbouncer/pgbouncer.ini")
        that("pool_mode = transaction" in ini and "max_client_conn = 77" in ini, "variables become settings")
        that(by_variables.out("id", "-u") == "70", "it runs as user 70")
        that(not by_md5.ok("psql", "postgresql://club:pw@127.0.0.1/club", "-tAc", "select 1"), "its default, md5, fails against a server with SCRAM passwords")
    with container(tag("pgbouncer")) as c:
        that(c.ends() == 1 and "DB_HOST" in c.logs(), "without DB_HOST it ends and names it")


def test_openldap_bootstraps_once_and_keeps_data_and_configuration():
    people = "dn: uid=ada,{{ LDAP_BASE_DN }}\nobjectClass: inetOrgPerson\nuid: ada\ncn: Ada\nsn: Example\n\ndn: cn=all,{{ LDAP_BASE_DN }}\nobjectClass: groupOfUniqueNames\ncn: all\nuniqueMember: uid=ada,{{ LDAP_BASE_DN }}\n"
    with volume() as data, volume() as config, files(admin="s3 cret", people__ldif=people) as f:
        options = ["-v", f"{data}:/var/lib/ldap", "-v", f"{config}:/etc/ldap/slapd.d", "-v", f"{f}/admin:/admin:ro", "--hostname", "ldap",
                   "-v", f"{f}/people.ldif:/container/service/slapd/assets/config/bootstrap/ldif/custom/people.ldif:ro"]
        env = {"LDAP_DOMAIN": "club.example", "LDAP_ADMIN_PASSWORD_FILE": "/admin", "LDAP_READONLY_USER": "true", "LDAP_READONLY_USER_PASSWORD": "ro", "LDAP_TLS_VERIFY_CLIENT": "never"}
        ask = ["ldapsearch", "-x", "-LLL", "-H", "ldap://127.0.0.1", "-b", "dc=club,dc=example"]
        as_admin = ["-D", "cn=admin,dc=club,dc=example", "-w", "s3 cret"]
        with container(tag("openldap"), env=env, options=options) as c:
            eventually("the people are there", lambda: "uid=ada" in c.run(*ask, *as_admin, "(uid=ada)", "dn", "memberOf")[1], 60)
            eventually("setup is done", lambda: "setup is done" in c.logs(), 60)
            eventually("it answers again", lambda: c.ok(*ask, *as_admin, "-s", "base"), 30)
            that("memberOf: cn=all" in c.out(*ask, *as_admin, "(uid=ada)", "memberOf"), "membership shows at the person")
            that("uid=ada" in c.out(*ask, "-D", "cn=readonly,dc=club,dc=example", "-w", "ro", "dn"), "the read-only user reads")
            that("uid=ada" not in c.run(*ask, "dn")[1], "nobody reads without login")
            that(c.ok("ldapwhoami", "-x", "-ZZ", "-H", "ldap://ldap", *as_admin, env=["LDAPTLS_CACERT=/container/service/slapd/assets/certs/ca.crt"]), "StartTLS with the certificate of its own CA")
            that("uid=ada" in c.out("slapcat", "-F", "/etc/ldap/slapd.d", "-n", "1"), "slapcat reads while it runs")
            docker("stop", c.name)
            that(c.state(".State.ExitCode") == "0", "SIGTERM is a clean end")
        with container(tag("openldap"), env=env, options=options) as c:
            eventually("the people are still there", lambda: "uid=ada" in c.run(*ask, *as_admin, "dn")[1], 60)
        with container(tag("openldap"), env=env, options=[*options[:2], *options[4:6]]) as c:
            that(c.ends() != 0 and "empty but not" in c.logs(), "data without configuration is refused")


def test_caddy_rate_limits_and_serves_as_the_official_image():
    caddyfile = ":80 {\n  rate_limit {\n    zone all {\n      key {remote_host}\n      events 3\n      window 1m\n    }\n  }\n  respond ok\n}\n"
    with files(Caddyfile=caddyfile) as f, container(tag("caddy"), options=["-v", f"{f}/Caddyfile:/etc/caddy/Caddyfile:ro"]) as c:
        eventually("it answers", lambda: c.ok("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:2019/config/"), 20)
        codes = c.out("sh", "-c", "for i in 1 2 3 4 5; do curl -s -o /dev/null -w '%{http_code} ' http://127.0.0.1/; done").split()
        that(codes == ["200"] * 3 + ["429"] * 2, f"three of five are served: {codes}")
        docker("stop", c.name)
        that(c.state(".State.ExitCode") == "0", "SIGTERM is a clean end")
    with files(Caddyfile=":80\nnonsense_directive\n") as f, container(tag("caddy"), options=["-v", f"{f}/Caddyfile:/etc/caddy/Caddyfile:ro"]) as c:
        that(c.ends() == 1 and "nonsense_directive" in c.logs(), "one unknown directive makes it reject the whole file")


def test_mailserver_delivers_and_serves_IMAP():
    with files() as f:
        with container(tag("mail"), env={"OVERRIDE_HOSTNAME": "mail.club.example"}, options=["-v", f"{f}:/tmp/docker-mailserver"]) as c:
            that("at least one mail account" in eventually("it asks for an account", c.logs, 20), "without an account it waits")
            c.out("setup", "email", "add", "ada@club.example", "geheim")
            eventually("it is up", lambda: "is up and running" in c.logs(), 60)
            context = ssl._create_unverified_context()
            address = c.address()
            eventually("SMTP answers", lambda: c.ok("sh", "-c", "nc -w 2 127.0.0.1 25 </dev/null | grep -q ^220"), 60)
            with smtplib.SMTP(address, 587, timeout=20) as smtp:
                smtp.starttls(context=context)
                smtp.login("ada@club.example", "geheim")
                smtp.sendmail("ada@club.example", ["ada@club.example"], "Subject: hello\r\n\r\nhi\r\n")
            imap = imaplib.IMAP4_SSL(address, 993, ssl_context=context)
            imap.login("ada@club.example", "geheim")
            eventually("the message arrives", lambda: imap.select()[1] != [b"0"], 30)
            imap.logout()
            with smtplib.SMTP(address, 25, timeout=20) as smtp:
                smtp.ehlo("elsewhere.example")
                smtp.mail("x@elsewhere.example")
                that(smtp.rcpt("y@other.example")[0] == 554, "it is no open relay")
                that(smtp.rcpt("nobody@club.example")[0] == 550, "an unknown user is refused")
            c.out("setup", "email", "add", "bob@club.example", "auch geheim")
            eventually("an account that comes later is taken over", lambda: "accounts changed" in c.logs(), 30)
            docker("stop", c.name)
            that(c.state(".State.ExitCode") == "0", "SIGTERM is a clean end")


def test_roundcube_makes_its_tables_in_MariaDB_and_shows_the_login():
    with network() as net, files(pw="p@ss:w/rd") as f, \
            container(tag("mariadb"), env={"MARIADB_ROOT_PASSWORD": "root", "MARIADB_DATABASE": "webmail", "MARIADB_USER": "webmail", "MARIADB_PASSWORD": "p@ss:w/rd"},
                      options=["--network", net, "--network-alias", "db"]) as db:
        eventually("MariaDB is healthy", lambda: db.ok("healthcheck.sh", "--connect"), 120)
        env = {"ROUNDCUBEMAIL_DB_TYPE": "mysql", "ROUNDCUBEMAIL_DB_HOST": "db", "ROUNDCUBEMAIL_DB_USER": "webmail", "ROUNDCUBEMAIL_DB_NAME": "webmail"}
        with container(tag("roundcube"), env=env, options=["--network", net, "-v", f"{f}/pw:/run/secrets/roundcube_db_password:ro"]) as c:
            eventually("the login page shows", lambda: "rcmloginuser" in c.run("curl", "-s", "http://127.0.0.1/")[1], 60)
            that("session" in db.out("mariadb", "-uroot", "webmail", "-BNe", "show tables", env=["MYSQL_PWD=root"]), "its tables are in MariaDB")


def test_miniflux_waits_for_nothing_migrates_and_is_healthy():
    with network() as net, container(tag("postgres"), env={"POSTGRES_USER": "feeds", "POSTGRES_PASSWORD": "pw"}, options=["--network", net, "--network-alias", "postgres"]) as pg:
        eventually("PostgreSQL answers", lambda: pg.ok("pg_isready", "-q", "-h", "127.0.0.1", "-U", "feeds"), 90)
        with files(url="postgres://feeds:pw@postgres/feeds?sslmode=disable") as f, \
                container(tag("miniflux"), env={"DATABASE_URL_FILE": "/f/url", "RUN_MIGRATIONS": "1", "CREATE_ADMIN": "1", "ADMIN_USERNAME": "ada", "ADMIN_PASSWORD": "geheim99"}, options=["--network", net, "-v", f"{f}:/f:ro"]) as c:
            eventually("it is healthy", lambda: c.ok("/usr/bin/miniflux", "-healthcheck", "auto"), 60)
            that(c.out("id", "-un") == "nobody", "it runs as nobody")
            that(pg.out("psql", "-U", "feeds", "-tAc", "select username from users") == "ada", "the administrator was made")


def test_memcached_prometheus_and_alertmanager():
    with container(tag("memcached"), "-m", "32") as c:
        eventually("memcached answers", lambda: "VERSION" in c.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/11211 && echo version >&3 && head -n 1 <&3")[1], 20)
        that(c.out("id", "-u") == "11211", "options alone mean memcached, as user 11211")
    for name, port, folder in (("prometheus", 9090, "/prometheus"), ("alertmanager", 9093, "/alertmanager")):
        with container(tag(name)) as c:
            eventually(f"{name} is ready", lambda: c.ok("wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{port}/-/ready"), 60)
            that(c.out("id", "-un") == "nobody" and c.out("pwd") == folder, f"{name} runs as nobody in its data folder")


def test_misbehave_does_as_it_is_told():
    with container(tag("misbehave"), env={"MISBEHAVE": "healthy_after=2"}) as c:
        eventually("it listens", lambda: "listening" in c.logs(), 20)
        eventually("healthy after its time", lambda: c.ok("misbehave", "health"), 20)
        told = lambda path: c.run("misbehave", "health", path)  # noqa: E731
        that(told("/set/error/1")[0] == 0 and told("/")[0] == 1, "error: 500")
        told("/set/error/0")
        that(json.loads(told("/switches")[1])["error"] == 0, "switches can be read")
        told("/set/unhealthy/1")
        that(not c.ok("misbehave", "health"), "unhealthy: 503")
        told("/set/unhealthy/0")
        told("/set/flood/200")
        eventually("flood: lines", lambda: c.logs().count("flood") > 100, 20)
        told("/set/flood/0")
        told("/set/hang/1")
        status, _ = c.run("timeout", "3", "misbehave", "health")
        that(status == 124, "hang: no answer")
        told("/set/hang/0")
        told("/set/ignore_term/1")
        docker("stop", "-t", "1", c.name)
        that(c.state(".State.ExitCode") == "137", "ignore_term: it has to be killed")
    with container(tag("misbehave"), env={"MISBEHAVE": "crash=1,exit_code=3"}) as c:
        that(c.ends() == 3, "crash: with the status it was told")
    with container(tag("misbehave"), env={"MISBEHAVE": "oom"}, options=["--memory", "32m", "--memory-swap", "32m"]) as c:
        that(c.ends() == 137 and c.state(".State.OOMKilled") == "true", "oom: killed for memory")
    with container(tag("misbehave"), env={"NEEDS": "nowhere.invalid:1"}) as c:
        eventually("it names what it cannot reach", lambda: "cannot reach nowhere.invalid:1" in c.run("misbehave", "health")[1], 20)
    with container(tag("misbehave"), env={"MISBEHAVE": "nonsense"}) as c:
        that(c.ends() == 64, "an unknown switch is refused")


def test_this_program_runs_as_a_container():
    text = docker("run", "--rm", tag("datamancy"), "--version")
    that(text.startswith("datamancy "), text)
    compose = "name: x\nservices:\n  a: {image: 'valkey/valkey:latest'}\n"
    done = subprocess.run([engine.docker(), "run", "--rm", "-i", "--entrypoint", "sh", tag("datamancy"), "-c", "cat >compose.yaml; datamancy audit --json ."], env=ENV, input=compose, text=True, capture_output=True)
    that(done.returncode in (0, 1) and '"findings"' in done.stdout, done.stdout[:300] + done.stderr)


if __name__ == "__main__":
    run(globals(), ["postgres", "pgbouncer", "openldap", "caddy", "mail", "mariadb", "roundcube", "miniflux", "memcached", "prometheus", "alertmanager", "misbehave", "datamancy"])
