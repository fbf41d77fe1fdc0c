#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

/// Git would not take `.env` by itself: a pattern of the .gitignore beside the project names it.
bool git_ignores_env(std::string_view ignore) {
  for (std::size_t at = 0; at < ignore.size();) {
    const auto end = std::min(ignore.find('\n', at), ignore.size());
    auto line = ignore.substr(at, end - at);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    for (const std::string_view pattern : {".env", "/.env", "*.env", ".env*", "**/.env", "/.env*", ".*", "*"})
      if (line == pattern) return true;
    at = end + 1;
  }
  return false;
}

std::string_view without_dot(std::string_view path) { return path.starts_with("./") ? path.substr(2) : path; }

}  // namespace

extern constinit const Rule decrypt_onto_itself{
    .id = "DM0520",
    .name = "decrypt-onto-itself",
    .severity = Severity::high,
    .area = Area::recovery,
    .summary = "a script decrypts over a file that it must not lose",
    .rationale = "The shell empties the target of `>` before the program runs. Onto its own source, the secrets are "
                 "gone; onto a file that git does not ignore, they are in the next commit.",
    .fix = "Let sops edit in place (`sops decrypt -i`), or write to a file that git ignores.",
    .checks = "O12",
    .bad = R"(services:
  app:
    image: example/app:1.0
-- start.sh
#!/bin/sh
sops --decrypt secrets.enc.yaml > secrets.enc.yaml  # <- DM0520
sops --decrypt --input-type dotenv --output-type dotenv .env.enc > .env  # <- DM0520
-- .gitignore
data/
)",
    .good = R"(services:
  app:
    image: example/app:1.0
-- start.sh
#!/bin/sh
sops --decrypt secrets.enc.yaml > /run/app/secrets.yaml
sops --decrypt --input-type dotenv --output-type dotenv .env.enc > .env
-- .gitignore
data/
.env
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
-- start.sh
#!/bin/sh
# sops --decrypt .env > .env
echo "run: sops --decrypt .env > .env"
sops --encrypt .env > .env.enc
sops --decrypt a.yaml > b.yaml
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          const auto ignore_path = sources::clean_path(".gitignore", input.project.folder);
          const auto ignore = input.files.read(ignore_path, 1U << 20U);
          for (const auto& line : script_lines(input)) {
            if (line.text.find("sops") == std::string::npos) continue;
            for (const auto& command : commands(line.text)) {
              if (command.name() != "sops") continue;
              const auto& words = command.words;
              const bool decrypts = std::ranges::any_of(words, [](const auto& word) {
                return word.text == "-d" || word.text == "--decrypt" || word.text == "decrypt";
              });
              const auto is_arrow = [](const auto& word) { return !word.quoted && word.text == ">"; };
              const auto arrow = std::ranges::find_if(words, is_arrow);
              if (!decrypts || arrow == words.end() || arrow + 1 == words.end()) continue;
              const auto& target = *(arrow + 1);
              const auto name = without_dot(target.text);
              const auto where = line.place(words.front().at, target.at + target.size - words.front().at);
              const bool own = std::any_of(words.begin() + 1, arrow, [&](const auto& word) {
                return without_dot(word.text) == name && word.text.find('-') != 0;
              });
              if (own) {
                auto message = fmt::format("the shell empties {} before sops reads it: the secrets are lost", name);
                report.add(where, wiring::kNone, std::move(message)).severity = Severity::critical;
              } else if (name == ".env" && ignore && !git_ignores_env(*ignore)) {
                report.add(where, wiring::kNone,
                           "the readable .env is no file that git ignores: it goes into the next commit");
              }
            }
          }
        },
};

}  // namespace dm::audit::rules
