"""A project with one datastore of each kind on the lab's images, filled with awkward data; for the tests and proofs of backups."""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile

from labtest import ENV, LABEL, ROOT, Failed, docker, engine, eventually, that

KEY, VALUE = LABEL.split("=")
COMPOSE = f"""
name: NAME
x-mark: &mark {{labels: {{{KEY}: {VALUE}}}}}
services:
  db:
    <<: *mark
    image: datamancy-lab/postgres:17
    environment: {{POSTGRES_USER: shop, POSTGRES_PASSWORD_FILE: /run/secrets/pg, POSTGRES_DB: shop}}
    volumes: [db:/var/lib/postgresql/data, ./pg.password:/run/secrets/pg:ro]
  maria:
    <<: *mark
    image: datamancy-lab/mariadb:11.8
    environment: {{MARIADB_ROOT_PASSWORD: "r\\"o'o$$t p=w", MARIADB_DATABASE: shop, MARIADB_USER: shop, MARIADB_PASSWORD: shop}}
    volumes: [maria:/var/lib/mysql]
  cache:
    <<: *mark
    image: datamancy-lab/valkey:8.1
    command: [valkey-server, --appendonly, "yes", --requirepass, "s3 cret"]
    volumes: [cache:/data]
  ldap:
    <<: *mark
    image: datamancy-lab/openldap:2.6
    environment: {{LDAP_DOMAIN: example.org, LDAP_ADMIN_PASSWORD: adminpw, LDAP_CONFIG_PASSWORD: configpw}}
    volumes: [ldapdata:/var/lib/ldap, ldapconf:/etc/ldap/slapd.d]
  app:
    <<: *mark
    image: datamancy-lab/base:13
    command: [sleep, infinity]
    init: true
    volumes: [uploads:/srv/uploads]
volumes: {{db: *mark, maria: *mark, cache: *mark, ldapdata: *mark, ldapconf: *mark, uploads: *mark}}
networks: {{default: *mark}}
"""

POSTGRES = r"""
create role app login password 'x'; create role reporting; grant reporting to app;
create extension pg_trgm; create extension hstore;
create table orders(id serial primary key, at timestamptz default now(), note text, j jsonb, h hstore, a int[]);
insert into orders(note, j, h, a) select md5(i::text), jsonb_build_object('i', i), 'a=>1', array[i, null] from generate_series(1, ROWS) i;
create table "Odd "" Table" (a text, b bytea, c float8);
insert into "Odd "" Table" values (E'tab\tnl\n\\.', '\x00ff', 'NaN'), (null, null, '-Infinity'), ('', '', 0.1), ('', '', 0.1);
create materialized view mv as select count(*) c from orders;
create function f() returns text language sql as $$ select 'COPY x FROM stdin; -- ''' $$;
create table part(a int) partition by range (a); create table part1 partition of part for values from (0) to (1000000);
insert into part select generate_series(1, 1000);
select lo_from_bytea(0, decode(repeat('00ff10', 30000), 'hex')) from generate_series(1, 20);
grant select on orders to reporting; comment on table orders is 'it''s; -- a comment';
alter database shop set timezone to 'Asia/Tokyo';
create database "Second ""DB" template template0 encoding 'UTF8';
create database empty;
"""

MARIA = r"""
use shop;
create table orders(id int auto_increment primary key, note text, b blob, d decimal(10,2), at timestamp default current_timestamp);
insert into orders(note, b, d) values ('a''b\\c"; -- x', x'00ff27', 1.5), (null, null, null), ('(1,2),(3)', '', 0);
insert into orders(note, b) select concat('row ', seq), unhex(sha1(seq)) from seq_1_to_ROWS;
create table `odd ``t(` (a int) engine=myisam; insert into `odd ``t(` values (1), (1);
create view v as select count(*) c from orders;
delimiter ;;
create procedure p() begin select 'x;y'; -- a ' comment
  insert into orders(note) values ('(from p)'); end;;
create trigger t before insert on orders for each row begin set new.note = ifnull(new.note, 'none'); end;;
create event e on schedule every 1 day do delete from orders where id < 0;;
delimiter ;
create database second character set latin1;
grant select on shop.orders to reporter@'%' identified by 'geheim';
"""

VALKEY = r"""
set a 1
set b "hello world"
set e x ex 100000
rpush l a b c 1 2 300000
sadd s 1 2 3
sadd s2 a b c 1
hset h f1 v1 f2 v2
zadd z 1 one 2.5 two
xadd st 1-1 f v
xgroup create st g 0
select 3
set d3 x
eval "for i=1,ROWS do server.call('set','k'..i,string.rep('v',i%200)) server.call('hset','bigh','f'..i,i) server.call('zadd','bigz',i/3,'m'..i) server.call('sadd','bigs','m'..i) server.call('rpush','bigl','e'..i) end return 1" 0
"""


class Stack:
    def __init__(self, datamancy, rows=20000, services=("db", "maria", "cache", "ldap", "app")):
        self.datamancy, self.rows, self.services = datamancy, rows, services
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="dmtest-backup-"))
        self.name = f"dmtest-backup-{os.getpid()}"
        self.project = self.work / "project"
        self.project.mkdir()
        (self.project / "compose.yaml").write_text(COMPOSE.replace("NAME", self.name))
        (self.project / "pg.password").write_text("pg \"pw'\n")
        (self.project / "pg.password").chmod(0o644)
        (self.work / "key").write_text("repository password\n")
        self.repository = self.work / "repository"
        self.age_key = self.work / "age.txt"  # pg.password is sealed for it
        subprocess.run([datamancy, "secrets", "init"], cwd=self.work, env={**ENV, "SOPS_AGE_KEY_FILE": str(self.age_key)}, check=True, capture_output=True)

    def __enter__(self):
        self.compose("up", "-d", *self.services)
        try:
            for service in self.services:
                getattr(self, "fill_" + service)()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.compose("down", "-v", "-t", "0", check=False)
        shutil.rmtree(self.work, ignore_errors=True)

    def compose(self, *argv, check=True, data=None):
        done = subprocess.run([str(engine.compose()), "-f", str(self.project / "compose.yaml"), *argv], env=ENV, capture_output=True, text=True, input=data)
        if check and done.returncode:
            raise Failed(f"compose {argv}: {done.stderr}")
        return done.stdout

    def container(self, service):
        return f"{self.name}-{service}-1"

    def dm(self, *argv, repository=None, key=None, status=None, env=None):
        """Status, standard output, standard error of datamancy with our repository."""
        done = subprocess.run(self.command(*argv, repository=repository, key=key), cwd=self.project, env=self.env(env), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if status is not None:
            that(done.returncode == status, f"datamancy {' '.join(argv)}: status {done.returncode}, not {status}\n{done.stdout}{done.stderr}")
        return done.returncode, done.stdout, done.stderr

    def command(self, *argv, repository=None, key=None):
        return [self.datamancy, *argv, "--repository", str(repository or self.repository), "--password-file", str(key or self.work / "key")]

    def env(self, more=None):
        return {**ENV, "DATAMANCY_STATE": str(self.work / "state"), "SOPS_AGE_KEY_FILE": str(self.age_key), **(more or {})}

    def json(self, *argv, status=None, **more):
        return json.loads(self.dm(*argv, "--json", status=status, **more)[1])

    def psql(self, sql, database="shop"):
        return docker("exec", "-i", self.container("db"), "psql", "-U", "shop", "-XAtq", "-v", "ON_ERROR_STOP=1", database, data=sql)

    def fill_db(self):
        eventually("PostgreSQL answers", lambda: subprocess.run([engine.docker(), "exec", self.container("db"), "pg_isready", "-h", "127.0.0.1", "-U", "shop"], env=ENV, capture_output=True).returncode == 0, 90)
        self.psql(POSTGRES.replace("ROWS", str(self.rows)))

    def fill_maria(self):
        maria = ["exec", "-i", self.container("maria"), "sh", "-c", 'MYSQL_PWD=$MARIADB_ROOT_PASSWORD exec mariadb -uroot -h 127.0.0.1 "$@"', "sh"]
        eventually("MariaDB answers", lambda: subprocess.run([engine.docker(), *maria, "-e", "select 1"], env=ENV, capture_output=True).returncode == 0, 90)
        docker(*maria, data=MARIA.replace("ROWS", str(self.rows)))

    def fill_cache(self):
        cache = ["exec", "-i", "-e", "REDISCLI_AUTH=s3 cret", self.container("cache"), "valkey-cli", "-e"]
        eventually("Valkey answers", lambda: subprocess.run([engine.docker(), *cache, "ping"], env=ENV, capture_output=True).returncode == 0, 60)
        docker(*cache, data=VALKEY.replace("ROWS", str(self.rows)))

    def fill_ldap(self):
        add = ["exec", "-i", self.container("ldap"), "ldapadd", "-c", "-x", "-H", "ldapi:///", "-D", "cn=admin,dc=example,dc=org", "-w", "adminpw"]
        people = "dn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: people\n\n" + "".join(
            f"dn: uid=u{i},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: u{i}\ncn: Änne {i}\nsn: N\nuserPassword: geheim{i}\n\n" for i in range(self.rows // 100))
        eventually("OpenLDAP takes entries", lambda: subprocess.run([engine.docker(), *add], env=ENV, capture_output=True, text=True, input=people).returncode in (0, 68), 90)

    def fill_app(self):
        docker("exec", self.container("app"), "sh", "-c", "cd /srv/uploads; mkdir -p a/b; echo hi >a/b/f; ln a/b/f hard; ln -s a/b/f soft; ln -s /nowhere dangling; truncate -s 20M sparse; "
               "chown 1000:1001 a/b/f; chmod 4750 a/b/f; mkfifo pipe; head -c 5000000 /dev/urandom >big; mkdir many; cd many; i=0; while [ $i -lt 500 ]; do echo $i >$i; i=$((i+1)); done")
        uploads = pathlib.Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", f"{self.name}_uploads"))
        if os.access(uploads, os.W_OK):
            os.setxattr(uploads / "a/b/f", "user.note", b"x\x00y")
            self.sqlite = sqlite3.connect(uploads / "app.db")  # stays open, in WAL mode: its newest rows are not in the main file
            self.sqlite.execute("pragma journal_mode = wal")
            self.sqlite.execute("create table t(a, b)")
            self.sqlite.executemany("insert into t values (?, ?)", [(i, str(i) * 5) for i in range(self.rows)])
            self.sqlite.commit()


DATAMANCY = str(ROOT / "build" / "datamancy")
