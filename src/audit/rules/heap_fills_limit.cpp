#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// "640m" and "2G" in bytes; without a letter Java counts bytes. Nothing for what is no number.
std::optional<std::uint64_t> size_of(std::string_view text) {
  std::uint64_t number = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && number < (1ULL << 40U); ++at) number = number * 10 + static_cast<std::uint64_t>(text[at] - '0');
  if (at == 0) return std::nullopt;
  const char unit = at < text.size() ? text[at] : ' ';
  if (unit == 'g' || unit == 'G') return number << 30U;
  if (unit == 'm' || unit == 'M') return number << 20U;
  if (unit == 'k' || unit == 'K') return number << 10U;
  return unit == ' ' || unit == '"' || unit == '\'' ? std::optional(number) : std::nullopt;
}

/// The last one counts.
std::optional<std::uint64_t> option(std::string_view text, std::string_view name) {
  const auto at = text.rfind(name);
  if (at == std::string_view::npos || (at > 0 && text[at - 1] != ' ' && text[at - 1] != '"' && text[at - 1] != '\'')) return std::nullopt;
  return size_of(text.substr(at + name.size()));
}

struct Heap {
  std::uint64_t heap = 0, beside = 0;
  std::string option;
  Location where;
};

Heap heap_of(const compose::Service& service) {
  Heap out;
  const auto look = [&](std::string_view text, Location where, std::string name) {
    if (const auto heap = option(text, "-Xmx"); heap) out = {*heap, option(text, "-XX:MaxMetaspaceSize=").value_or(0), fmt::format("-Xmx in {}", name), where};
    if (const auto heap = option(text, "--max-old-space-size="); heap) out = {*heap << 20U, 0, fmt::format("--max-old-space-size in {}", name), where};
  };
  for (const auto& variable : service.environment)
    if (variable.name.ends_with("OPTS") || variable.name.ends_with("OPTIONS") || variable.name.find("JAVA") != std::string_view::npos) look(variable.value.value, variable.value.where() ? variable.value.where() : variable.where, std::string(variable.name));
  for (const auto* words : {&service.entrypoint, &service.command})
    for (const auto& word : *words)
      if (word.value.find("-Xmx") != std::string_view::npos || word.value.find("--max-old") != std::string_view::npos)
        look(word.value, word.where() ? word.where() : place(service, words == &service.command ? "command" : "entrypoint"), words == &service.command ? "the command" : "the entrypoint");
  return out;
}

}  // namespace

extern constinit const Rule heap_fills_limit{
    .id = "DM0812",
    .name = "heap-fills-limit",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a heap as large as the container's memory",
    .rationale = "A process needs more than its heap: code, threads, buffers, and with Elasticsearch and Kafka as much again for files. When the heap grows to what it was allowed, the "
                 "kernel kills the container (exit 137), in the middle of the work and without an `OutOfMemoryError` in the log.",
    .fix = "About two thirds of the limit for the heap of a Java or Node.js program, half for Elasticsearch, OpenSearch and Kafka; or a higher limit. Java counts by itself with "
           "`-XX:MaxRAMPercentage=70` in place of `-Xmx`.",
    .checks = "54",
    .bad = R"(services:
  api:
    image: example/api:1
    mem_limit: 768m
    environment:
      JAVA_OPTS: -Xms256m -Xmx640m -XX:MaxMetaspaceSize=128m  # <- DM0812
  search:
    image: elasticsearch:8.17.0
    environment:
      ES_JAVA_OPTS: "-Xms1g -Xmx1g"  # <- DM0812
    volumes: ["search:/usr/share/elasticsearch/data"]
    deploy: {resources: {limits: {memory: 1g}}}
  web:
    image: example/web:1
    mem_limit: 512m
    command: node --max-old-space-size=512 server.js  # <- DM0812
volumes: {search: }
)",
    .good = R"(services:
  api:
    image: example/api:1
    mem_limit: 768m
    environment:
      JAVA_OPTS: -Xms256m -Xmx480m -XX:MaxMetaspaceSize=128m
)",
    .look_alike = R"(services:
  api:
    image: example/api:1
    mem_limit: 2g
    environment:
      JAVA_OPTS: -Xmx1500m -Dname=x-Xmx4g
      NODE_OPTIONS: --max-old-space-size=1024
  open:
    image: example/api:1
    environment: {JAVA_OPTS: -Xmx4g}
  share:
    image: example/api:1
    mem_limit: 512m
    environment: {JAVA_OPTS: "-XX:MaxRAMPercentage=75"}
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!service.limits.memory) return;
            const auto heap = heap_of(service);
            const auto limit = *service.limits.memory;
            if (heap.heap == 0 || (heap.heap < limit / 10 * 9 && heap.heap + heap.beside < limit)) return;
            report.add(heap.where, id, fmt::format("'{}' may fill {} MB with its heap{} and has {} MB: it is killed before it says that memory is short", service.name, heap.heap >> 20U,
                                                   heap.beside == 0 ? std::string() : fmt::format(" and {} MB beside it", heap.beside >> 20U), limit >> 20U),
                       heap.option);
          });
        },
};

}  // namespace dm::audit::rules
