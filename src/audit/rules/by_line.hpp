/// What one line says for several services, an env file or an anchor, is one mistake.
#pragma once

#include <fmt/format.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

struct SharedReference {
  const wiring::Reference* first = nullptr;
  std::vector<ServiceId> services;
};

/// References that `wanted` takes, those of one line, host and port together; in the order of their first.
template <class F>
std::vector<SharedReference> by_line(const Input& input, F&& wanted) {
  std::vector<SharedReference> out;
  std::map<std::tuple<sources::FileId, std::size_t, std::string_view, int>, std::size_t> known;
  for (const auto& reference : input.wiring.references) {
    if (!wanted(reference)) continue;
    const auto [at, fresh] = known.emplace(std::tuple(reference.where.file, static_cast<std::size_t>(reference.where.span.begin), std::string_view(reference.host), reference.port ? *reference.port : -1), out.size());
    if (fresh || !reference.where) {
      out.push_back({&reference, {reference.from}});
    } else if (auto& services = out[at->second].services; services.back() != reference.from) {
      services.push_back(reference.from);
    }
  }
  return out;
}

/// "'a' is" and "'a' and 'b' are".
inline std::string they_are(const Input& input, const std::vector<ServiceId>& services) { return fmt::format("{} {}", quoted_names(input, services), services.size() == 1 ? "is" : "are"); }

}  // namespace dm::audit::rules
