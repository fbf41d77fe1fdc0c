#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// The newest of all versions by another name: `alpine`, `lts`, `stable-slim`. A tag with another word in it may be a version's name.
bool follows_newest(std::string_view tag) {
  static constexpr std::array<std::string_view, 21> kWords{"latest", "alpine", "slim",  "lts",    "stable", "current", "mainline", "edge",    "nightly", "main",  "master",
                                                           "fpm",    "apache", "cli",   "debian", "ubuntu", "perl",    "omnibus",  "release", "develop", "rolling"};
  while (!tag.empty()) {
    const auto end = tag.find_first_of("-._");
    if (std::ranges::find(kWords, tag.substr(0, end)) == kWords.end()) return false;
    tag = end == std::string_view::npos ? std::string_view() : tag.substr(end + 1);
  }
  return true;
}

}  // namespace

extern constinit const Rule image_latest_tag{
    .id = "DM0701",
    .name = "image-latest-tag",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "an image without a fixed version",
    .rationale = "The next pull brings another version, perhaps with a migration that cannot be undone, and a "
                 "restore cannot find the old one.",
    .fix = "Name a version.",
    .checks = "40",
    .bad = R"(services:
  app:
    image: example/app:latest  # <- DM0701
  site:
    image: wordpress:fpm-alpine
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  db:
    image: debian:bookworm-slim
  home:
    image: example/hub:2024-stable
  own:
    build: .
    image: own
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> where;
          std::vector<ServiceId> ids;
          std::string images;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!service.image || service.build != nullptr || service.image.value.empty()) return;
            const auto* parts = service.image.node->segments;  // a part that is still to be set may be the tag
            if (parts != nullptr && std::ranges::any_of(*parts, [](const auto& part) { return part.kind == compose::Segment::Kind::variable && !part.defined; })) return;
            const auto name = product::split_image(service.image.value);
            if (!name.digest.empty() || !follows_newest(name.tag)) return;
            where.push_back(service.image.where());
            ids.push_back(id);
            if (images.find(service.image.value) == std::string::npos && ids.size() <= 12) images += fmt::format("{}{}", images.empty() ? "" : ", ", service.image.value);
          });
          if (ids.empty()) return;
          auto message = ids.size() == 1 ? fmt::format("'{}' runs whatever {} is today", input.wiring.service(ids[0]).name, images)
                                         : fmt::format("{} run whatever their image is today: {}", counted(ids.size(), "service"), join_names(input, ids, 12));
          report.add_all(std::move(where), std::move(ids), std::move(message), ids.size() == 1 ? "" : images);
        },
};

}  // namespace dm::audit::rules
