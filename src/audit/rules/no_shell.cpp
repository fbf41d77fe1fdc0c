#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

bool shell(std::string_view word) {
  const auto name = sources::file_name(word);
  return name == "sh" || name == "bash" || name == "ash" || name == "dash" || name == "zsh" || name == "busybox";
}

/// Programs that put a line together themselves, or hand the rest of their words to one that does.
bool hands_on(std::string_view word) {
  const auto name = sources::file_name(word);
  return shell(word) || name == "env" || name == "su" || name == "gosu" || name == "su-exec" || name == "ssh" || name == "find" || name == "nix" || name == "cmd" || name == "powershell" || name == "pwsh" ||
         name == "parallel" || name == "concurrently" || name == "watch" || name == "xargs" || name == "eval" || name == "expr" || name == "test" || name == "[";
}

/// The first word that only a shell would understand; null for none.
const compose::Text* operator_of(const std::vector<compose::Text>& words) {
  const auto found = std::ranges::find_if(words, [](const auto& word) { return word.value == "&&" || word.value == "||" || word.value == "|" || word.value == ";"; });
  return found == words.end() || found == words.begin() ? nullptr : &*found;
}

/// Where Compose stops to read a command that is one text: `migrate && serve` is `migrate` for it, whatever the entrypoint is
/// (https://github.com/mattn/go-shellwords, as Compose uses it). Nothing where it is read to its end.
struct Cut {
  std::string sign, before;
};
std::optional<Cut> cut_text(const Input& input, const compose::Value* node, const std::vector<compose::Text>& words) {
  if (node == nullptr || words.empty() || words[0].node == nullptr || !node->where || words[0].node->where != node->where) return std::nullopt;  // a list
  std::string text(input.project.texts.text(node->where));
  if (text.starts_with('>') || text.starts_with('|')) text.erase(0, std::min(text.find('\n'), text.size()));
  if (text.size() > 1 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0] && text.find(text[0], 1) == text.size() - 1) text = text.substr(1, text.size() - 2);
  if (text.find("$(") != std::string::npos || text.find('`') != std::string::npos || text.find('\\') != std::string::npos) return std::nullopt;
  std::ranges::replace(text, '\n', ' ');
  for (const auto& word : audit::words(text)) {
    if (word.quoted) continue;
    for (const std::string_view sign : {"&&", "||", "|", ";", "&"})
      if (word.text == sign) {
        Cut out{std::string(sign), {}};
        for (const auto& one : words) out.before += fmt::format("{}{}", out.before.empty() ? "" : " ", one.value);
        return out;
      }
  }
  return std::nullopt;
}

}  // namespace

extern constinit const Rule no_shell{
    .id = "DM0136",
    .name = "no-shell",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "`&&`, `||` or `|` where no shell reads it",
    .rationale = "Compose reads `command: migrate && serve` up to the sign and drops the rest without a word: the container migrates and ends, again and again. In a list "
                 "(`[\"CMD\", \"curl\", URL, \"||\", \"exit\", \"1\"]`) the program gets sign and rest as arguments: curl and wget take them for further addresses, and the check fails although "
                 "the service is well.",
    .fix = "Let a shell read it: `command: sh -c 'migrate && exec serve'`; in a healthcheck `CMD-SHELL` and one text, or leave `|| exit 1` out: a check that fails need not say so.",
    .checks = "110",
    .bad = R"(services:
  app:
    image: example/app:1
    command: manage migrate && manage serve  # <- DM0136
  web:
    image: example/web:1
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:8080/", "||", "exit", "1"]  # <- DM0136
  list:
    image: example/app:1
    command: ["manage", "migrate", "&&", "manage", "serve"]  # <- DM0136
)",
    .good = R"(services:
  app:
    image: example/app:1
    command: sh -c "manage migrate && exec manage serve"
  web:
    image: example/web:1
    healthcheck:
      test: ["CMD-SHELL", "curl -f http://localhost:8080/ || exit 1"]
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    command: ["sh", "-c", "manage migrate && exec manage serve"]
  folded:
    image: example/app:1
    command: >
      bash -c "manage migrate && manage serve"
  quoted:
    image: example/app:1
    command: 'sh -c "manage migrate | tee /log; manage serve"'
  text:
    image: example/app:1
    command: ["search", "--filter", "a || b"]
    healthcheck:
      test: curl -f http://localhost:8080/ || exit 1
  found:
    image: example/app:1
    command: ["find", "/data", "-exec", "touch", "{}", ";"]
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto where = [&](const compose::Text& word, std::string_view key) { return word.node != nullptr && word.node->where ? word.where() : place(service, key); };
            const auto lost = [](const std::vector<compose::Text>& words, const compose::Text* at) {
              std::string out;
              for (auto it = words.begin() + (at - words.data()); it != words.end() && out.size() < 60; ++it) out += fmt::format("{}{}", out.empty() ? "" : " ", it->value);
              return out;
            };
            const auto plain = [](const std::vector<compose::Text>& words) {
              return std::ranges::none_of(words, [](const auto& word) { return hands_on(word.value) || word.value == "-c"; });
            };
            if (service.healthcheck && service.healthcheck->test.size() > 2 && service.healthcheck->test[0].value == "CMD" && plain(service.healthcheck->test)) {
              const auto& test = service.healthcheck->test;
              if (const auto* at = operator_of(test))
                report.add(where(*at, "healthcheck"), id, fmt::format("no shell reads the healthcheck of '{}': {} gets {} as arguments", service.name, test[1].value, lost(test, at)), {},
                           "write `CMD-SHELL` and the command as one text")
                    .severity = Severity::medium;
            }
            if (const auto* at = operator_of(service.entrypoint); at != nullptr && plain(service.entrypoint))
              report.add(where(*at, "entrypoint"), id, fmt::format("no shell reads the entrypoint of '{}': {} gets {} as arguments", service.name, service.entrypoint[0].value, lost(service.entrypoint, at)));
            for (const auto& [node, words, key] : {std::tuple{service.entrypoint_node, &service.entrypoint, "entrypoint"}, std::tuple{service.command_node, &service.command, "command"}})
              if (const auto cut = cut_text(input, node, *words); cut)
                report.add(node->where, id, fmt::format("Compose cuts the {} of '{}' at `{}`: `{}` is all that runs", key, service.name, cut->sign, cut->before), {}, fmt::format("write `{}: sh -c \"...\"`, and `exec` before what stays", key));
            if (const auto* at = operator_of(service.command); at != nullptr && plain(service.command))
              report.add(where(*at, "command"), id, fmt::format("no shell reads the command of '{}': {} gets {} as arguments", service.name, service.command[0].value, lost(service.command, at)));
          });
        },
};

}  // namespace dm::audit::rules
