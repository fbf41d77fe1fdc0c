#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {

extern constinit const Rule sealed_file_as_binary{
    .id = "DM0521",
    .name = "sealed-file-as-binary",
    .severity = Severity::medium,
    .area = Area::recovery,
    .summary = "a script takes a sealed env file for binary",
    .rationale = "sops goes by the last ending of a name: it takes `.env.enc` for binary and cannot read what it "
                 "sealed as an env file. And what it seals is text, so `file` says so of a file that is well "
                 "encrypted.",
    .fix = "Name it `NAME.enc.env`, or give `--input-type dotenv --output-type dotenv`; look for `sops_mac` to see "
           "whether a file is sealed.",
    .checks = "O12 O37",
    .bad = R"(services:
  app:
    image: example/app:1.0
-- check.sh
#!/bin/sh
file .env.enc | grep -q data || exit 1  # <- DM0521
sops --decrypt .env.enc > /run/app.env  # <- DM0521
)",
    .good = R"(services:
  app:
    image: example/app:1.0
-- check.sh
#!/bin/sh
grep -q '^sops_mac=' app.enc.env || exit 1
sops --decrypt app.enc.env > /run/app.env
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
-- check.sh
#!/bin/sh
sops --decrypt --input-type dotenv --output-type dotenv .env.enc > /run/app.env
file photo.enc.jpg
sops --decrypt archive.tar.enc > /run/archive.tar
sops --encrypt .env > .env.enc
sops --decrypt secrets.enc.yaml > /run/.env.enc
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& line : script_lines(input)) {
            if (line.text.find(".env.enc") == std::string::npos) continue;
            for (const auto& command : commands(line.text)) {
              const auto& words = command.words;
              const auto has = [&](std::string_view text) {
                return std::ranges::any_of(words, [&](const auto& word) { return word.text.starts_with(text); });
              };
              const bool asks = command.name() == "file";
              const bool seals = has("--encrypt") || has("encrypt") || has("-e");
              const bool opens = command.name() == "sops" && !has("--input-type") && !seals;
              if (!asks && !opens) continue;
              for (std::size_t i = 1; i < words.size() && words[i].text != ">"; ++i) {
                if (!words[i].text.ends_with(".env.enc")) continue;
                report.add(line.place(words[i].at, words[i].size), wiring::kNone,
                           asks ? fmt::format("`file` calls {} text, sealed or not", words[i].text)
                                : fmt::format("sops takes {} for binary and does not read it", words[i].text));
              }
            }
          }
        },
};

}  // namespace dm::audit::rules
