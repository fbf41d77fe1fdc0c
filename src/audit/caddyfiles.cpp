#include "audit/caddyfiles.hpp"

#include <algorithm>
#include <array>

namespace dm::audit {

std::vector<ServiceCaddyfile> caddyfiles(const Input& input) {
  std::vector<ServiceCaddyfile> out;
  for (const auto& config : input.wiring.config_files) {
    if (config.format != "caddyfile") continue;
    const auto* product = input.wiring.product_of[config.service];
    if (product == nullptr || product->id != "caddy") continue;
    const auto name = sources::file_name(config.path);
    const auto spare = [&](std::string_view ending) { return name.ends_with(ending); };
    if (spare(".example") || spare(".sample") || spare(".bak") || spare(".old") || spare(".dist") ||
        spare(".tmpl")) continue;
    const auto& service = input.wiring.service(config.service);
    const auto image = product::split_image(service.image.value);
    ServiceCaddyfile file;
    file.service = config.service;
    file.file = config.file;
    file.stock = service.build == nullptr && (image.repository == "caddy" || image.repository == "library/caddy");
    file.parsed = formats::parse_caddyfile(input.project.texts.at(config.file).content,
                                           [&](std::string_view variable) -> std::optional<std::string> {
                                             const auto* found = service.env(variable);
                                             if (found == nullptr) return std::nullopt;
                                             // Set, but not here: messages show it as it is written.
                                             const auto* parts = found->value.node != nullptr ? found->value.node->segments : nullptr;
                                             if (found->value.value.empty() && parts != nullptr &&
                                                 std::ranges::any_of(*parts, [](const auto& part) { return !part.defined && part.kind == compose::Segment::Kind::variable; }))
                                               return "{$" + std::string(variable) + "}";
                                             return std::string(found->value.value);
                                           });
    out.push_back(std::move(file));
  }
  return out;
}

void each_directive(const std::vector<formats::CaddyDirective>& directives,
                    const std::function<void(const formats::CaddyDirective&)>& body) {
  for (const auto& directive : directives) {
    body(directive);
    each_directive(directive.block, body);
  }
}

bool asks_who(const std::vector<formats::CaddyDirective>& directives) {
  // Directives and matchers; plugins for sign-in are among them.
  static constexpr std::array<std::string_view, 12> kGuards{"forward_auth", "basic_auth",   "basicauth",       "authorize", "authenticate", "authentication",
                                                            "client_auth",  "remote_ip",    "client_ip",       "bind",      "crowdsec",     "jwtauth"};
  const auto guards = [](const auto& word) { return std::ranges::find(kGuards, word.text) != kGuards.end(); };
  bool found = false;
  each_directive(directives, [&](const formats::CaddyDirective& one) {
    // `basic_auth /secret/*` leaves the rest open.
    const bool part = guards(one.name) && !one.arguments.empty() && one.arguments.front().text.size() > 2 && one.arguments.front().text.starts_with('/');
    found = found || (!part && (guards(one.name) || std::ranges::any_of(one.arguments, guards)));
  });
  return found;
}

std::string_view upstream_host(std::string_view upstream) {
  if (const auto scheme = upstream.find("://"); scheme != std::string_view::npos) upstream.remove_prefix(scheme + 3);
  return upstream.substr(0, upstream.find_first_of(":/"));
}

}  // namespace dm::audit
