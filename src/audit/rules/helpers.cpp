#include "audit/rules/helpers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>

#include "audit/rules/env_file_known.hpp"
#include "audit/rules/runs_script.hpp"

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

std::span<const wiring::ConfigFile> config_files_of(const Input& input, ServiceId id) {
  const auto& files = input.wiring.config_files;  // in project order
  return {std::ranges::lower_bound(files, id, {}, &wiring::ConfigFile::service), std::ranges::upper_bound(files, id, {}, &wiring::ConfigFile::service)};
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
                           "insecure", "todo", "yoursecretkey", "yoursecretkeyhere", "changemeplease", "changemeinproduction", "modifyme", "adminadmin",
                           // of the documents of Infisical
                           "6c1fe4e407b8911c104518103505b218", "5lrmxkkwcvocsuerpsl7vtxaauai7idkgl3tsmle"})
    if (word == known) return true;
  // "rootpassword", "redis_password1", "jwtsecret": a word and what it is for; not the path of a file, not what a script computes
  const auto letters = word.substr(0, word.find_last_not_of("0123456789") + 1);
  if (value.find_first_of("/$(){}<>:=`%,") == std::string_view::npos && letters.size() <= 32 && (letters.ends_with("password") || letters.ends_with("secret")) && letters.find_first_of("0123456789") == std::string::npos) return true;
  for (const std::string_view part : {"changeme", "changethis", "replaceme", "yourpassword", "yoursecret", "yourtoken", "unsecure", "mustgenerate", "randomalphanumeric", "mysecret", "itsasecret",
                                       "importantsecret", "supersecret", "keyhere", "passwordhere", "secrethere", "tokenhere", "mustreplace", "mustchange", "replacethis", "verysensitive",
                                       "overrideme", "modifyme", "randomlygenerated", "encodeme"})
    if (word.find(part) != std::string::npos) return true;
  // "your-database-password", "random-password-1", "put your key here"
  for (const std::string_view start : {"your", "random", "putyour", "enteryour", "insertyour", "setyour", "addyour", "generate"})
    for (const std::string_view what : {"password", "secret", "token", "key"})
      if (word.starts_with(start) && word.find(what, start.size()) != std::string::npos) return true;
  if (word.starts_with("your") && (word.ends_with("pw") || word.ends_with("pwd") || word.ends_with("pass"))) return true;
  if (word.size() > 3 && word.find_first_not_of(word[0]) == std::string::npos && word[0] == 'x') return true;
  return false;
}

bool run_by_hand(const compose::Service& service) {
  static constexpr std::string_view kByHand[] = {"tool", "tools", "cli", "debug", "manual", "util", "utils", "script", "scripts", "job", "jobs", "task", "tasks", "ops",
                                                 "seed", "migrate", "migration", "setup", "init", "test", "tests", "oneshot", "one-shot", "console", "shell"};
  if (service.profiles.empty() || service.restart.value == "always" || service.restart.value == "unless-stopped") return false;
  return std::ranges::all_of(service.profiles, [](const auto& profile) { return std::ranges::find(kByHand, profile.value) != std::end(kByHand); });
}

std::string same_as_user(const compose::Service& service, const compose::EnvVar& variable) {
  const std::string_view name = variable.name;
  if (variable.value.value.empty() || variable.value.value.size() >= 20) return {};  // mail services take one token as name and password
  // Of a long list only what stands near it: `variable` is one of the service's own, and each of them asks.
  const std::span all(service.environment);
  const auto at = static_cast<std::size_t>(&variable - all.data());
  const auto from = at > 64 ? at - 64 : 0;
  const auto near = all.subspan(from, std::min<std::size_t>(all.size() - from, 129));
  for (const std::string_view end : {"PASSWORD", "PASSWD", "PASS"}) {
    if (!name.ends_with(end)) continue;
    const std::string prefix(name.substr(0, name.size() - end.size()));
    for (const std::string_view user : {"USER", "USERNAME", "USER_NAME", "LOGIN"})
      if (const auto other = std::ranges::find(near, prefix + std::string(user), &compose::EnvVar::name); other != near.end()) return other->value.value == variable.value.value ? std::string(other->name) : std::string();
    if (prefix == "POSTGRES_" && variable.value.value == "postgres") return "POSTGRES_USER";  // its default
    return {};
  }
  return {};
}

namespace {

/// A mounted file of settings may say anything.
bool mounts_settings(const compose::Service& service, std::string_view ending) {
  return !service.configs.empty() || std::ranges::any_of(service.mounts, [&](const auto& mount) { return mount.target.ends_with(ending) || mount.target.starts_with("/etc/"); });
}

bool says(const std::vector<compose::Text>& words, std::initializer_list<std::string_view> parts) {
  return std::ranges::any_of(words, [&](const auto& word) { return std::ranges::any_of(parts, [&](std::string_view part) { return word.value.find(part) != std::string_view::npos; }); });
}

}  // namespace

bool asks_no_password(const Input& input, ServiceId id) {
  const auto& service = input.wiring.service(id);
  const auto* product = input.wiring.product_of[id];
  if (product == nullptr || service.build != nullptr || service.entrypoint_node != nullptr || !service.volumes_from.empty() || runs_script(service)) return false;
  if (std::ranges::any_of(service.env_files, [&](const auto& file) { return env_file_unknown(input, file.value); })) return false;  // a user may be made there
  if (product->id == "redis" || product->id == "valkey") {
    if (service.env("VALKEY_EXTRA_FLAGS") != nullptr) return false;  // the image adds them to the command
    // The images switch the protected mode off, in which the server answers to its own machine only (https://github.com/redis/docker-library-redis).
    if (product::split_image(service.image.value).repository.find("redis-stack") != std::string_view::npos) return false;
    return !says(service.command, {"requirepass", ".conf", "aclfile", "--bind", "protected-mode", "--user", "--port 0"}) && !mounts_settings(service, ".conf");
  }
  if (product->id == "memcached") return !says(service.command, {"-S", "--enable-sasl", "-Y", "--auth-file"});
  if (product->id == "mongodb")
    return service.env("MONGO_INITDB_ROOT_USERNAME") == nullptr && service.env("MONGO_INITDB_ROOT_USERNAME_FILE") == nullptr && !says(service.command, {"--auth", "--keyFile", "--config", "-f", "--clusterAuthMode"}) &&
           !mounts_settings(service, ".conf");
  if (product->id == "elasticsearch") {
    // Its security is on by default from 8 on (https://www.elastic.co/guide/en/elasticsearch/reference/8.0/configuring-stack-security.html).
    const auto* security = service.env("xpack.security.enabled");
    if (security != nullptr) return security->value.value == "false";
    const auto tag = product::split_image(service.image.value).tag;
    return (tag.starts_with("5.") || tag.starts_with("6.") || tag.starts_with("7.")) && !mounts_settings(service, "elasticsearch.yml");
  }
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
