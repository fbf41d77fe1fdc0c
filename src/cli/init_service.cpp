// init --service: one product into a project that exists.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <sstream>

#include "base/files.hpp"
#include "cli/secrets.hpp"
#include "compose/load.hpp"
#include "scaffold/generate.hpp"
#include "scaffold/service.hpp"
#include "secrets/sops_config.hpp"

namespace dm::cli {
namespace {

constexpr std::string_view kComposeNames[] = {"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"};

struct Port {
  std::string service, number;
};

struct Site {
  scaffold::ServiceSite site;
  std::string domain, run;
  std::vector<Port> ports;  ///< published ones
};

/// The disk with the files of a plan on it.
class Planned final : public sources::Files {
 public:
  Planned(const std::string& folder, const std::vector<scaffold::NewFile>& files) {
    for (const auto& file : files) planned_.add(folder + "/" + file.path, file.content);
  }
  sources::Stat stat(const std::string& path) const override {
    const auto planned = planned_.stat(path);
    return planned.kind == sources::Kind::missing || (planned.kind == sources::Kind::directory && sources::disk().stat(path).kind == sources::Kind::directory) ? sources::disk().stat(path) : planned;
  }
  Result<std::string> read(const std::string& path, std::uint64_t limit) const override {
    return planned_.stat(path).kind == sources::Kind::regular ? planned_.read(path, limit) : sources::disk().read(path, limit);
  }
  std::vector<std::string> list(const std::string& path) const override {
    auto names = sources::disk().list(path);
    for (auto& name : planned_.list(path)) names.push_back(std::move(name));
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }
  std::string canonical(const std::string& path) const override { return sources::disk().canonical(path); }

 private:
  sources::MemoryFiles planned_;
};

/// Files that are written one after the other, and taken back where one of them cannot be.
class Writing {
 public:
  ~Writing() {
    if (kept_) return;
    std::error_code ignored;
    for (auto one = done_.rbegin(); one != done_.rend(); ++one) {
      if (one->second) (void)write_atomic(one->first, *one->second);
      else std::filesystem::remove(one->first, ignored);
    }
    for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) std::filesystem::remove(*folder, ignored);  // empty ones only
  }

  Result<void> write(const std::string& path, std::string_view content, int mode) {
    note_folders(sources::parent_path(path));
    DM_CHECK(make_folders(sources::parent_path(path)));
    DM_CHECK(note(path));
    return write_atomic(path, content, mode);
  }

  /// What another hand is about to write.
  Result<void> note(const std::string& path) {
    if (sources::disk().stat(path).kind == sources::Kind::missing) {
      done_.emplace_back(path, std::nullopt);
      return {};
    }
    DM_TRY(auto before, sources::disk().read(path));
    done_.emplace_back(path, std::move(before));
    return {};
  }

  void keep() { kept_ = true; }

 private:
  void note_folders(const std::string& path) {
    if (path == "/" || sources::disk().stat(path).kind != sources::Kind::missing) return;
    note_folders(sources::parent_path(path));
    folders_.push_back(path);
  }

  std::vector<std::pair<std::string, std::optional<std::string>>> done_;
  std::vector<std::string> folders_;
  bool kept_ = false;
};

std::vector<Port> published(const compose::Project& project) {
  std::vector<Port> out;
  for (const auto& service : project.services)
    for (const auto& port : service.ports)
      if (!port.published.empty()) out.push_back({std::string(service.name), fmt::format("{}/{}", port.published, port.protocol)});
  return out;
}

/// A name that Compose takes for a project, of the folder's.
std::string project_name(std::string_view folder) {
  std::string out;
  for (const char c : sources::file_name(folder)) {
    const char low = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if ((low >= 'a' && low <= 'z') || (low >= '0' && low <= '9') || (!out.empty() && (low == '-' || low == '_'))) out += low;
  }
  return out.empty() ? "services" : out;
}

Result<Site> look(const Args& args, const std::string& folder) {
  Site out;
  for (const auto name : kComposeNames)
    if (out.site.compose_file.empty() && sources::disk().stat(folder + "/" + std::string(name)).kind == sources::Kind::regular) out.site.compose_file = name;
  if (out.site.compose_file.empty()) {
    // A folder without a project gets one; one that is there under another name is not passed over.
    if (const auto kind = sources::disk().stat(folder).kind; kind != sources::Kind::directory && kind != sources::Kind::missing) return fail(Errc::conflict, fmt::format("'{}' is no folder", folder));
    for (const auto& name : sources::disk().list(folder))
      if (!name.starts_with('.') && (name.ends_with(".yml") || name.ends_with(".yaml"))) return fail(Errc::not_found, fmt::format("'{}' has no compose.yaml (only {}); say --service NAME where the project is", folder, name));
    const auto name = project_name(folder);
    out.site.compose_file = "compose.yaml";
    out.site.fresh = fmt::format("name: {}\n", name);
    out.run = fmt::format("/run/datamancy/{}", name);
    return out;
  }
  auto options = args.project;
  options.working_directory = folder;
  options.profiles = {"*"};
  options.lenient = true;
  const auto loaded = compose::load(options, sources::disk());
  if (!loaded.usable) {
    print_diagnostics(*loaded.project, loaded.diagnostics);
    return fail(Errc::invalid_input, "the project does not load; mend it first");
  }
  for (const auto& service : loaded.project->services) {
    out.site.services.emplace_back(service.name);
    for (const auto& mount : service.mounts) {
      if (mount.target != "/etc/caddy/Caddyfile" || !mount.source.starts_with(folder + "/") || !out.site.caddyfile.empty()) continue;
      out.site.caddyfile = mount.source.substr(folder.size() + 1);
      out.site.edge_network = service.networks.empty() ? "default" : service.networks.front().network;
    }
  }
  out.ports = published(*loaded.project);
  const auto& environment = loaded.project->environment;
  if (const auto domain = environment.find("DOMAIN"); domain != environment.end()) out.domain = domain->second.value;
  const auto run = environment.find("DATAMANCY_RUN");
  out.run = run != environment.end() ? run->second.value : fmt::format("/run/datamancy/{}", loaded.project->name);
  return out;
}

/// The sealed file with the new values; what is there keeps its bytes.
Result<void> seal_into(const Args& args, const std::string& path, const scaffold::Schema& schema) {
  const auto sources = key_sources(args);
  DM_TRY(auto keys, secrets::Keyring::load(sources));
  if (keys.empty()) {
    DM_CHECK(secrets::create_key_file(secrets::key_file_path(sources)));
    fmt::print("made     {}: keep a copy in another place\n", secrets::key_file_path(sources));
    DM_TRY(keys, secrets::Keyring::load(sources));
  }
  DM_CHECK(keys.unlock());
  DM_TRY(const auto values, scaffold::make_secrets(schema));
  secrets::SecretString text;
  text.reserve(std::size_t{16} << 10U);
  for (const auto& [name, value] : values) {
    text.append(name + "=");
    const auto quoted = secrets::dotenv_value(value.reveal());
    text.append(quoted.reveal());
    text.append('\n');
  }
  if (sources::disk().stat(path).kind == sources::Kind::missing) {
    DM_TRY(const auto plan, secrets::plan_sealing(path, keys));
    DM_TRY(const auto sealed, secrets::seal_text(text.reveal(), secrets::Store::dotenv, plan));
    return write_atomic(path, sealed);
  }
  DM_TRY(const auto file, secrets::open_sealed(path, keys));
  auto plain = secrets::plain_document(file.opened);
  DM_TRY(auto more, secrets::parse_plain(text.reveal(), secrets::Store::dotenv));
  for (auto& leaf : more.leaves) {
    if (std::ranges::any_of(plain.leaves, [&](const secrets::Leaf& one) { return one.path == leaf.path; })) continue;  // kept
    plain.leaves.push_back(std::move(leaf));
  }
  DM_CHECK(secrets::save_sealed(file, std::move(plain)));
  return {};
}

}  // namespace

Result<int> init_service(Args& args, const std::string& name) {
  std::string domain;
  args.option("--domain", domain);
  if (args.words.size() > 1 || (!args.words.empty() && args.words[0].starts_with("-"))) {
    fmt::print(stderr, "datamancy: init --service does not know '{}'; see 'datamancy init --help'\n", args.words.back());
    return kUsage;
  }
  if (name == "list") {
    fmt::print("{}\n", fmt::join(scaffold::service_recipes(), "\n"));
    return kClean;
  }
  const auto folder = args.words.empty() ? project_folder(args) : absolute(args, args.words[0]);
  DM_TRY(auto site, look(args, folder));
  if (!domain.empty()) site.domain = domain;
  if (site.domain.empty()) {
    fmt::print(stderr, "datamancy: the project has no DOMAIN; say it by --domain\n");
    return kUsage;
  }
  if (const auto trouble = scaffold::trouble_with({"--domain", scaffold::Setting::Type::domain, "", ""}, site.domain); !trouble.empty()) return fail(Errc::invalid_input, trouble);
  DM_TRY(const auto plan, scaffold::plan_service(name, sources::disk(), folder, site.site, site.domain, site.run));

  // Proven before anything is written: with the new files the project loads, and has all that it had.
  const Planned trial(folder, plan.files);
  auto options = args.project;
  options.working_directory = folder;
  options.profiles = {"*"};
  const auto after = compose::load(options, trial);
  if (!after.ok) {
    print_diagnostics(*after.project, after.diagnostics);
    return fail(Errc::conflict, fmt::format("with '{}' the project would not load; nothing was written", name));
  }
  for (const auto& service : site.site.services)
    if (std::ranges::none_of(after.project->services, [&](const auto& one) { return one.name == service; })) return fail(Errc::conflict, fmt::format("'{}' would be lost; nothing was written", service));

  if (std::ranges::none_of(after.project->services, [&](const auto& one) { return one.name.starts_with(name); }))
    return fail(Errc::conflict, fmt::format("'{}/{}' is not what is loaded (COMPOSE_FILE or -f name others); nothing was written", folder, plan.compose_file));
  for (const auto& port : published(*after.project)) {
    if (std::ranges::find(site.site.services, port.service) != site.site.services.end()) continue;  // it was there before
    for (const auto& taken : site.ports)
      if (port.number == taken.number && port.service != taken.service)
        return fail(Errc::conflict, fmt::format("port {} of '{}' is published by '{}' already; free it first; nothing was written", port.number, port.service, taken.service));
  }

  Writing writing;
  const auto sealed = folder + "/secrets.enc.env";
  if (!plan.secrets.secrets.empty()) {
    DM_CHECK(make_folders(folder));
    DM_CHECK(writing.note(sealed));
    DM_CHECK(seal_into(args, sealed, plan.secrets));
  }
  for (const auto& file : plan.files) { DM_CHECK(writing.write(folder + "/" + file.path, file.content, file.mode)); }
  writing.keep();
  for (const auto& file : plan.files) fmt::print("wrote    {}\n", file.path);
  if (!plan.secrets.secrets.empty()) fmt::print("sealed   {} secrets in secrets.enc.env\n", plan.secrets.secrets.size());
  fmt::print("\nNext:\n");
  int step = 0;
  if (!plan.secrets.secrets.empty()) fmt::print("  {}. sudo --preserve-env=HOME datamancy render {}    # secrets, in memory: {}; after each boot again\n", ++step, folder, site.run);
  fmt::print("  {}. cd {} && docker compose build && docker compose up -d\n", ++step, folder);
  if (plan.routed) {
    std::string hosts;  // a site starts at the margin
    std::istringstream lines(plan.route);
    for (std::string line; std::getline(lines, line);)
      if (line.ends_with(" {") && line[0] >= 'a' && line[0] <= 'z') hosts += (hosts.empty() ? "" : " and ") + line.substr(0, line.size() - 2);
    fmt::print("  {}. reload the edge (docker compose restart of its service); {} must point to this host\n", ++step, hosts);
  }
  for (const auto& note : plan.notes) fmt::print("  {}. {}\n", ++step, note);
  const bool edge = std::ranges::any_of(plan.files, [](const auto& file) { return file.path.ends_with("/Caddyfile"); }) && !plan.routed;
  if (edge) fmt::print("  {}. products that come after it put their sites there by themselves\n", ++step);
  else if (plan.route.empty()) fmt::print("  {}. it has no site of its own: clients join the network '{}'\n", ++step, name);
  else if (plan.guarded) fmt::print("  {}. it has no sign-in of its own: this route is for an edge that asks for one (forward_auth, basic_auth) and shares a network with it:\n\n{}", ++step, plan.route);
  else if (!plan.routed) fmt::print("  {}. no Caddyfile was found; the route, for an edge that shares a network with it:\n\n{}", ++step, plan.route);
  return kClean;
}

}  // namespace dm::cli
