#include <fmt/format.h>

#include <algorithm>

#include "audit/dockerfiles.hpp"
#include "audit/rules/helpers.hpp"
#include "formats/dockerfile.hpp"

namespace dm::audit::rules {
namespace {

bool fpm_image(std::string_view image) {
  const auto name = product::split_image(image);
  return name.tag.find("fpm") != std::string_view::npos || name.repository.ends_with("php-fpm");
}

/// PHP-FPM by its image, its command, or what its Dockerfile starts from; "" for none.
std::string speaks_fastcgi(const Input& input, ServiceId id, const std::vector<ServiceDockerfile>& files) {
  const auto& service = input.wiring.service(id);
  if (fpm_image(service.image.value) && service.build == nullptr) return fmt::format("its image is {}", service.image.value);
  for (const auto* words : {&service.command, &service.entrypoint})
    for (const auto& word : *words)
      if (word.value == "php-fpm" || word.value.starts_with("php-fpm ") || word.value.ends_with("/php-fpm")) return "its command is php-fpm";
  if (!service.command.empty() || !service.entrypoint.empty()) return {};
  for (const auto& file : files) {
    if (file.service != id) continue;
    const auto base = formats::base_image(formats::parse_dockerfile(input.project.texts.at(file.file).content), {}, {});
    if (fpm_image(base)) return fmt::format("it is built from {}", base);
  }
  return {};
}

}  // namespace

extern constinit const Rule fastcgi_port_public{
    .id = "DM0905",
    .name = "fastcgi-port-public",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "PHP-FPM's port is open to others",
    .rationale = "FastCGI has no sign-in, and whoever speaks it names the file to run and sets PHP's options with the request: that is enough to run any code. "
                 "The web server reaches the port over their network.",
    .fix = "Remove the port; `fastcgi_pass NAME:9000` and a common network are enough.",
    .checks = "31 O4",
    .bad = R"(services:
  app:
    image: php:8.3-fpm
    ports:
      - "9000:9000"  # <- DM0905
  built:
    build: .
    ports:
      - "9001:9000"  # <- DM0905
-- Dockerfile
FROM php:8.3-fpm-alpine
)",
    .good = R"(services:
  app:
    image: php:8.3-fpm
)",
    .look_alike = R"(services:
  app:
    image: php:8.3-fpm
    ports: ["127.0.0.1:9000:9000"]
  store:
    image: minio/minio:RELEASE.2025-04-22T22-12-26Z
    ports: ["9000:9000"]
    volumes: ["store:/data"]
  other:
    image: php:8.3-fpm
    command: php artisan serve
    ports: ["8000:8000"]
volumes: {store: }
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          const auto open = [](const compose::Port& port) { return port.target == 9000 && every_interface(port); };
          if (std::ranges::none_of(input.project.services, [&](const auto& service) { return std::ranges::any_of(service.ports, open); })) return;
          const auto files = dockerfiles(input);
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto port = std::ranges::find_if(service.ports, open);
            if (port == service.ports.end()) return;
            auto why = speaks_fastcgi(input, id, files);
            if (!why.empty()) report.add(port->where, id, fmt::format("PHP-FPM of '{}' is open on every interface at port {}", service.name, port->published.empty() ? "(random)" : port->published), std::move(why));
          });
        },
};

}  // namespace dm::audit::rules
