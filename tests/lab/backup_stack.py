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
  couch:
    <<: *mark
    profiles: [stores]
    image: datamancy-lab/couchdb:3
    environment: {{COUCHDB_USER: admin, COUCHDB_PASSWORD: "c\\"o: u$$ch"}}
    volumes: [couch:/opt/couchdb/data]
  house:
    <<: *mark
    profiles: [stores]
    image: datamancy-lab/clickhouse:26.9
    environment: {{CLICKHOUSE_USER: shop, CLICKHOUSE_PASSWORD: "h'o\\"use"}}
    volumes: [house:/var/lib/clickhouse]
  vectors:
    <<: *mark
    profiles: [stores]
    image: datamancy-lab/qdrant:1.19
    environment: {{QDRANT__SERVICE__API_KEY: "k e'y"}}
    volumes: [vectors:/qdrant/storage]
  mysql:
    <<: *mark
    profiles: [stores]
    image: datamancy-lab/mysql:9.7
    environment: {{MYSQL_ROOT_PASSWORD: "r\\"o'o$$t p=w", MYSQL_DATABASE: shop, MYSQL_USER: shop, MYSQL_PASSWORD: shop}}
    volumes: [mysql:/var/lib/mysql]
  app:
    <<: *mark
    image: datamancy-lab/base:13
    command: [sleep, infinity]
    init: true
    volumes: [uploads:/srv/uploads]
volumes: {{db: *mark, maria: *mark, cache: *mark, ldapdata: *mark, ldapconf: *mark, uploads: *mark, couch: *mark, house: *mark, vectors: *mark, mysql: *mark}}
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

MYSQL = r"""
use shop;
set session cte_max_recursion_depth = 10000000;
create table orders(id int auto_increment primary key, note text, b blob, d decimal(10,2), j json, at timestamp default current_timestamp);
insert into orders(note, b, d, j) values ('a''b\\c"; -- x', x'00ff27', 1.5, '{"a": [1, null]}'), (null, null, null, null), ('(1,2),(3)', '', 0, '[]');
insert into orders(note, b) with recursive n(i) as (select 1 union all select i + 1 from n where i < ROWS) select concat('row ', i), unhex(sha2(i, 256)) from n;
create view v as select count(*) c from orders;
delimiter ;;
create procedure p() begin select 'x;y'; -- a ' comment
  insert into orders(note) values ('(from p)'); end;;
create trigger t before insert on orders for each row begin set new.note = ifnull(new.note, 'none'); end;;
create event e on schedule every 1 day do delete from orders where id < 0;;
delimiter ;
create database second character set latin1;
create role reading, writing;
grant select on shop.* to reading; grant insert, update (note) on shop.orders to writing;
create user 'rep`o rter'@'%' identified by 'ge''heim'; grant reading, writing to 'rep`o rter'@'%' with admin option; set default role reading to 'rep`o rter'@'%';
create user locked@'10.%' identified by 'x' require ssl with max_queries_per_hour 5 password expire interval 90 day account lock comment 'it''s "odd" \\ ; -- x';
create user tries@localhost identified by 'y' failed_login_attempts 3 password_lock_time 2;
create user proxied; grant proxy on proxied to tries@localhost with grant option;
grant execute on procedure shop.p to tries@localhost with grant option; grant backup_admin, process on *.* to tries@localhost;
create table gone(a int); grant select on shop.gone to tries@localhost; drop table gone;
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

COUCH = r"""
const base = 'http://127.0.0.1:5984', auth = 'Basic ' + Buffer.from(process.env.COUCHDB_USER + ':' + process.env.COUCHDB_PASSWORD).toString('base64');
async function call(method, path, body) {
  const answer = await fetch(base + path, {method, headers: {authorization: auth, 'content-type': 'application/json'}, body: body && JSON.stringify(body)});
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
(async () => {
  await call('PUT', '/shop'); await call('PUT', '/empty'); await call('PUT', '/odd%2B(name)');
  await call('PUT', '/shop/_security', {admins: {names: ['ann'], roles: []}, members: {names: [], roles: ['staff']}});
  for (let from = 0; from < ROWS; from += 1000)
    await call('POST', '/shop/_bulk_docs', {docs: [...Array(Math.min(1000, ROWS - from))].map((_, i) => ({_id: 'order ' + (from + i), note: 'ä "x" \u0001 ' + i, list: [1, 2.5, null, {b: 1, a: true}]}))});
  await call('PUT', '/shop/_design/by', {views: {note: {map: 'function (doc) { emit(doc.note); }'}}, validate_doc_update: 'function (now) { if (!now.note && !now._deleted && now._id[0] !== "_") throw {forbidden: "no note"}; }'});
  await call('POST', '/shop/_bulk_docs', {new_edits: false, docs: [{_id: 'torn', note: 'one', _rev: '2-b', _revisions: {start: 2, ids: ['b', 'a']}}, {_id: 'torn', note: 'other', _rev: '2-c', _revisions: {start: 2, ids: ['c', 'a']}}]});
  await call('PUT', '/shop/picture', {note: 'p', _attachments: {'a b.txt': {content_type: 'text/plain', data: Buffer.from('hello'.repeat(1000)).toString('base64')}, 'raw': {content_type: 'application/octet-stream', data: 'AP8Q'}}});
  const gone = await call('PUT', '/shop/gone', {note: 'x'}); await call('DELETE', '/shop/gone?rev=' + gone.rev);
  await call('PUT', '/odd%2B(name)/_design%2Fonly', {language: 'javascript'});
  await call('PUT', '/_users/org.couchdb.user:jan', {name: 'jan', password: 'geheim', roles: ['staff'], type: 'user'});
})().catch(error => { console.error(error); process.exit(1); });
"""

HOUSE = r"""
create database shop
create database empty
create table shop.orders (id UInt64, note String, at DateTime64(3, 'Europe/Berlin') default now64(3), price Nullable(Decimal(12, 2)), tags Array(LowCardinality(Nullable(String))), m Map(String, UInt8), t Tuple(a Int8, b String), j JSON, v Variant(String, UInt64), f Float64, twice UInt64 MATERIALIZED id * 2, al UInt8 ALIAS 1) engine = MergeTree partition by id % 7 order by id
insert into shop.orders (id, note, price, tags, m, t, j, v, f) select number, concat('ä\t\n\0', toString(number)), if(number % 3 = 0, null, number / 4), ['a', null, ''], map('k', 1, 'l', 2), (-1, 'x'), toJSONString(map('a', toString(number))), number::Variant(String, UInt64), if(number % 5 = 0, nan, number / 7) from numbers(ROWS)
create table shop.latest (k UInt8, version UInt64) engine = ReplacingMergeTree(version) order by k
insert into shop.latest select number % 3, number from numbers(30) settings optimize_on_insert = 0
create table shop.states (k UInt8, u AggregateFunction(uniq, UInt64)) engine = AggregatingMergeTree order by k
insert into shop.states select number % 3, uniqState(number) from numbers(30000) group by number % 3
create table shop.`Odd ``t` (`a b` UInt8) engine = Log
insert into shop.`Odd ``t` values (1), (1), (2)
create table shop.filed (a UInt8, b String) engine = File('TSV')
insert into shop.filed values (1, 'x\ty'), (2, '')
create table shop.sums (d UInt64, n UInt64) engine = SummingMergeTree order by d
create materialized view shop.mv to shop.sums as select id % 10 as d, 1::UInt64 as n from shop.orders
create materialized view shop.own engine = MergeTree order by d as select id % 10 as d from shop.orders
insert into shop.orders (id, note) select number + 1000000, 'late' from numbers(50)
create view shop.cheap as select * from shop.orders where price < 10
create dictionary shop.names (k UInt64, note String) primary key k source(clickhouse(table 'orders' db 'shop')) layout(flat()) lifetime(0)
create table shop.none (a UInt8) engine = MergeTree order by a
"""

VECTORS = r"""
import json, os, random, urllib.request
def call(method, path, body=None):
    request = urllib.request.Request("http://127.0.0.1:6333" + path, method=method, data=json.dumps(body).encode() if body is not None else None,
                                     headers={"api-key": os.environ["QDRANT__SERVICE__API_KEY"], "content-type": "application/json"})
    return json.load(urllib.request.urlopen(request))
random.seed(3)
call("PUT", "/collections/notes", {"vectors": {"size": 8, "distance": "Cosine"}, "hnsw_config": {"m": 24}})
call("PUT", "/collections/many", {"vectors": {"text": {"size": 4, "distance": "Dot"}, "image": {"size": 3, "distance": "Euclid"}}, "sparse_vectors": {"words": {}}})
call("PUT", "/collections/empty", {"vectors": {"size": 2, "distance": "Dot"}})
for begin in range(0, ROWS, 500):
    call("PUT", "/collections/notes/points?wait=true", {"points": [{"id": i, "vector": [random.uniform(-1, 1) for _ in range(8)], "payload": {"n": i, "city": "Zürich\n", "deep": {"a": [1.5, None, True]}}} for i in range(begin, min(begin + 500, ROWS))]})
call("PUT", "/collections/notes/index?wait=true", {"field_name": "city", "field_schema": "keyword"})
call("PUT", "/collections/many/points?wait=true", {"points": [
    {"id": "5c56c793-69f3-4fbf-87e6-c4bf54c28c26", "vector": {"text": [1, 2, 3, 4.125], "image": [0.1, 0.2, 0.3], "words": {"indices": [3, 7], "values": [0.5, 0.25]}}, "payload": {"a": 1}},
    {"id": 7, "vector": {"text": [0, 0, 0, 1e-7]}}]})
call("PUT", "/collections/guarded", {"vectors": {"size": 2, "distance": "Dot"}})
call("PUT", "/collections/guarded/points?wait=true", {"points": [{"id": i, "vector": [1, i]} for i in range(40)]})
call("PATCH", "/collections/guarded", {"strict_mode_config": {"enabled": True, "max_query_limit": 7, "upsert_max_batchsize": 3}})
call("POST", "/collections/aliases", {"actions": [{"create_alias": {"alias_name": "current", "collection_name": "notes"}}]})
"""

SERVICES = ("db", "maria", "cache", "ldap", "app")
STORES = ("couch", "house", "vectors")  # of a profile, as mysql is: what starts the whole project leaves them alone


class Stack:
    def __init__(self, datamancy, rows=20000, services=SERVICES):
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
        done = subprocess.run([str(engine.compose()), "-f", str(self.project / "compose.yaml"), *argv], env={**ENV, "COMPOSE_PROFILES": "stores"}, capture_output=True, text=True, input=data)
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

    def is_proven(self):
        """The newest run reads back whole, every drill of it is equal and leaves nothing, and the coverage says so."""
        that(self.dm("backup", "verify", "--read-data")[0] == 0, "it verifies")
        drill = self.json("drill", "restore", "--all", status=0)
        that(drill["outcome"] == "verified" and all(i["outcome"] == "verified" for d in drill["drills"] for i in d["items"]), drill)
        that(not docker("ps", "-aq", "--filter", f"label=datamancy.drill={self.name}"), "the stand-ins are gone")
        coverage = self.json("backup", "coverage", status=0)
        that(coverage["findings"] == 0 and all("verified" in c["last_proven"] for c in coverage["covered"]), coverage)

    def psql(self, sql, database="shop"):
        return docker("exec", "-i", self.container("db"), "psql", "-U", "shop", "-XAtq", "-v", "ON_ERROR_STOP=1", database, data=sql)

    def fill_db(self):
        eventually("PostgreSQL answers", lambda: subprocess.run([engine.docker(), "exec", self.container("db"), "pg_isready", "-h", "127.0.0.1", "-U", "shop"], env=ENV, capture_output=True).returncode == 0, 90)
        self.psql(POSTGRES.replace("ROWS", str(self.rows)))

    def fill_maria(self):
        maria = ["exec", "-i", self.container("maria"), "sh", "-c", 'MYSQL_PWD=$MARIADB_ROOT_PASSWORD exec mariadb -uroot -h 127.0.0.1 "$@"', "sh"]
        eventually("MariaDB answers", lambda: subprocess.run([engine.docker(), *maria, "-e", "select 1"], env=ENV, capture_output=True).returncode == 0, 90)
        docker(*maria, data=MARIA.replace("ROWS", str(self.rows)))

    def mysql(self, sql, user="root", password=None, host="127.0.0.1"):
        script = 'export MYSQL_PWD=${PW-$MYSQL_ROOT_PASSWORD}; exec mysql -u"$1" -h "$2" -BN'
        return docker("exec", "-i", *(["-e", f"PW={password}"] if password is not None else []), self.container("mysql"), "sh", "-c", script, "sh", user, host, data=sql)

    def fill_mysql(self):
        def answers():
            try:
                return self.mysql("select 1")
            except Failed:
                return ""
        eventually("MySQL answers", answers, 180)
        self.mysql(MYSQL.replace("ROWS", str(self.rows)), host="localhost")  # who comes by an address may not grant PROXY

    def fill_cache(self):
        cache = ["exec", "-i", "-e", "REDISCLI_AUTH=s3 cret", self.container("cache"), "valkey-cli", "-e"]
        eventually("Valkey answers", lambda: subprocess.run([engine.docker(), *cache, "ping"], env=ENV, capture_output=True).returncode == 0, 60)
        docker(*cache, data=VALKEY.replace("ROWS", str(self.rows)))

    def fill_ldap(self):
        add = ["exec", "-i", self.container("ldap"), "ldapadd", "-c", "-x", "-H", "ldapi:///", "-D", "cn=admin,dc=example,dc=org", "-w", "adminpw"]
        people = "dn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: people\n\n" + "".join(
            f"dn: uid=u{i},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: u{i}\ncn: Änne {i}\nsn: N\nuserPassword: geheim{i}\n\n" for i in range(self.rows // 100))
        eventually("OpenLDAP takes entries", lambda: subprocess.run([engine.docker(), *add], env=ENV, capture_output=True, text=True, input=people).returncode in (0, 68), 90)

    def couch(self, script):
        """Runs JavaScript in CouchDB's container."""
        return docker("exec", "-i", self.container("couch"), "node", "-", data=script)

    def await_couch(self):
        eventually("CouchDB answers", lambda: subprocess.run([engine.docker(), "exec", self.container("couch"), "curl", "-fsS", "http://127.0.0.1:5984/"], env=ENV, capture_output=True).returncode == 0, 90)

    def fill_couch(self):
        self.await_couch()
        self.couch(COUCH.replace("ROWS", str(self.rows)))

    def house(self, sql):
        """Runs statements in ClickHouse, one a line; gives their answers."""
        script = ('while IFS= read -r line; do wget -qO- --header "X-ClickHouse-User: $CLICKHOUSE_USER" --header "X-ClickHouse-Key: $CLICKHOUSE_PASSWORD" --post-data "$line" http://127.0.0.1:8123/ '
                  '|| { echo "$line" >&2; exit 1; }; done')
        return docker("exec", "-i", self.container("house"), "sh", "-c", script, data=sql.strip() + "\n")

    def await_house(self):
        eventually("ClickHouse answers", lambda: subprocess.run([engine.docker(), "exec", self.container("house"), "wget", "-qO-", "http://127.0.0.1:8123/ping"], env=ENV, capture_output=True).returncode == 0, 240)

    def fill_house(self):
        self.await_house()
        self.house(HOUSE.replace("ROWS", str(self.rows)))

    def vectors(self, script):
        """Runs Python in Qdrant's container."""
        return docker("exec", "-i", self.container("vectors"), "python3", "-", data=script)

    def await_vectors(self):
        ready = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:6333/readyz')"
        eventually("Qdrant answers", lambda: subprocess.run([engine.docker(), "exec", "-i", self.container("vectors"), "python3", "-c", ready], env=ENV, capture_output=True).returncode == 0, 90)

    def fill_vectors(self):
        self.await_vectors()
        self.vectors(VECTORS.replace("ROWS", str(self.rows)))

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
