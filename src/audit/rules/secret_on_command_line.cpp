#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"
#include "sensitive/options.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {
namespace {

/// "requirepass" of `--requirepass`, "" where the word is no option.
std::string_view option_name(std::string_view word) {
  const auto name = word.substr(std::min(word.find_first_not_of('-'), word.size()));
  return name.size() == word.size() ? std::string_view() : name;
}

/// Stands for the secret itself: no file, no variable that the shell of the container fills in, no switch.
bool written_out(std::string_view value) {
  constexpr std::string_view kOther = "/-@|&;<>";  // paths, options, @file, operators
  if (value.empty() || value.find_first_of("$`=") != std::string_view::npos || kOther.find(value.front()) != std::string_view::npos) return false;
  static constexpr std::array kNoSecrets{"true", "false", "yes", "no", "on", "off", "ON", "OFF", "0", "1", "simple", "jwt"};  // switches; etcd's kinds of token
  if (std::ranges::find(kNoSecrets, value) != kNoSecrets.end()) return false;
  return !sensitive::looks_hashed(value) && value.find("://") == std::string_view::npos;
}

/// The option that carries a secret as it is written in the file; "" for none.
std::string literal_option(const std::vector<compose::Text>& texts) {
  std::vector<std::string> list;
  for (const auto& text : texts)
    for (auto& word : audit::words(text.value)) list.push_back(std::move(word.text));  // an item may be a whole shell command
  static constexpr std::array kBefore{"|", "&&", ";", "||", "-c", "-ec", "CMD", "CMD-SHELL", "exec"};
  std::string_view program;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string_view word = list[i];
    const std::string_view next = i + 1 < list.size() ? std::string_view(list[i + 1]) : std::string_view();
    if (i == 0 || std::ranges::find(kBefore, list[i - 1]) != kBefore.end()) program = word;
    if (written_out(sensitive::short_secret(program, word, next))) return std::string(word.substr(0, 2));
    const auto option = option_name(word);
    const auto sign = option.find('=');
    if (!sensitive::secret_option(option.substr(0, sign))) continue;
    if (written_out(sign == std::string_view::npos ? next : option.substr(sign + 1))) return std::string(word.substr(0, word.find('=')));
  }
  return {};
}

}  // namespace

extern constinit const Rule secret_on_command_line{
    .id = "DM0501",
    .name = "secret-on-command-line",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a secret stands on a command line",
    .rationale = "Arguments are readable by every process of the container and by `docker inspect`, and land in "
                 "process lists and logs.",
    .fix = "Pass it by a file under /run/secrets, or in the product's configuration file.",
    .checks = "112",
    .bad = R"(services:
  cache:
    image: valkey/valkey:8
    command: valkey-server --requirepass ${CACHE_PASSWORD}  # <- DM0501
    healthcheck:
      test: ["CMD", "valkey-cli", "-a", "sunflower", "ping"]  # <- DM0501
  vault:
    image: example/vault:1
    command: --server-password=sunflower --user admin  # <- DM0501
-- .env.example
CACHE_PASSWORD=
)",
    .good = R"(services:
  cache:
    image: valkey/valkey:8
    command: valkey-server /etc/valkey.conf
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    command: app --password-file /run/secrets/db --port ${PORT:-80} --no-password --disable-token
  dump:
    image: example/dump:1
    command: sh -c 'mysqldump -p"$$MYSQL_PASSWORD" --user root --token=$$TOKEN shop'
    healthcheck:
      test: ["CMD", "valkey-cli", "--no-auth-warning", "-h", "cache", "ping"]
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto look = [&](const compose::Value* node, const std::vector<compose::Text>& words, std::string_view what) {
              if (node == nullptr) return;
              const auto scan = [&](const compose::Value& value) {
                if (value.segments == nullptr) return false;
                for (const auto& segment : *value.segments) {
                  if (!sensitive::secret_name(segment.variable)) continue;
                  report.add(value.where, id, fmt::format("{} of '{}' carries the secret {} in its arguments", what, service.name, segment.variable));
                  return true;
                }
                return false;
              };
              if (scan(*node)) return;
              if (node->is_sequence())
                for (const auto* item : *node->items)
                  if (scan(*item)) return;
              if (const auto option = literal_option(words); !option.empty())
                report.add(node->where, id, fmt::format("{} of '{}' carries a secret in its arguments, after {}", what, service.name, option));
            };
            look(service.command_node, service.command, "command");
            look(service.entrypoint_node, service.entrypoint, "entrypoint");
            look(service.node->at({"healthcheck", "test"}), service.healthcheck ? service.healthcheck->test : std::vector<compose::Text>(), "healthcheck");
          });
        },
};

}  // namespace dm::audit::rules
