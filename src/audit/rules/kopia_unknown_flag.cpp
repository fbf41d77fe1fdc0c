#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {

extern constinit const Rule kopia_unknown_flag{
    .id = "DM0410",
    .name = "kopia-unknown-flag",
    .severity = Severity::high,
    .area = Area::recovery,
    .summary = "a script gives Kopia a flag that it does not have",
    .rationale = "Kopia stops at an unknown flag, so the policy is never set: no schedule, no retention, no "
                 "snapshots but those made by hand.",
    .fix = "Write `--keep-daily 30 --keep-weekly 26 --keep-annual 2` and the like.",
    .checks = "O14",
    .bad = R"(services:
  app:
    image: example/app:1.0
-- backup.sh
#!/bin/sh
kopia policy set --global \
  --snapshot-interval 6h \
  --retention-policy 30d:1/d,180d:1/w  # <- DM0410
docker exec kopia kopia repository create s3 --bucket=b --access-key="$A" --secret-key="$B"  # <- DM0410
)",
    .good = R"(services:
  app:
    image: example/app:1.0
-- backup.sh
#!/bin/sh
kopia policy set --global \
  --snapshot-interval 6h \
  --keep-daily 30 --keep-weekly 26
docker exec kopia kopia repository create s3 --bucket=b --access-key="$A" --secret-access-key="$B"
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
-- backup.sh
#!/bin/sh
influx bucket update --retention-policy 30d
kopia snapshot create /data
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& line : script_lines(input)) {
            if (line.text.find("kopia") == std::string::npos) continue;
            for (const auto& command : commands(line.text)) {
              const auto& words = command.words;
              const auto kopia = std::ranges::find(words, std::string_view("kopia"), &ScriptWord::text);
              for (auto word = kopia; word != words.end(); ++word) {
                const auto flag = word->text.substr(0, word->text.find('='));
                if (flag == "--secret-key" || flag == "--aws-access-key" || flag == "--aws-secret-key")
                  report.add(line.place(word->at, flag.size()), wiring::kNone,
                             fmt::format("Kopia has no {}: it stops, and the repository is not made", flag), "",
                             "S3: `--access-key` and `--secret-access-key`, better as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment");
                if (word->text.starts_with("--retention-policy"))
                  report.add(line.place(word->at, word->size), wiring::kNone,
                             "Kopia has no --retention-policy: it stops, and the policy is not set");
              }
            }
          }
        },
};

}  // namespace dm::audit::rules
