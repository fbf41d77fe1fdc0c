#include "audit/rules/helpers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

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

bool every_interface(const compose::Port& port) { return port.host_ip.empty() || port.host_ip == "0.0.0.0" || port.host_ip == "::"; }

std::vector<MissingEnvFile> missing_env_files(const Input& input) {
  std::vector<MissingEnvFile> out;
  each_service(input, [&](ServiceId id, const compose::Service& service) {
    for (const auto& file : service.env_files) {
      const auto refused = [&](const compose::Diagnostic& diagnostic) { return diagnostic.severity == compose::Trouble::error && diagnostic.where == file.where(); };
      if (!file.where() || std::ranges::none_of(input.diagnostics, refused)) continue;
      const std::string path(file.value);
      if (input.files.stat(path).kind != sources::Kind::missing) continue;
      auto found = std::ranges::find(out, path, &MissingEnvFile::path);
      if (found == out.end()) found = out.insert(out.end(), {path, {}, {}});
      if (std::ranges::find(found->where, file.where()) == found->where.end()) found->where.push_back(file.where());
      found->services.push_back(id);
    }
  });
  return out;
}

void OpenPorts::add(const compose::Port& port, std::string_view random) {
  where.push_back(port.where);
  const auto number = port.published.empty() ? random : std::string_view(port.published);
  if (port.published.empty() && list.find(random) != std::string::npos) return;
  list += fmt::format("{}{}", list.empty() ? "" : ", ", number);
}

OpenPorts published_to_all(const Input& input, const compose::Service& service, std::string_view random) {
  constexpr std::size_t kMost = 20000;  // each port looks at all of them
  const auto unset = [&](const compose::Port& port) -> std::string {
    if (input.project.variables.size() > kMost) return std::string(random);
    for (const auto& use : input.project.variables)
      if (!use.defined && use.form == compose::VariableUse::Form::plain && use.where.file == port.where.file && use.where.span.begin >= port.where.span.begin &&
          use.where.span.end <= port.where.span.end)
        return fmt::format("${{{}}} (not set)", use.name);
    return std::string(random);
  };
  OpenPorts out;
  for (const auto& port : service.ports)
    if (every_interface(port)) out.add(port, port.published.empty() ? unset(port) : std::string());
  return out;
}

const compose::Mount* mount_of(const compose::Service& service, std::string_view path) {
  const compose::Mount* out = nullptr;
  for (const auto& mount : service.mounts)
    if (path.starts_with(mount.target) && (path.size() == mount.target.size() || path[mount.target.size()] == '/') && (out == nullptr || mount.target.size() > out->target.size())) out = &mount;
  return out;
}

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::string quoted_names(const Input& input, const std::vector<ServiceId>& services) {
  constexpr std::size_t kMost = 3;
  std::string out;
  const auto shown = services.size() > kMost ? kMost - 1 : services.size();
  for (std::size_t i = 0; i < shown; ++i)
    out += fmt::format("{}'{}'", i == 0 ? "" : i + 1 == services.size() ? " and " : ", ", input.project.services[services[i]].name);
  if (shown < services.size()) out += fmt::format(" and {} more", services.size() - shown);
  return out;
}

std::string counted(std::size_t number, std::string_view noun) { return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s"); }

std::string of_all(const Input& input, std::size_t number, std::string_view one, std::string_view many) {
  return fmt::format("{} of {} {}", number, counted(input.project.services.size(), "service"), number == 1 ? one : many);
}

std::string example_of(const Input& input, const std::string& path) {
  const auto folder = sources::parent_path(path);
  const auto name = sources::file_name(path);
  for (const auto& other : input.files.list(folder)) {
    if (other == name) continue;
    std::string rest = other;
    bool example = false;
    for (const std::string_view word : {"example", "sample", "template", "dist", "default", "tmpl"})
      for (const std::string& form : {"." + std::string(word), "-" + std::string(word), "_" + std::string(word), std::string(word) + ".", std::string(word) + "_"})
        if (const auto at = rest.find(form); !example && at != std::string::npos) {
          rest.erase(at, form.size());
          example = true;
        }
    // example.env and env.example are examples of .env
    if (example && (rest == name || "." + rest == name)) return std::string(sources::relative_to(sources::clean_path(other, folder), input.project.folder));
  }
  return {};
}

std::string texts_beside(const Input& input) {
  constexpr std::size_t kMostFiles = 60;
  std::string out;
  std::size_t count = 0;
  for (const auto& name : input.files.list(input.project.folder)) {
    const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
    if (!(ends(".yml") || ends(".yaml") || ends(".sh") || name == "Makefile" || name == "justfile" || name == "Taskfile.yml")) continue;
    const auto path = sources::clean_path(name, input.project.folder);
    if (std::ranges::find(input.project.compose_files, path) != input.project.compose_files.end()) continue;
    if (++count > kMostFiles) break;
    if (const auto text = input.files.read(path, 1U << 20U); text) out += *text + "\n";
  }
  return out;
}

bool placeholder(std::string_view value) {
  std::string word;
  for (const char c : value)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (value.size() > 2 && value.front() == '<' && value.back() == '>') return true;
  for (const auto known : {"changeme", "changethis", "pleasechange", "pleasechangeme", "password", "passw0rd", "secret", "admin", "example",
                           "replaceme", "yourpassword", "yourpasswordhere", "mysecretpassword", "supersecret", "changeit", "123456", "12345678",
                           "insecure", "todo", "yoursecretkey", "yoursecretkeyhere", "changemeplease", "changemeinproduction"})
    if (word == known) return true;
  for (const std::string_view part : {"changeme", "changethis", "replaceme", "yourpassword", "yoursecret", "yourtoken", "unsecure", "mustgenerate", "randomalphanumeric", "mysecret", "itsasecret",
                                       "importantsecret", "supersecret", "secretkeyhere"})
    if (word.find(part) != std::string::npos) return true;
  // "your-database-password", "random-password-1", "put your key here"
  for (const std::string_view start : {"your", "random", "putyour", "enteryour", "insertyour", "setyour", "addyour", "generate"})
    for (const std::string_view what : {"password", "secret", "token", "key"})
      if (word.starts_with(start) && word.find(what, start.size()) != std::string::npos) return true;
  if (word.size() > 3 && word.find_first_not_of(word[0]) == std::string::npos && word[0] == 'x') return true;
  return false;
}

std::string capability_name(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (out.starts_with("CAP_")) out.erase(0, 4);
  return out;
}

bool alternatives(const compose::Service& a, const compose::Service& b) {
  return !a.profiles.empty() && !b.profiles.empty() && std::ranges::none_of(a.profiles, [&](const compose::Text& mine) {
    return std::ranges::any_of(b.profiles, [&](const compose::Text& theirs) { return mine.value == theirs.value; });
  });
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

void shares_with_host(const Input& input, Report& report, std::string_view key, void (*soften)(const compose::Service&, Finding&)) {
  each_service(input, [&](ServiceId id, const compose::Service& service) {
    const auto* node = service.node->find(key);
    if (node == nullptr || node->string() != "host") return;
    auto& finding = report.add(node->where, id, fmt::format("service '{}' sets {}: host", service.name, key));
    if (soften != nullptr) soften(service, finding);
  });
}

}  // namespace dm::audit::rules
