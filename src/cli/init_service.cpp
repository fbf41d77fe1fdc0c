// init --service: one product into a project that exists.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/files.hpp"
#include "cli/secrets.hpp"
#include "compose/load.hpp"
#include "scaffold/generate.hpp"
#include "scaffold/service.hpp"
#include "secrets/sops_config.hpp"

namespace dm::cli {
namespace {

constexpr std::string_view kComposeNames[] = {"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"};

struct Site {
  scaffold::ServiceSite site;
  std::string domain, run;
};

Result<Site> look(const Args& args, const std::string& folder) {
  Site out;
  for (const auto name : kComposeNames)
    if (out.site.compose_file.empty() && sources::disk().stat(folder + "/" + std::string(name)).kind == sources::Kind::regular) out.site.compose_file = name;
  if (out.site.compose_file.empty()) return fail(Errc::not_found, fmt::format("no compose file lies in '{}'", folder));
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
  sources::MemoryFiles trial;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, std::filesystem::directory_options::skip_permission_denied)) {
    if (!entry.is_regular_file() || entry.path().string().find("/.git/") != std::string::npos || entry.file_size() > (1U << 20U)) continue;
    if (auto text = sources::disk().read(entry.path().string())) trial.add(entry.path().string(), *std::move(text));
  }
  for (const auto& file : plan.files) trial.add(folder + "/" + file.path, file.content);
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

  if (!plan.secrets.secrets.empty()) { DM_CHECK(seal_into(args, folder + "/secrets.enc.env", plan.secrets)); }
  for (const auto& file : plan.files) {
    const auto path = folder + "/" + file.path;
    DM_CHECK(make_folders(sources::parent_path(path)));
    DM_CHECK(write_atomic(path, file.content, file.mode));
    fmt::print("wrote    {}\n", file.path);
  }
  if (!plan.secrets.secrets.empty()) fmt::print("sealed   {} secrets in secrets.enc.env\n", plan.secrets.secrets.size());
  fmt::print("\nNext:\n  1. datamancy render {}    # secrets into {}\n  2. docker compose build && docker compose up -d\n", folder, site.run);
  if (plan.routed) fmt::print("  3. reload the edge; {}.{} must point to this host\n", name, site.domain);
  else if (plan.route.empty()) fmt::print("  3. it has no site of its own: clients join the network '{}'\n", name);
  else fmt::print("  3. no Caddyfile was found; the route, for an edge that shares a network with '{}':\n\n{}", name, plan.route);
  return kClean;
}

}  // namespace dm::cli
