#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// A folder or volume that both have, and that the first may write to.
std::string_view shared_by(const compose::Service& writer, const compose::Service& reader) {
  for (const auto& one : writer.mounts) {
    if (one.read_only || one.source.empty() || (one.type != compose::Mount::Type::volume && one.type != compose::Mount::Type::bind)) continue;
    for (const auto& other : reader.mounts)
      if (other.type == one.type && other.source == one.source) return one.source;
  }
  return {};
}

}  // namespace

extern constinit const Rule one_shot_not_awaited{
    .id = "DM0137",
    .name = "one-shot-not-awaited",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "a service starts while what prepares its data is still at work",
    .rationale = "`depends_on` in its short form waits until the other container has been started. One that makes folders, changes their owner or fills a volume has then only begun: on "
                 "the first start, or with much data, the service finds a folder that it may not write to, or half of its files.",
    .fix = "Wait until it has ended: `depends_on: {NAME: {condition: service_completed_successfully}}`.",
    .checks = "111",
    .bad = R"(services:
  flows:
    image: example/flows:1
    volumes: ["./data:/data"]
    depends_on:
      - data-init  # <- DM0137
  data-init:
    image: alpine:3.21
    restart: "no"
    command: sh -c "chown -R 1000:1000 /data"
    volumes: ["./data:/data"]
)",
    .good = R"(services:
  flows:
    image: example/flows:1
    volumes: ["./data:/data"]
    depends_on:
      data-init: {condition: service_completed_successfully}
  data-init:
    image: alpine:3.21
    restart: "no"
    command: sh -c "chown -R 1000:1000 /data"
    volumes: ["./data:/data"]
)",
    .look_alike = R"(services:
  flows:
    image: example/flows:1
    volumes: ["./data:/data", "./certs:/certs:ro"]
    depends_on: [check, helper]
  check:
    image: alpine:3.21
    restart: "no"
    command: sh -c "test -f /certs/key.pem"
    volumes: ["./certs:/certs:ro"]
  helper:
    image: example/helper:1
    volumes: ["./data:/data"]
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (input.wiring.one_shot[id]) return;
            for (const auto& dependency : service.depends_on) {
              const auto target = input.wiring.id_of(dependency.service);
              if (target == wiring::kNone || dependency.implied || dependency.condition != "service_started" || !input.wiring.one_shot[target]) continue;
              const auto source = shared_by(input.wiring.service(target), service);
              if (source.empty()) continue;
              report.add(dependency.where, id, fmt::format("'{}' waits for '{}' to have begun, not to be done, and both use {}", service.name, dependency.service, sources::relative_to(source, input.project.folder)));
            }
          });
        },
};

}  // namespace dm::audit::rules
