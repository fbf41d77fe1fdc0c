#include "state/schema.hpp"

namespace dm::state {
namespace {

constexpr std::string_view kMigrations[] = {
    R"sql(
      create table proofs (
        id       integer primary key,
        control  text    not null,   -- id of the control, or of the check
        subject  text    not null,   -- service, datastore or volume; '' = the whole stack
        result   text    not null check (result in ('verified', 'failed', 'could not verify')),
        evidence text    not null,   -- what was seen; never a secret
        made     integer not null,   -- Unix seconds, UTC
        expires  integer not null,
        engine   text    not null,   -- what it is bound to; '' = not bound to that
        image    text    not null,
        config   text    not null,
        data     text    not null,
        command  text    not null    -- repeats it
      ) strict)sql",
    "create index proofs_by_control on proofs (control, subject, made desc)",
    R"sql(
      create table journal (
        id      integer primary key,
        at      integer not null,    -- Unix seconds, UTC
        who     text    not null,    -- user, or 'daemon'
        verb    text    not null,
        subject text    not null,
        action  text    not null,    -- what was done; never a secret
        outcome text                 -- null while under way: after a crash such a row says what was interrupted
      ) strict)sql",
    R"sql(
      create table backups (
        run        text    not null,
        repository text    not null,
        started    integer not null,   -- Unix seconds, UTC
        finished   integer not null,
        outcome    text    not null check (outcome in ('verified', 'failed', 'could not verify')),
        bytes      integer not null,   -- that were read from the datastores
        added      integer not null,   -- that the repository grew by
        stored     integer not null,   -- size of the repository after it; 0 = not measured
        manifest   text    not null,
        primary key (run, repository)
      ) strict)sql",
    R"sql(
      create table revisions (
        id      integer primary key,
        at      integer not null,    -- Unix seconds, UTC
        ended   integer not null,    -- 0 = under way, or its process died
        who     text    not null,
        verb    text    not null,    -- 'up', 'rollback to 3', 'adopt'
        result  text    not null check (result in ('under way', 'good', 'failed', 'interrupted')),
        note    text    not null,    -- what changed, or the first cause of the failure
        compose text    not null,    -- version of docker compose
        folder  text    not null,    -- of the project
        model   text    not null,    -- JSON with holes where secrets were
        holes   text    not null     -- JSON: where, and keyed digests
      ) strict)sql",
    R"sql(
      create table revision_services (
        revision integer not null,
        service  text    not null,
        image    text    not null,   -- as the files name it
        image_id text    not null,   -- what ran
        config   text    not null,   -- hash of the configuration
        primary key (revision, service)
      ) strict)sql",
    R"sql(
      create table revision_files (
        revision integer not null,
        path     text    not null,
        digest   text    not null,   -- keyed
        kept     integer not null,   -- 1: `content` is the file's; never of a file that holds a secret
        content  text    not null,
        primary key (revision, path)
      ) strict)sql",
    R"sql(
      create table container_files (
        container text not null,     -- id
        path      text not null,
        digest    text not null,     -- keyed, of the content with which the container was made
        primary key (container, path)
      ) strict)sql",
    R"sql(
      create table remembered (
        key   text primary key,
        value text not null
      ) strict)sql",
};

}  // namespace

std::span<const std::string_view> migrations() { return kMigrations; }

}  // namespace dm::state
