#include "scaffold/budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "formats/yaml.hpp"

namespace dm::scaffold {
namespace {

std::uint64_t number(std::string_view text) {
  std::uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

std::vector<std::string> profiles_in(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    out.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

}  // namespace

const std::string* Budget::proposal(std::uint64_t host_gb) const {
  const std::string *best = nullptr, *least = nullptr;
  std::size_t most = 0;
  auto least_mb = std::numeric_limits<std::uint64_t>::max();
  for (const auto& combination : combinations) {
    const auto profiles = profiles_in(combination);
    if (std::ranges::find(profiles, "gpu") != profiles.end()) continue;  // whether there is one is not known here
    const auto found = fit(*this, profiles, host_gb);
    if (found.verdict == Fit::Verdict::too_small) continue;
    if (found.limits_mb < least_mb) least = &combination, least_mb = found.limits_mb;
    if (found.limits_mb > 2 * found.room_mb || found.services <= most) continue;
    most = found.services;
    best = &combination;
  }
  return best != nullptr ? best : least;
}

std::string Fit::describe() const {
  const auto sums = fmt::format("{} services: limits {:.1f} GB, reservations {:.1f} GB, room {:.1f} GB", services, static_cast<double>(limits_mb) / 1024, static_cast<double>(reserved_mb) / 1024, static_cast<double>(room_mb) / 1024);
  switch (verdict) {
    case Verdict::fits: return "fits (" + sums + ")";
    case Verdict::over_committed:
      return fmt::format("is over-committed {:.1f} times ({}): fine while not all are at their limit at once", static_cast<double>(limits_mb) / static_cast<double>(room_mb), sums);
    case Verdict::too_small: return "is too small: not even the reservations fit (" + sums + ")";
  }
  return sums;
}

std::string_view Fit::word() const {
  switch (verdict) {
    case Verdict::fits: return "fits";
    case Verdict::over_committed: return "over-committed";
    case Verdict::too_small: return "does not fit";
  }
  return "";
}

Result<Budget> parse_budget(std::string_view yaml) {
  DM_TRY(const auto root, during("reading budgets.yaml", formats::parse_yaml(yaml)));
  Budget out;
  for (const auto& [section, node] : root.entries) {
    if (section == "system_mb") out.system_mb = number(node.text);
    if (section == "combinations")
      for (const auto& item : node.items)
        if (const auto* profiles = item.find("profiles")) out.combinations.push_back(profiles->text);
    if (section != "services") continue;
    for (const auto& [name, service] : node.entries) {
      const auto *limit = service.find("limit_mb"), *reserved = service.find("reserved_mb"), *profiles = service.find("profiles");
      if (limit == nullptr || reserved == nullptr || profiles == nullptr) return fail(Errc::invalid_input, fmt::format("budgets.yaml:{}: {} is incomplete", service.line, name));
      Budget::Service one{name, number(limit->text), number(reserved->text), {}};
      for (const auto& item : profiles->items) one.profiles.push_back(item.text);
      out.services.push_back(std::move(one));
    }
  }
  return out;
}

Fit fit(const Budget& budget, const std::vector<std::string>& profiles, std::uint64_t host_gb) {
  Fit out;
  const auto all = host_gb * 1024;
  out.room_mb = all > budget.system_mb ? all - budget.system_mb : 0;
  for (const auto& service : budget.services) {
    if (std::ranges::none_of(service.profiles, [&](const auto& profile) { return std::ranges::find(profiles, profile) != profiles.end(); })) continue;
    ++out.services;
    out.limits_mb += service.limit_mb;
    out.reserved_mb += service.reserved_mb;
  }
  out.verdict = out.reserved_mb > out.room_mb ? Fit::Verdict::too_small : out.limits_mb > out.room_mb ? Fit::Verdict::over_committed : Fit::Verdict::fits;
  return out;
}

}  // namespace dm::scaffold
