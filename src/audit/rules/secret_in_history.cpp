#include "audit/history.hpp"

namespace dm::audit::rules {

extern constinit const Rule secret_in_history{
    .id = "DM0515",
    .name = "secret-in-history",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "git history shows a secret that is gone from the files (--history)",
    .rationale = "A commit that takes a password out leaves it in the commit before. Whoever has a clone, a fork or a backup of the repository reads it there, and "
                 "searches for such commits run all day. Only `--history` looks: what a branch, a tag, a stash or the reflog still reaches.",
    .fix = "Change the value first: `datamancy secrets rotate NAME`, or revoke a token where it was issued. Rewriting history comes second, if at all: clones, forks and "
           "backups keep what was committed.",
    .checks = "51 O3",
    .bad = R"(services:  # <- DM0515
  app:
    image: example/app:1
    environment: {DB_PASSWORD: "${DB_PASSWORD:?}"}
-- history.yaml
- {file: old.env, line: 2, name: DB_PASSWORD, kind: a secret stands here in plain text, severity: high, shown: aG... (20 characters), commit: 726f682e1a, date: 2026-11-26}
- {file: .env, line: 1, name: GitHub token, kind: "a token or private key, by its form", severity: critical, shown: gh... (40 characters), commit: 726f682e1a, date: 2026-11-26}
-- .env
TZ=Europe/Vienna  # <- DM0515
)",
    .good = R"(services:
  app:
    image: example/app:1
    environment: {DB_PASSWORD: "${DB_PASSWORD:?}"}
-- history.yaml
[]
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    environment: {DB_PASSWORD: "${DB_PASSWORD:?}"}
-- history.yaml
[]
-- .env
DB_PASSWORD=sunflower
)",
    .minutes = 30,
    .check = [](const Input&, Report&) {},
};

}  // namespace dm::audit::rules
