/// Caddyfiles of the project's Caddy services, parsed with the variables that the service will see.
#pragma once

#include <functional>
#include <vector>

#include "audit/rule.hpp"
#include "formats/caddyfile.hpp"

namespace dm::audit {

struct ServiceCaddyfile {
  ServiceId service = wiring::kNone;
  sources::FileId file = sources::kNoFile;
  formats::Caddyfile parsed;
  bool stock = false;  ///< the official image as it is: standard modules only
};

/// Examples and backups that lie beside the real one are left out.
std::vector<ServiceCaddyfile> caddyfiles(const Input& input);
/// Calls `body` for each directive, also within blocks.
void each_directive(const std::vector<formats::CaddyDirective>& directives,
                    const std::function<void(const formats::CaddyDirective&)>& body);
/// Some directive asks who is there, or from where.
bool asks_who(const std::vector<formats::CaddyDirective>& directives);
/// "prometheus" of "http://prometheus:9090".
std::string_view upstream_host(std::string_view upstream);

}  // namespace dm::audit
