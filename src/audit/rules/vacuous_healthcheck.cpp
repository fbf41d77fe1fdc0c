#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// `... || exit 0`, `... || true`, `...; exit 0`: whatever was asked, the answer is thrown away.
bool ends_well(std::string_view command) {
  const auto trimmed = command.substr(0, command.find_last_not_of(" \n\t") + 1);
  for (const std::string_view end : {"exit 0", "true", "/bin/true", ":"}) {
    if (!trimmed.ends_with(end)) continue;
    const auto before = trimmed.substr(0, trimmed.size() - end.size());
    const auto last = before.find_last_not_of(" \t");
    if (last == std::string_view::npos) continue;
    const auto head = before.substr(0, last + 1);
    if (head.ends_with("||") && head.find("exit 1") == std::string_view::npos) return true;
    if (head.ends_with(';') && head.find_first_of("|&(") == std::string_view::npos && head.find("exit") == std::string_view::npos && head.find("if ") == std::string_view::npos && head.find("for ") == std::string_view::npos &&
        head.find("while ") == std::string_view::npos && head.find("set -e") == std::string_view::npos)
      return true;
  }
  return false;
}

/// Passes on any machine, whatever the service does.
bool says_nothing(std::string_view command) {
  for (const std::string_view whole : {"true", ":", "exit 0", "/bin/true", "sh -c true", "echo ok", "echo", "ls", "pwd", "date"})
    if (command == whole) return true;
  if ((command.ends_with(" --version") || command.ends_with(" -version")) && command.find_first_of("|&;`$(") == std::string_view::npos) return true;
  return command.starts_with("echo ") && command.find_first_of("|&;`$(") == std::string_view::npos;
}

}  // namespace

extern constinit const Rule vacuous_healthcheck{
    .id = "DM0301",
    .name = "vacuous-healthcheck",
    .severity = Severity::high,
    .area = Area::operations,
    .summary = "a healthcheck that tests nothing",
    .rationale = "It passes while the service is down: `true`, an echo, a version print. Dependents start too "
                 "early, and nobody is told of a failure.",
    .fix = "Ask the service itself: a request that fails when it cannot work.",
    .checks = "109 O1 O35",
    .bad = R"(services:
  app:
    image: example/app:1.0
    healthcheck:
      test: ["CMD", "true"]  # <- DM0301
  panel:
    image: portainer/portainer-ce:2.21.3
    healthcheck:
      test: ["CMD", "/portainer", "--version"]  # <- DM0301
  gate:
    image: example/gate:1.0
    healthcheck:
      test: ["CMD-SHELL", "bash -c ':> /dev/tcp/localhost/18799' || exit 0"]  # <- DM0301
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:8080/health"]
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    healthcheck:
      test: ["CMD-SHELL", "curl -f http://localhost:8080/health || exit 1"]
  slow:
    image: example/slow:1.0
    healthcheck:
      test: ["CMD-SHELL", "pgrep -x importer && exit 0 || curl -f http://localhost:8080/health"]
  told:
    image: example/told:1.0
    healthcheck:
      test: ["CMD-SHELL", "curl -f http://localhost:8080/ --version && curl -f http://localhost:8080/"]
  many:
    image: example/many:1.0
    healthcheck:
      test: ["CMD-SHELL", "curl -f http://localhost:8080/a || curl -f http://localhost:8080/b || exit 1; true"]
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!service.healthcheck || service.healthcheck->disabled || service.healthcheck->test.size() < 2) return;
            const auto command = health_command(service);
            const auto* product = input.wiring.product_of[id];
            // Only the part that is known to be vacuous is named: the rest of the command may carry a password.
            std::string_view part;
            const bool thrown_away = ends_well(command);
            if (product != nullptr)
              for (const auto& vacuous : product->vacuous_health)
                if (part.empty() && command.find(vacuous) != std::string::npos) part = vacuous;
            if (part.empty() && !thrown_away && says_nothing(command)) part = std::string_view(command).substr(0, command.find(' '));
            if (!part.empty() || thrown_away)
              report.add(service.healthcheck->test[1].where(), id, fmt::format("healthcheck of '{}' does not ask the service: it passes while the service hangs or is broken", service.name),
                         part.empty() ? std::string("its end makes it pass whatever the part before it says") : fmt::format("it runs `{}`", part));
          });
        },
};

}  // namespace dm::audit::rules
