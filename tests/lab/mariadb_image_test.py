#!/usr/bin/env python3
"""The lab's MariaDB keeps the contract of the official image (lab/images/mariadb)."""
from labtest import container, docker, eventually, files, run, tag, that, volume

IMAGE = tag("mariadb")
CHECK = ["healthcheck.sh", "--connect", "--innodb_initialized"]


def ready(c):
    eventually("the health check passes", lambda: c.ok(*CHECK), 120)


def sql(c, statement, user="root", password="root", database="", host="localhost"):
    return c.out("mariadb", f"-u{user}", f"-h{host}", "-BN", *([database] if database else []), "-e", statement, env=[f"MYSQL_PWD={password}"])


def test_during_init_ping_on_the_socket_is_true_and_the_health_check_is_not():
    with files(n10_wait__sh="touch /tmp/in-init\nwhile [ ! -e /tmp/go-on ]; do sleep 0.2; done\n") as init, \
            container(IMAGE, env={"MARIADB_ROOT_PASSWORD": "root"}, options=["-v", f"{init}:/docker-entrypoint-initdb.d:ro"]) as c:
        eventually("the init script runs", lambda: c.ok("test", "-e", "/tmp/in-init"), 90)
        that(c.ok("mariadb-admin", "ping"), "mariadb-admin ping exits 0 during init, even with access denied")
        that(not c.ok(*CHECK), "healthcheck.sh --connect is false during init")
        that(not c.ok("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3306"), "nothing listens on the port during init")
        c.out("touch", "/tmp/go-on")
        ready(c)


def test_files_make_root_user_and_database():
    with files(root="r'o\\ot\n", pw="p\"w'd") as f, volume() as data:
        options = ["-v", f"{f}:/f:ro", "-v", f"{data}:/var/lib/mysql"]
        env = {"MARIADB_ROOT_PASSWORD_FILE": "/f/root", "MARIADB_USER": "shop", "MARIADB_PASSWORD_FILE": "/f/pw", "MARIADB_DATABASE": "shop_db"}
        with container(IMAGE, env=env, options=options) as c:
            ready(c)
            that(sql(c, "select current_user()", "root", "r'o\\ot") == "root@localhost", "root's password is the file's")
            sql(c, "create table t(x int); insert into t values (7)", "shop", "p\"w'd", "shop_db", "127.0.0.1")
            that(not c.ok("mariadb", "-ushop", "-h127.0.0.1", "-e", "use mysql", env=["MYSQL_PWD=p\"w'd"]), "the user has rights on its database only")
            that(c.out("sh", "-c", "awk '/^Uid/ {print $2}' /proc/1/status") == "999", "the server runs as user 999")
            docker("stop", c.name)
            that(c.state(".State.ExitCode") == "0", "SIGTERM is a clean shutdown")
        with container(IMAGE, env=env, options=options) as c:
            ready(c)
            that(sql(c, "select x from t", "shop", "p\"w'd", "shop_db") == "7", "data stay in /var/lib/mysql")


def test_old_names_of_variables_work_and_no_password_is_refused():
    with container(IMAGE, env={"MYSQL_ROOT_PASSWORD": "root", "MYSQL_DATABASE": "old"}) as c:
        ready(c)
        that("old" in sql(c, "show databases"), "MYSQL_DATABASE makes the database")
    with container(IMAGE) as c:
        that(c.ends() == 1 and "MARIADB_ROOT_PASSWORD" in c.logs(), "it ends with 1 and names the variables")
    with container(IMAGE, env={"MARIADB_ROOT_PASSWORD": "x", "MARIADB_ROOT_PASSWORD_FILE": "/f"}) as c:
        that(c.ends() == 1 and "exclusive" in c.logs(), "variable and file at once are refused")


def test_init_files_and_options():
    with files(n10__sql="create table t(x int);", n20__sh='docker_process_sql() { :; }; mariadb -uroot -p"$MARIADB_ROOT_PASSWORD" shop -e "insert into t values (5)"') as init, \
            container(IMAGE, "--max-connections=33", env={"MARIADB_ROOT_PASSWORD": "root", "MARIADB_DATABASE": "shop"},
                      options=["-v", f"{init}:/docker-entrypoint-initdb.d:ro"]) as c:
        ready(c)
        that(sql(c, "select x, @@max_connections from t", database="shop") == "5\t33", "sql and sh ran in the database, an option reached the server")


if __name__ == "__main__":
    run(globals(), ["mariadb"])
