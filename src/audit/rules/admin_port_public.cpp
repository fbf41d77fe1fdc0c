#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Interfaces from which one manages the engine, a database or everybody's data.
bool is_admin_image(std::string_view image) {
  static constexpr std::string_view kNames[] = {"adminer",         "phpmyadmin",   "pgadmin4",    "mongo-express",
                                                "redis-commander", "redisinsight", "cloudbeaver", "dozzle",
                                                "phpldapadmin",    "yacht",        "kafka-ui",    "cockpit-ws",
                                                "akhq",            "kafdrop",      "pgweb",       "dbgate",
                                                "apisix-dashboard", "cp-enterprise-control-center"};
  const auto repository = product::split_image(image).repository;
  if (repository == "redpandadata/console") return true;
  return std::ranges::find(kNames, repository.substr(repository.rfind('/') + 1)) != std::end(kNames);
}

/// Told to ask nobody: Portainer's `--no-auth` (versions 1), code-server's `--auth none`.
bool sign_in_off(const compose::Service& service) {
  for (std::size_t i = 0; i < service.command.size(); ++i) {
    const auto word = service.command[i].value;
    if (word == "--no-auth" || word == "--auth=none" || (word == "--auth" && i + 1 < service.command.size() && service.command[i + 1].value == "none")) return true;
  }
  return false;
}

/// An editor with a shell, which is an ordinary application as long as it asks for its password.
bool open_editor(const compose::Service& service) {
  return product::split_image(service.image.value).repository.ends_with("/code-server") && sign_in_off(service);
}

}  // namespace

extern constinit const Rule admin_port_public{
    .id = "DM0902",
    .name = "admin-port-public",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "an administration interface is published on every interface",
    .rationale = "Docker's own firewall rules come before those of the host: whoever reaches the machine reaches the "
                 "login of what manages it, past the proxy and its sign-in.",
    .fix = "Bind it to 127.0.0.1, or remove the port and route it through the proxy behind a sign-in.",
    .checks = "31 O4 O78",
    .bad = R"(services:
  manage:
    image: portainer/portainer-ce:2.21.0
    ports:
      - "9443:9443"  # <- DM0902
  tables:
    image: adminer:4.8.1
    ports:
      - "8080:8080"  # <- DM0902
  editor:
    image: codercom/code-server:4.96.4
    command: [--auth, none, project]
    ports:
      - "8443:8080"  # <- DM0902
)",
    .good = R"(services:
  manage:
    image: portainer/portainer-ce:2.21.0
    ports:
      - "127.0.0.1:9443:9443"
  tables:
    image: adminer:4.8.1
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    ports:
      - "443:443"
  app:
    image: example/admin-docs:1.0
    ports:
      - "8080:8080"
  editor:
    image: lscr.io/linuxserver/code-server:4.96.4
    environment: {HASHED_PASSWORD: "${EDITOR_HASH:?}"}
    ports:
      - "8443:8443"
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            const bool socket = product != nullptr && product->kind == "socket-proxy";
            const bool admin = product != nullptr && product->kind == "admin";
            if (!socket && !admin && !is_admin_image(service.image.value) && !open_editor(service)) return;
            auto open = published_to_all(input, service);
            if (open.where.empty()) return;
            const auto size = open.where.size();
            auto& finding = report.add_all(std::move(open.where), {id}, fmt::format("'{}' manages others and is open on every interface at port{} {}",
                                                                                service.name, size == 1 ? "" : "s", open.list));
            const bool open_to_all = sign_in_off(service);
            if (open_to_all) finding.message += ", and its sign-in is switched off";
            if (socket || open_to_all) finding.severity = Severity::critical;  // no login at all before the engine
          });
        },
};

}  // namespace dm::audit::rules
