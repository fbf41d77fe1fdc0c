#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// The first package manager's install command that stands at the beginning of a command, or "".
std::string_view installer(std::string_view text) {
  for (const std::string_view tool : {"apk add", "apt-get install", "apt install", "apt-get update", "apk update", "pip install", "pip3 install",
                                      "npm install", "yum install", "dnf install", "gem install", "go install"}) {
    for (auto at = text.find(tool); at != std::string_view::npos; at = text.find(tool, at + 1)) {
      auto before = text.substr(0, at);
      while (before.ends_with(' ') || before.ends_with('\n')) before.remove_suffix(1);
      if (before.ends_with("-c") || before.ends_with("-ec") || before.ends_with('&') || before.ends_with(';') || before.ends_with('|') ||
          before.ends_with("-lc") || before.ends_with("sudo") || before.ends_with("then") || text.substr(0, at).ends_with('\n'))
        return tool;
    }
  }
  return {};
}

}  // namespace

extern constinit const Rule install_at_start{
    .id = "DM0703",
    .name = "install-at-start",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a service installs packages each time it starts",
    .rationale = "The start needs the network and somebody else's server, takes minutes, and gives another "
                 "version every time: after an outage it does not come back.",
    .fix = "Build an image with the packages in it (`build:` with a Dockerfile), and pin their versions.",
    .checks = "131",
    .bad = R"(services:
  job:
    image: alpine:3.20
    command: sh -c "apk add --no-cache curl && crond -f"  # <- DM0703
)",
    .good = R"(services:
  job:
    build: ./job
    command: crond -f
)",
    .look_alike = R"(services:
  docs:
    image: example/docs:1
    command: serve --title "how to pip install it"
    environment: {HINT: "apt-get install foo"}
)",
    .minutes = 20,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto* words : {&service.entrypoint, &service.command}) {
              const auto* node = words == &service.command ? service.command_node : service.entrypoint_node;
              if (node == nullptr) continue;
              std::string text;
              bool shell = false;
              for (const auto& word : *words) {
                text += fmt::format(" {}", word.value);
                shell = shell || word.value == "-c" || word.value == "-ec" || word.value == "-lc" || word.value == "-exc";
              }
              if (!shell) continue;
              const auto tool = installer(text);
              if (tool.empty()) continue;
              report.add(node->where, id, fmt::format("'{}' runs '{}' each time it starts", service.name, tool));
              break;
            }
          });
        },
};

}  // namespace dm::audit::rules
