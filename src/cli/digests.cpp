#include "cli/digests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include "base/json.hpp"
#include "base/yaml_writer.hpp"
#include "compose/load.hpp"
#include "product/product.hpp"
#include "upgrade/registry.hpp"

namespace dm::cli {
namespace {

bool counts(const compose::Project& project, const compose::Service& service) { return service.enabled || !project.interpolated; }

/// The image as it stands with its digest. A tag beside a digest says nothing and goes, as in Compose.
Result<std::string> pinned(upgrade::Registry& registry, const std::string& reference) {
  DM_TRY(auto image, upgrade::parse_image(reference));
  if (reference.find('$') != std::string::npos) return fail(Errc::invalid_input, fmt::format("'{}' names no image", reference));
  if (!image.digest.empty()) image.tag.clear();
  else {
    DM_TRY(image.digest, registry.digest(image, Deadline::in(std::chrono::minutes(1))));
  }
  return upgrade::to_string(image);
}

std::vector<const compose::Service*> by_name(const compose::Project& project) {
  std::vector<const compose::Service*> out;
  for (const auto& service : project.services)
    if (counts(project, service)) out.push_back(&service);
  std::ranges::sort(out, {}, [](const compose::Service* service) { return service->name; });
  return out;
}

}  // namespace

bool pin_images(compose::Project& project, const std::map<std::string, std::string>& environment) {
  std::map<std::string, Result<std::string>> found;
  for (const auto& service : project.services)
    if (counts(project, service) && !service.image.value.empty()) found.emplace(service.image.value, std::string());
  std::vector<std::pair<const std::string, Result<std::string>>*> open;
  for (auto& entry : found) open.push_back(&entry);
  // Each thread has a client of its own: a registry is asked for a few images at a time.
  std::atomic<std::size_t> next = 0;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < std::min<std::size_t>(open.size(), 6); ++i)
      threads.emplace_back([&] {
        upgrade::Registry registry({environment.begin(), environment.end()});
        for (std::size_t at = next++; at < open.size(); at = next++) open[at]->second = pinned(registry, open[at]->first);
      });
  }
  bool fine = true;
  for (auto& service : project.services) {
    const auto entry = found.find(std::string(service.image.value));
    if (entry == found.end() || !counts(project, service)) continue;
    if (entry->second) {
      compose::set_image(project, service, *entry->second);
      continue;
    }
    fine = false;
    fmt::print(stderr, "datamancy: {}: no digest for {}: {}\n", service.name, entry->first, entry->second.error().describe());
  }
  return fine;
}

std::string images_only(const compose::Project& project, bool json) {
  if (json) {
    JsonWriter out;
    // Compose prints a project of which it keeps nothing else, and where it did not interpolate what it read itself.
    out.begin_object();
    if (project.interpolated) out.key("name").value("");
    out.key("services").begin_object();
    for (const auto* service : by_name(project)) {
      out.key(service->name).begin_object();
      if (project.interpolated) out.key("command").null().key("entrypoint").null();
      if (!service->image.value.empty()) out.key("image").value(service->image.value);
      out.end();
    }
    out.end().end();
    return out.take() + "\n";
  }
  YamlWriter out;
  out.begin_object().key("services").begin_object();
  for (const auto* service : by_name(project)) {
    out.key(service->name).begin_object();
    if (!service->image.value.empty()) out.key("image").value(service->image.value);
    out.end();
  }
  out.end().end();
  return out.take();
}

}  // namespace dm::cli
