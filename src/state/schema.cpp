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
};

}  // namespace

std::span<const std::string_view> migrations() { return kMigrations; }

}  // namespace dm::state
