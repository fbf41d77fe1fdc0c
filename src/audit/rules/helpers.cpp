#include "audit/rules/helpers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dm::audit::rules {

Location place(const compose::Service& service, std::string_view key) {
  const auto* entry = service.node->find_entry(key);
  return entry != nullptr && entry->key_where ? entry->key_where : service.where;
}

bool is_literal(const compose::Value& value) {
  return value.segments == nullptr ||
         std::ranges::all_of(*value.segments, [](const compose::Segment& segment) { return segment.kind == compose::Segment::Kind::literal; });
}

std::string health_command(const compose::Service& service) {
  std::string out;
  if (!service.healthcheck) return out;
  const auto& test = service.healthcheck->test;
  for (std::size_t i = 1; i < test.size(); ++i) {
    if (i > 1) out += ' ';
    out += test[i].value;
  }
  return out;
}

std::string join_names(const Input& input, const std::vector<ServiceId>& services, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < std::min(most, services.size()); ++i)
    out += fmt::format("{}{}", i == 0 ? "" : ", ", input.project.services[services[i]].name);
  if (services.size() > most) out += fmt::format(" and {} more", services.size() - most);
  return out;
}

std::string capability_name(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (out.starts_with("CAP_")) out.erase(0, 4);
  return out;
}

bool watches_host(const compose::Service& service) {
  static constexpr std::string_view kAgents[] = {"node-exporter", "node_exporter", "cadvisor",   "netdata", "telegraf",
                                                 "datadog-agent", "agent-docker",  "glances",    "alloy",   "promtail",
                                                 "beszel-agent",  "metricbeat",    "filebeat",   "vector",  "grafana-agent",
                                                 "fluent-bit",    "otel-collector", "opentelemetry-collector-contrib"};
  const auto repository = product::split_image(service.image.value).repository;
  const auto name = repository.substr(repository.rfind('/') + 1);
  return repository == "datadog/agent" || repository == "grafana/agent" || std::ranges::find(kAgents, name) != std::end(kAgents);
}

}  // namespace dm::audit::rules
