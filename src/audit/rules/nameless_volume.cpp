#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/dockerfiles.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// It lies in another mount of the service: `/app/node_modules` keeps the image's folder out of `.:/app`.
bool masks(const std::set<std::string_view>& targets, std::string_view target) {
  for (auto end = target.rfind('/'); end != std::string_view::npos && end > 0; end = target.rfind('/', end - 1))
    if (targets.contains(target.substr(0, end))) return true;
  return false;
}

/// What is made again: packages, builds, caches, logs.
bool can_go(std::string_view target) {
  static constexpr std::string_view kParts[] = {"node_modules", ".next", ".nuxt", "vendor", "venv", ".venv", "cache", "tmp", "dist", "build", "target", "log", "logs", "run", "__pycache__", ".gradle", ".m2", ".cargo"};
  while (!target.empty()) {
    const auto end = std::min(target.find('/'), target.size());
    if (std::ranges::find(kParts, target.substr(0, end)) != std::end(kParts)) return true;
    target.remove_prefix(std::min(end + 1, target.size()));
  }
  return false;
}

/// Paths of `VOLUME ["/data"]` and `VOLUME /data /more`.
std::vector<std::string> volumes_of_image(const Input& input, const compose::Service& service) {
  std::vector<std::string> out;
  for (const auto& one : image_instructions(input, service)) {
    if (one.keyword != "VOLUME") continue;
    std::string path;
    for (const char c : one.text + " ") {
      if (c != ' ' && c != ',' && c != '[' && c != ']' && c != '"') {
        path += c;
        continue;
      }
      if (path.starts_with('/') && path.find('$') == std::string::npos) out.push_back(path);
      path.clear();
    }
  }
  return out;
}

}  // namespace

extern constinit const Rule nameless_volume{
    .id = "DM0405",
    .name = "nameless-volume",
    .severity = Severity::medium,
    .area = Area::recovery,
    .summary = "a volume without a name, so that nothing finds it again",
    .rationale = "`docker compose down` leaves such a volume behind, and the next `up` begins with a new and empty one: keys, uploads and settings in it are lost "
                 "without a word. No backup can name it.",
    .fix = "Give the volume a name: `- data:/path` and `data:` under `volumes:`.",
    .checks = "124 O34",
    .bad = R"(services:
  vpn:
    image: example/vpn:1
    volumes:
      - /var/lib/vpn  # <- DM0405
  world:  # <- DM0405
    build: .
-- Dockerfile
FROM debian:12
VOLUME ["/srv/world", "/var/cache/world"]
)",
    .good = R"(services:
  vpn:
    image: example/vpn:1
    volumes: ["vpn:/var/lib/vpn"]
volumes: {vpn: }
)",
    .look_alike = R"(services:
  web:
    build: .
    volumes:
      - .:/app
      - /app/packages
      - /srv/web/node_modules
  job:
    image: example/job:1
    restart: "no"
    profiles: [tools]
    volumes: [/work]
  engine:
    image: docker:27-dind
    volumes: [/certs/client]
-- Dockerfile
FROM node:22
VOLUME /app/data /app/settings.cfg
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (input.wiring.one_shot[id] || run_by_hand(service)) return;
            const auto* store = input.wiring.datastore(id);  // DM0401 speaks of its data
            std::set<std::string_view> targets;
            for (const auto& mount : service.mounts) targets.insert(mount.target);
            for (const auto& mount : service.mounts) {
              if (mount.type != compose::Mount::Type::volume || !mount.source.empty() || (store != nullptr && store->mount == &mount)) continue;
              if (can_go(mount.target) || masks(targets, mount.target)) continue;
              if (mount.target.starts_with("/certs") && product::split_image(service.image.value).repository == "docker") continue;  // docker:dind makes them anew
              report.add(mount.where, id, fmt::format("'{}' keeps {} in a volume without a name", service.name, mount.target));
            }
            if (service.build == nullptr || store != nullptr) return;
            for (const auto& path : volumes_of_image(input, service)) {
              const auto below = path + "/";
              const bool held = mount_of(service, path) != nullptr || std::ranges::any_of(targets, [&](std::string_view target) { return target.starts_with(below); });
              if (held || can_go(path) || sources::file_name(path).find('.') != std::string_view::npos) continue;
              report.add(service.where, id, fmt::format("'{}' keeps {} in a volume without a name", service.name, path), "its Dockerfile says VOLUME, and nothing is mounted there");
            }
          });
        },
};

}  // namespace dm::audit::rules
