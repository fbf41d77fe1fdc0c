#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// A section of haproxy.cfg with its statistics switched on and nothing that asks who comes.
struct Stats {
  std::set<std::uint32_t> ports;
  bool admin = false;  ///< servers can be taken out from the page
  text::Span where;
};

std::vector<std::string_view> parts_of(std::string_view line) {
  std::vector<std::string_view> out;
  line = line.substr(0, line.find('#'));
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    if (line.empty()) return out;
    const auto end = std::min(line.find_first_of(" \t\r"), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

/// `stats enable` without `stats auth` and without a condition on who asks; sections that listen nowhere take none.
std::vector<Stats> open_stats(std::string_view text) {
  static constexpr std::string_view kSections[] = {"global", "defaults", "frontend", "backend", "listen", "resolvers", "userlist", "peers", "cache", "program", "ring", "mailers", "http-errors"};
  std::vector<Stats> out;
  std::optional<Stats> here;
  bool shown = false, asks = false, by_default = false, in_defaults = false;
  const auto finish = [&] {
    if (in_defaults) by_default = by_default || asks;
    if (here && shown && !asks && !by_default && !here->ports.empty()) out.push_back(*here);
    here.reset();
    shown = asks = in_defaults = false;
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto parts = parts_of(text.substr(at, end - at));
    if (!parts.empty() && std::ranges::find(kSections, parts[0]) != std::end(kSections)) {
      finish();
      in_defaults = parts[0] == "defaults";
      if (parts[0] == "frontend" || parts[0] == "listen") here.emplace();
    } else if (!parts.empty()) {
      if (parts[0] == "bind" && parts.size() > 1 && here) {
        const auto colon = parts[1].rfind(':');
        std::uint32_t port = 0;
        const auto digits = colon == std::string_view::npos ? std::string_view() : parts[1].substr(colon + 1);
        std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (port != 0 && !parts[1].starts_with("127.") && !parts[1].starts_with("localhost")) here->ports.insert(port);
      }
      if (parts[0] == "stats" && parts.size() > 1 && here) {
        if (parts[1] == "auth" || parts[1] == "http-request" || parts[1] == "scope") asks = true;
        if (parts[1] == "enable" || parts[1] == "uri") {
          if (!shown) here->where = {static_cast<std::uint32_t>(at + text.substr(at, end - at).find("stats")), static_cast<std::uint32_t>(end)};
          shown = true;
        }
        here->admin = here->admin || (parts[1] == "admin" && parts.size() > 3 && (parts[3] == "TRUE" || parts[3] == "true"));
      }
      if (parts[0] == "stats" && parts.size() > 1 && parts[1] == "auth") asks = true;
      if (parts[0] == "http-request" && parts.size() > 1 && (parts[1] == "auth" || parts[1] == "deny")) asks = true;
    }
    at = end + 1;
  }
  finish();
  return out;
}

}  // namespace

extern constinit const Rule haproxy_stats_open{
    .id = "DM0907",
    .name = "haproxy-stats-open",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "HAProxy's statistics page is open to other machines",
    .rationale = "The page names every server behind the proxy with its address, state and traffic. With `stats admin if TRUE` whoever opens it takes servers out of service "
                 "by a click.",
    .fix = "`stats auth NAME:PASSWORD` in the section, or publish the port on 127.0.0.1 only.",
    .checks = "54",
    .bad = R"(services:
  edge:
    image: haproxy:3.0
    ports: ["5432:5432", "8404:8404"]
    volumes: ["./haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"]
-- haproxy.cfg
defaults
  mode tcp
listen stats
  bind *:8404
  mode http
  stats enable  # <- DM0907
  stats uri /stats
  stats admin if TRUE
listen postgres
  bind *:5432
  server one db:5432 check
)",
    .good = R"(services:
  edge:
    image: haproxy:3.0
    ports: ["5432:5432", "8404:8404"]
    volumes: ["./haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"]
-- haproxy.cfg
listen stats
  bind *:8404
  stats enable
  stats auth admin:moonflower
)",
    .look_alike = R"(services:
  edge:
    image: haproxy:3.0
    ports: ["127.0.0.1:8404:8404", "80:80"]
    volumes: ["./haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"]
  inner:
    image: haproxy:3.0
    ports: ["81:80", "8405:8405"]
    volumes: ["./inner.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"]
-- haproxy.cfg
frontend stats
  bind *:8404
  stats enable
frontend web
  bind *:80
  # stats enable
  default_backend web
backend web
  server one app:8000
-- inner.cfg
listen stats
  bind 127.0.0.1:8405
  stats enable
frontend web
  bind *:80
  http-request auth unless { http_auth(users) }
  stats enable
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            std::set<std::uint32_t> published;
            for (const auto& port : service.ports)
              if (every_interface(port)) published.insert(port.target);
            if (published.empty()) return;
            for (const auto& config : config_files_of(input, id)) {
              if (config.mount == nullptr || !config.path.ends_with(".cfg") || config.mount->target.find("haproxy") == std::string_view::npos) continue;
              auto id_of_text = config.file;
              if (id_of_text == sources::kNoFile) {
                const auto opened = input.texts_owner.texts.open(config.path, 1U << 20U);
                if (!opened) continue;
                id_of_text = *opened;
              }
              for (const auto& stats : open_stats(input.project.texts.at(id_of_text).content)) {
                const auto port = std::ranges::find_if(stats.ports, [&](auto one) { return published.contains(one); });
                if (port == stats.ports.end()) continue;
                auto& finding = report.add({id_of_text, stats.where}, id, fmt::format("'{}' shows its statistics at port {} to everybody{}", service.name, *port, stats.admin ? ", who may take servers out of service there" : ""));
                if (stats.admin) finding.severity = Severity::high;
              }
            }
          });
        },
};

}  // namespace dm::audit::rules
