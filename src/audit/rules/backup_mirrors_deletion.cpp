#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {

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
                return word.text.find("backup") != std::string::npos || word.text.find("repository") != std::string::npos || word.text.find("/dumps") != std::string::npos;
              });
              const bool keeps = std::ranges::any_of(words, [](const auto& word) { return word.text.starts_with("--backup") || word.text == "-b" || word.text.starts_with("--link-dest"); });
              if (flag == words.end() || !copies || keeps) continue;
              report.add(line.place(words.front().at, flag->at + flag->size - words.front().at), wiring::kNone, "what is deleted or damaged here is deleted in the copy at the next run");
            }
          }
        },
};

}  // namespace dm::audit::rules
