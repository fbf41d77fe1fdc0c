#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

/// "/srv/db-dump/", "/var/dumps", not "/opt/dumper".
bool names_dump(std::string_view path) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  for (auto at = path.find("dump"); at != std::string_view::npos; at = path.find("dump", at + 1)) {
    auto end = at + 4;
    if (end < path.size() && path[end] == 's') ++end;
    if ((at == 0 || !letter(path[at - 1])) && (end >= path.size() || !letter(path[end]))) return true;
  }
  return false;
}

}  // namespace

extern constinit const Rule backup_mirrors_deletion{
    .id = "DM0411",
    .name = "backup-mirrors-deletion",
    .severity = Severity::medium,
    .area = Area::recovery,
    .summary = "a copy of backups that repeats every deletion",
    .rationale = "`rsync --delete` makes the far side equal to this one: what is lost, encrypted by an intruder or "
                 "deleted by mistake here is gone there after the next run. A copy that follows is no backup.",
    .fix = "Leave `--delete` out and let the far side keep versions (append-only repository, snapshots); or copy "
           "with `restic copy` or `kopia repository sync-to` without deletion, after a run that was verified.",
    .checks = "O15 O73",
    .bad = R"(services:
  app:
    image: example/app:1.0
-- scripts/offsite.sh 0755
#!/bin/sh
rsync -avz --delete /srv/backups/ backup@vault.example.org:/mnt/backups/  # <- DM0411
rsync --delete -avre "ssh -p 2222" /root/shop/db-dump/ pi@vault.example.org:/home/pi/shop/  # <- DM0411
)",
    .good = R"(services:
  app:
    image: example/app:1.0
-- scripts/offsite.sh 0755
#!/bin/sh
rsync -avz --ignore-existing /srv/backups/ backup@vault.example.org:/mnt/backups/
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
-- scripts/deploy.sh 0755
#!/bin/sh
rsync -a --delete site/ web.example.org:/srv/site/
rsync -a --delete dumper/ web.example.org:/opt/dumper/
# rsync --delete backups/ would repeat every loss
)",
    .minutes = 20,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& line : script_lines(input)) {
            if (line.text.find("rsync") == std::string::npos) continue;
            for (const auto& command : commands(line.text)) {
              if (command.name() != "rsync") continue;
              const auto& words = command.words;
              const auto flag = std::ranges::find_if(words, [](const auto& word) { return word.text.starts_with("--del"); });
              const bool copies = std::ranges::any_of(words, [](const auto& word) {
                return word.text.find("backup") != std::string::npos || word.text.find("repository") != std::string::npos || names_dump(word.text);
              });
              const bool keeps = std::ranges::any_of(words, [](const auto& word) { return word.text.starts_with("--backup") || word.text == "-b" || word.text.starts_with("--link-dest"); });
              if (flag == words.end() || !copies || keeps) continue;
              report.add(line.place(words.front().at, flag->at + flag->size - words.front().at), wiring::kNone, "what is deleted or damaged here is deleted in the copy at the next run");
            }
          }
        },
};

}  // namespace dm::audit::rules
