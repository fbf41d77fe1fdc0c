#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/near_miss.hpp"

namespace dm::audit::rules {
namespace {

/// One letter more, less, other, or two neighbours swapped; digits must agree (HOST1 is not HOST2).
bool near_miss(std::string_view a, std::string_view b) {
  if (a == b) return false;
  if (a.size() < b.size()) std::swap(a, b);
  if (a.size() - b.size() > 1) return false;
  const auto from = std::ranges::mismatch(a, b);
  const auto i = static_cast<std::size_t>(from.in1 - a.begin());
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (i < a.size() && digit(a[i])) return false;
  if (i < b.size() && digit(b[i])) return false;
  if (a.size() > b.size()) return a.substr(i + 1) == b.substr(i);
  if (a.substr(i + 1) == b.substr(i + 1)) return true;
  return i + 1 < a.size() && a[i] == b[i + 1] && a[i + 1] == b[i] && a.substr(i + 2) == b.substr(i + 2);
}

}  // namespace

std::vector<const wiring::VariableInfo*> never_used(const Input& input) {
  std::vector<const wiring::VariableInfo*> out;
  for (const auto& variable : input.wiring.variables)
    if (variable.uses.empty() && !variable.definitions.empty() && variable.name.size() >= 6) out.push_back(&variable);
  return out;
}

const wiring::VariableInfo* meant_by(const std::vector<const wiring::VariableInfo*>& unused, const wiring::VariableInfo& variable) {
  if (variable.defined || variable.documented || variable.uses.empty() || variable.name.size() < 6) return nullptr;
  const auto meant = std::ranges::find_if(unused, [&](const auto* other) { return near_miss(variable.name, other->name); });
  return meant == unused.end() ? nullptr : *meant;
}

extern constinit const Rule near_miss_variable{
    .id = "DM0112",
    .name = "near-miss-variable",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a variable is undefined, and one of almost the same name is unused",
    .rationale = "The name was mistyped on one side: the service gets an empty value, the value that was meant "
                 "for it is used by nobody.",
    .fix = "Use one spelling in both places.",
    .checks = "120",
    .bad = R"(services:
  app:
    image: example/app:1
    environment:
      DB_PASS: ${POSTGRES_PASSWROD}  # <- DM0112
-- .env
POSTGRES_PASSWORD=x
)",
    .good = R"(services:
  app:
    image: example/app:1
    environment:
      DB_PASS: ${POSTGRES_PASSWORD}
-- .env
POSTGRES_PASSWORD=x
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    environment:
      A: ${SMTP_HOST1:-none}
      B: ${SMTP_HOST2}
-- .env
SMTP_HOST1=x
SMTP_HOST2=y
SMTP_HOST3=z
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          const auto unused = never_used(input);
          for (const auto& variable : input.wiring.variables) {
            const auto* meant = meant_by(unused, variable);
            if (meant == nullptr) continue;
            const auto* use = variable.uses.front();
            report.add(use->where, input.wiring.id_of(use->service),
                       fmt::format("variable {} is defined nowhere; {} is defined and used nowhere", variable.name, meant->name),
                       "defined at " + input.project.texts.describe(meant->definitions.front(), input.project.folder));
          }
        },
};

}  // namespace dm::audit::rules
