/// What the rules over facts share (families DM10 stack, DM11 daemon and host). They say nothing where there are no facts.
#pragma once

#include <fmt/format.h>

#include <algorithm>

#include "audit/live.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

/// `check` of a live rule.
inline void files_say_nothing(const Input&, Report&) {}

/// Where a finding about the engine or its machine stands: the beginning of the project's file.
inline Location project_place(const Input& input) {
  if (input.project.services.empty()) return {};
  const auto file = input.project.services.front().where.file;
  return {file, text::Span{0, 0}};
}

/// Calls `body(facts)` where there are facts and a file to point at.
template <class F>
void with_facts(const LiveInput& input, F&& body) {
  if (input.facts != nullptr && project_place(input)) body(*input.facts);
}

/// Calls `body(id, service, container)` for each observed container of each service that the chosen profiles enable.
template <class F>
void each_container(const LiveInput& input, F&& body) {
  with_facts(input, [&](const facts::Facts& facts) {
    each_service(input, [&](ServiceId id, const compose::Service& service) {
      if (!service.enabled) return;
      for (const auto* container : facts.of(service.name)) body(id, service, *container);
    });
  });
}

/// "512 MB", "1.5 GB"; 0 is "none".
inline std::string bytes(std::int64_t number) {
  if (number == 0) return "none";
  const auto value = static_cast<double>(number);
  if (number >= 1LL << 30) return fmt::format("{:.4g} GB", value / (1LL << 30));
  if (number >= 1LL << 20) return fmt::format("{:.4g} MB", value / (1LL << 20));
  return fmt::format("{} bytes", number);
}

/// "3 min", "2 h", "5 days".
inline std::string span(std::int64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  if (seconds < 172800) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} days", seconds / 86400);
}

/// The run's own tool cannot be started: the check is broken, not the service. "" = it is not.
inline std::string broken_check(const facts::Container& container) {
  for (auto run = container.health_log.rbegin(); run != container.health_log.rend(); ++run) {
    const auto& text = run->output;
    const auto says = [&](std::string_view words) { return text.find(words) != std::string::npos; };
    const bool missing = says("executable file not found") || says("no such file or directory") || says("not found");
    if ((run->exit_code == 127 || run->exit_code == 126 || run->exit_code == -1) && (missing || says("ermission denied") || says("OCI runtime exec failed"))) return text;
    return {};  // only the last run counts: an image may have been mended
  }
  return {};
}

}  // namespace dm::audit::rules
