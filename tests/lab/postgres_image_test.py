#!/usr/bin/env python3
"""The lab's PostgreSQL keeps the contract of the official image (lab/images/postgres)."""
from labtest import container, docker, eventually, files, run, tag, that, volume

IMAGE = tag("postgres")
BASE = {"POSTGRES_PASSWORD": "pw"}


def ready(c, user="postgres"):
    eventually("PostgreSQL answers over TCP", lambda: c.ok("pg_isready", "-q", "-h", "127.0.0.1", "-U", user), 90)


def test_during_init_the_socket_answers_and_TCP_does_not():
    with files(n10_wait__sh="touch /tmp/in-init\nwhile [ ! -e /tmp/go-on ]; do sleep 0.2; done\n") as init, \
            container(IMAGE, env=BASE, options=["-v", f"{init}:/docker-entrypoint-initdb.d:ro"]) as c:
        eventually("the init script runs", lambda: c.ok("test", "-e", "/tmp/in-init"), 60)
        that(c.ok("pg_isready", "-q"), "pg_isready on the socket is true while the temporary server runs")
        that(not c.ok("pg_isready", "-q", "-h", "127.0.0.1"), "pg_isready over TCP is false while the temporary server runs")
        that("172." not in c.out("psql", "-U", "postgres", "-tAc", "show listen_addresses"), "the temporary server listens nowhere")
        c.out("touch", "/tmp/go-on")
        ready(c)
        that("PostgreSQL init process complete" in c.logs(), "the log says that init is complete")


def test_user_password_and_database_come_from_files():
    with files(pw="it's \"odd\"\n", user="club", db="members") as f, \
            container(IMAGE, env={"POSTGRES_PASSWORD_FILE": "/f/pw", "POSTGRES_USER_FILE": "/f/user", "POSTGRES_DB_FILE": "/f/db"}, options=["-v", f"{f}:/f:ro"]) as c:
        ready(c, "club")
        here = c.address()  # on 127.0.0.1 initdb's own line trusts everybody, in the official image, too
        login = c.out("psql", "-h", here, "-U", "club", "members", "-tAc", "select current_user", env=["PGPASSWORD=it's \"odd\""])
        that(login == "club", "the user of the file logs in with the password of the file, without its last line end")
        that("_FILE" not in c.out("sh", "-c", "tr '\\0' '\\n' </proc/1/environ", user="postgres"), "the server does not inherit *_FILE")
        that(not c.ok("psql", "-h", here, "-U", "club", "members", "-c", "select 1", env=["PGPASSWORD=wrong"]), "a wrong password is refused from other addresses")
        that(c.ok("psql", "-h", "127.0.0.1", "-U", "club", "members", "-c", "select 1", env=["PGPASSWORD=wrong"]), "and not asked on 127.0.0.1 inside the container")


def test_a_variable_and_its_file_at_once_are_refused():
    with container(IMAGE, env={**BASE, "POSTGRES_PASSWORD_FILE": "/nowhere"}) as c:
        that(c.ends() == 1 and "exclusive" in c.logs(), "it ends with 1 and says why")


def test_without_a_password_it_refuses_unless_trust_is_said():
    with container(IMAGE) as c:
        that(c.ends() == 1 and "POSTGRES_PASSWORD" in c.logs(), "it ends with 1 and names the variable")
    with container(IMAGE, env={"POSTGRES_HOST_AUTH_METHOD": "trust"}) as c:
        ready(c)
        that(c.ok("psql", "-h", "127.0.0.1", "-U", "postgres", "-c", "select 1"), "with trust no password is asked")


def test_init_files_run_in_order_by_kind_once():
    init_files = dict(
        n10_table__sql="create table t(x int);", n20_row__sh='psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "insert into t values (1)"',
        n40_ignored__txt="not SQL")
    with volume() as data, files(**init_files) as init:
        docker("run", "--rm", "-v", f"{init}:/i", "datamancy-lab/base:13", "sh", "-c",
               "echo 'insert into t values (2);' | gzip >/i/25_zipped.sql.gz; echo '\"${psql[@]}\" -c \"insert into t values (3)\"' >/i/35_sourced.sh; chmod 644 /i/35_sourced.sh")
        options = ["-v", f"{init}:/docker-entrypoint-initdb.d:ro", "-v", f"{data}:/var/lib/postgresql/data"]
        with container(IMAGE, env=BASE, options=options) as c:
            ready(c)
            that(c.out("psql", "-U", "postgres", "-tAc", "select string_agg(x::text, ',' order by x) from t") == "1,2,3", "sql, sh, sql.gz and sourced sh ran")
            that("ignoring /docker-entrypoint-initdb.d/40_ignored.txt" in c.logs(), "other files are ignored aloud")
            docker("stop", c.name)
            that(c.state(".State.ExitCode") == "0", "SIGINT, the image's stop signal, is a clean fast shutdown")
        with container(IMAGE, env=BASE, options=options) as c:
            ready(c)
            that("Skipping initialization" in c.logs(), "a data folder that exists skips init")
            that(c.out("psql", "-U", "postgres", "-tAc", "select count(*) from t") == "3", "and nothing ran again")


def test_a_failed_init_script_leaves_data_and_the_next_start_skips_init():
    with volume() as data, files(n10_bad__sql="create table before(x int);\nselect nonsense;\ncreate table after(x int);") as init:
        options = ["-v", f"{init}:/docker-entrypoint-initdb.d:ro", "-v", f"{data}:/var/lib/postgresql/data"]
        with container(IMAGE, env=BASE, options=options) as c:
            that(c.ends() != 0, "the first start fails")
        with container(IMAGE, env=BASE, options=options) as c:
            ready(c)
            that(c.out("psql", "-U", "postgres", "-tAc", "select to_regclass('before') is not null, to_regclass('after') is not null") == "t|f", "the second start looks healthy with half a schema")


def test_options_alone_configure_the_server_and_other_commands_run_as_they_are():
    with container(IMAGE, "-c", "max_connections=42", env=BASE) as c:
        ready(c)
        that(c.out("psql", "-U", "postgres", "-tAc", "show max_connections") == "42", "an option reaches the server")
        that(c.out("sh", "-c", "awk '/^Uid/ {print $2}' /proc/1/status") == "999", "the server runs as user 999")
        that("host all all all scram-sha-256" in c.out("sh", "-c", "cat $PGDATA/pg_hba.conf"), "every address needs a SCRAM password")
    that(docker("run", "--rm", IMAGE, "echo", "hello") == "hello", "another command is run")
    that("PostgreSQL) 17" in docker("run", "--rm", IMAGE, "postgres", "--version"), "--version sets nothing up")


def test_it_runs_as_any_user_and_with_initdb_arguments():
    with container(IMAGE, env={**BASE, "POSTGRES_INITDB_ARGS": "--data-checksums --locale-provider=icu --icu-locale=de-DE"}, options=["--user", "1234:1234", "--tmpfs", "/var/lib/postgresql/data:uid=1234,gid=1234,mode=0700"]) as c:
        ready(c)
        that(c.out("psql", "-U", "postgres", "-h", "/var/run/postgresql", "-tAc", "show data_checksums") == "on", "POSTGRES_INITDB_ARGS reach initdb")


if __name__ == "__main__":
    run(globals(), ["postgres"])
