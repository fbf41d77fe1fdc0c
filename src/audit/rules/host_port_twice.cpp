#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "audit/rules/helpers.hpp"
#include "product/product.hpp"

namespace dm::audit::rules {
namespace {

struct Claim {
  ServiceId service;
  const compose::Port* port;
  unsigned first, last;
};

bool range(std::string_view published, unsigned& first, unsigned& last) {
  const auto dash = published.find('-');
  const auto low = published.substr(0, dash);
  const auto high = dash == std::string_view::npos ? low : published.substr(dash + 1);
  return std::from_chars(low.data(), low.data() + low.size(), first).ec == std::errc() && first != 0 &&
         std::from_chars(high.data(), high.data() + high.size(), last).ec == std::errc();
}

bool any_address(std::string_view address) { return address.empty() || address == "0.0.0.0" || address == "::" || address == "[::]"; }

bool same_address(const compose::Port& a, const compose::Port& b) {
  if ((a.protocol.empty() ? "tcp" : a.protocol) != (b.protocol.empty() ? "tcp" : b.protocol)) return false;
  return any_address(a.host_ip) || any_address(b.host_ip) || a.host_ip == b.host_ip;
}

/// Some choice of profiles starts both: one has none, or they share one.
bool together(const Input& input, ServiceId a, ServiceId b) {
  const auto& left = input.project.services[a].profiles;
  const auto& right = input.project.services[b].profiles;
  if (left.empty() || right.empty()) return true;
  return std::ranges::any_of(left, [&](const auto& profile) {
    return std::ranges::any_of(right, [&](const auto& other) { return other.value == profile.value; });
  });
}

/// One program in two versions, one of them behind a profile: they are started by their names, one at a time.
bool versions(const Input& input, ServiceId a, ServiceId b) {
  const auto& left = input.project.services[a];
  const auto& right = input.project.services[b];
  if (left.profiles.empty() == right.profiles.empty()) return false;
  return !left.image.value.empty() && product::split_image(left.image.value).repository == product::split_image(right.image.value).repository;
}

}  // namespace

extern constinit const Rule host_port_twice{
    .id = "DM0109",
    .name = "host-port-twice",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "two services publish the same port of the host",
    .rationale = "The engine gives a port to the container that comes first; the second one fails to start with "
                 "'port is already allocated'.",
    .fix = "Give one of them another host port, or put both behind the proxy and publish only that.",
    .checks = "34 O31",
    .bad = R"(services:
  web:
    image: example/web:1
    ports: ["8080:80"]
  admin:
    image: example/admin:1
    ports:
      - "127.0.0.1:8080:3000"  # <- DM0109
)",
    .good = R"(services:
  web:
    image: example/web:1
    ports: ["8080:80"]
  admin:
    image: example/admin:1
    ports: ["127.0.0.1:8081:3000"]
)",
    .look_alike = R"(services:
  old:
    image: example/web:1
    profiles: [old]
    ports: ["8080:80", "53:53/tcp", "53:53/udp", "127.0.0.1:9000:9000"]
  new:
    image: example/web:2
    profiles: [new]
    ports: ["8080:80", "192.0.2.7:9000:9000"]
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Claim> claims;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& port : service.ports) {
              Claim claim{id, &port, 0, 0};
              if (!range(port.published, claim.first, claim.last)) continue;
              claims.push_back(claim);
            }
          });
          std::ranges::stable_sort(claims, {}, &Claim::first);
          for (std::size_t i = 0; i < claims.size(); ++i)
            for (auto j = i + 1; j < claims.size() && claims[j].first <= claims[i].last; ++j) {
              const auto& [earlier, later] = claims[i].service <= claims[j].service ? std::tie(claims[i], claims[j]) : std::tie(claims[j], claims[i]);
              if (earlier.service == later.service || !same_address(*earlier.port, *later.port) || !together(input, earlier.service, later.service)) continue;
              auto& finding = report.add(later.port->where, later.service,
                                         fmt::format("'{}' publishes port {} of the host, which '{}' publishes too", input.project.services[later.service].name,
                                                     later.port->published, input.project.services[earlier.service].name));
              if (!versions(input, earlier.service, later.service)) continue;
              finding.severity = Severity::medium;
              finding.hint = "`docker compose up NAME` starts one of them; with `--profile` both start and one fails. Give each a profile of its own.";
            }
        },
};

}  // namespace dm::audit::rules
