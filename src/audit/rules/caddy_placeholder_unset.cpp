#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/caddyfiles.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

struct Placeholder {
  std::string_view name;
  text::Span where;
};

/// `{$NAME}` without a default and `{env.NAME}`, outside comments.
std::vector<Placeholder> placeholders(std::string_view text) {
  std::vector<Placeholder> out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool word_begins = at == 0 || text[at - 1] == ' ' || text[at - 1] == '\t' || text[at - 1] == '\n';
    if (text[at] == '#' && word_begins) {
      at = std::min(text.find('\n', at), text.size() - 1);
      continue;
    }
    const auto rest = text.substr(at);
    const std::size_t lead = rest.starts_with("{$") ? 2 : rest.starts_with("{env.") ? 5 : 0;
    if (lead == 0) continue;
    const auto end = rest.find_first_of("}\n");
    if (end == std::string_view::npos || rest[end] != '}') continue;
    const auto name = rest.substr(lead, end - lead);
    const bool plain = !name.empty() && std::ranges::all_of(name, [](char c) {
      return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    });
    if (plain) out.push_back({name, {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + end + 1)}});
  }
  return out;
}

/// All that the service's environment is made of is here.
bool environment_is_known(const Input& input, const compose::Service& service) {
  return service.build == nullptr && std::ranges::all_of(service.env_files, [&](const auto& file) {
           return input.files.stat(std::string(file.value)).kind == sources::Kind::regular;
         });
}

}  // namespace

extern constinit const Rule caddy_placeholder_unset{
    .id = "DM0912",
    .name = "caddy-placeholder-unset",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "the Caddyfile uses a variable that its container does not have",
    .rationale = "Caddy replaces it by nothing, and says nothing: an address without its domain, a certificate "
                 "without an "
                 "account, a token that is empty. That `.env` defines it does not put it into the container.",
    .fix = "Add `NAME: ${NAME:?}` to the service's `environment`, or give a default: `{$NAME:default}`.",
    .checks = "O19 O20",
    .bad = R"(services:
  edge:
    image: caddy:2.8.4
    volumes:
      - ./Caddyfile:/etc/caddy/Caddyfile:ro
-- .env
DOMAIN=example.org
-- Caddyfile
app.{$DOMAIN} {  # <- DM0912
	reverse_proxy app:8080
}
)",
    .good = R"(services:
  edge:
    image: caddy:2.8.4
    environment:
      DOMAIN: ${DOMAIN:?}
    volumes:
      - ./Caddyfile:/etc/caddy/Caddyfile:ro
-- .env
DOMAIN=example.org
-- Caddyfile
app.{$DOMAIN} {
	reverse_proxy app:8080
}
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    volumes:
      - ./Caddyfile:/etc/caddy/Caddyfile:ro
-- Caddyfile
# {$DOMAIN} comes later
app.{$DOMAIN:example.org} {
	reverse_proxy app:8080 {
		header_up X-Real-IP {remote_host}  # not {$REMOTE}
	}
}
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& file : caddyfiles(input)) {
            const auto& service = input.wiring.service(file.service);
            if (!environment_is_known(input, service)) continue;
            // The image sets these itself.
            std::set<std::string_view> told{"HOME",            "PATH",          "HOSTNAME",
                                            "XDG_CONFIG_HOME", "XDG_DATA_HOME", "CADDY_VERSION"};
            for (const auto& found : placeholders(input.project.texts.at(file.file).content)) {
              if (service.env(found.name) != nullptr || !told.insert(found.name).second) continue;
              report.add({file.file, found.where}, file.service,
                         fmt::format("{} is not in the environment of '{}', so Caddy reads nothing there", found.name,
                                     service.name));
            }
          }
        },
};

}  // namespace dm::audit::rules
