#include "scaffold/service.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "scaffold/embedded.hpp"
#include "scaffold/fragment.hpp"
#include "scaffold/recipe.hpp"

namespace dm::scaffold {
namespace {

constexpr std::string_view kFolder = "services/";
constexpr std::string_view kBackup = "service-backup";
constexpr std::string_view kSignIn = "`datamancy init --service authelia`";  ///< in the configuration that the recipe brings
constexpr std::pair<std::string_view, std::string_view> kBackupFiles[] = {
  {"services/service-backup.Dockerfile", "Dockerfile"}, {"backup/database-backup", "database-backup"}, {"backup/database-backup-health", "database-backup-health"}};

void add_setting(std::string& env, std::string_view name, std::string_view value) {
  const auto line = fmt::format("{}=", name);
  if (env.starts_with(line) || env.find("\n" + line) != std::string::npos) return;
  if (!env.empty() && !env.ends_with('\n')) env += '\n';
  env += line + std::string(value) + '\n';
}

/// Files of a recipe, as (path below the service's folder, content). A folder's own file counts before what its recipe makes.
Result<std::vector<std::pair<std::string, std::string>>> recipe_files(std::string_view name) {
  std::vector<std::pair<std::string, std::string>> out, made;
  const auto folder = fmt::format("{}{}/", kFolder, name), file_name = fmt::format("{}{}.recipe", kFolder, name);
  for (const auto& file : embedded_files()) {
    if (file.name == file_name || file.name == folder + "recipe") { DM_TRY(made, expand_recipe(name, file.content)); }
    else if (file.name.starts_with(folder)) out.emplace_back(file.name.substr(folder.size()), file.content);
  }
  for (auto& one : made)
    if (std::ranges::none_of(out, [&](const auto& own) { return own.first == one.first; })) out.push_back(std::move(one));
  return out;
}

/// Keys below a top-level section of a compose file in the recipes' style.
std::vector<std::string> keys_of(std::string_view compose, std::string_view section) {
  std::vector<std::string> out;
  for (const auto& line : block(compose, fmt::format("{}:", section)))
    if (indent_of(line) == 2 && line[2] != '#') out.push_back(line.substr(2, line.find(':') - 2));
  return out;
}

}  // namespace

std::vector<std::string_view> service_recipes() {
  std::vector<std::string_view> out;
  for (const auto& file : embedded_files()) {
    if (!file.name.starts_with(kFolder)) continue;
    const auto name = file.name.substr(kFolder.size());
    for (const std::string_view end : {"/compose.yaml", "/recipe", ".recipe"})
      if (name.ends_with(end)) out.push_back(name.substr(0, name.size() - end.size()));
  }
  std::ranges::sort(out);
  return out;
}

Result<std::string> with_include(std::string_view compose, std::string_view path) {
  std::string out(compose);
  if (!out.empty() && !out.ends_with('\n')) out += '\n';
  std::size_t at = out.starts_with("include:") ? 0 : out.find("\ninclude:");
  if (at == std::string::npos) {
    // Before the first key that is neither a comment nor the name.
    std::size_t line = 0;
    while (line < out.size() && (out[line] == '#' || out[line] == '\n' || out.compare(line, 5, "name:") == 0 || out.compare(line, 3, "---") == 0)) line = out.find('\n', line) + 1;
    return out.insert(line, fmt::format("include:\n  - {}\n\n", path));
  }
  if (at != 0) ++at;
  auto line = out.find('\n', at) + 1;
  const auto head = std::string_view(out).substr(at + 8, line - at - 9);
  if (head.find_first_not_of(" \t\r") != std::string_view::npos && head.find('#') == std::string_view::npos)
    return fail(Errc::invalid_input, fmt::format("'include:' is not a list with a line for each entry; add '- {}' to it yourself", path));
  std::string indent = "  ";
  std::size_t last = line;
  while (line < out.size()) {
    const auto end = out.find('\n', line);
    const auto text = std::string_view(out).substr(line, end - line);
    const auto start = text.find_first_not_of(' ');
    if (start != std::string_view::npos && text[start] == '-') {
      indent = std::string(start, ' ');
      last = end + 1;
    } else if (start != std::string_view::npos && start > indent.size()) {
      last = end + 1;  // the rest of an entry
    } else if (start == 0 && text[0] != '#') {
      break;
    }
    line = end + 1;
  }
  return out.insert(last, fmt::format("{}- {}\n", indent, path));
}

Result<ServicePlan> plan_service(std::string_view name, const sources::Files& files, const std::string& folder, const ServiceSite& site, std::string_view domain, std::string_view run_folder) {
  const auto recipes = service_recipes();
  if (std::ranges::find(recipes, name) == recipes.end()) return fail(Errc::not_found, fmt::format("there is no recipe for '{}'; there are {}", name, fmt::join(recipes, ", ")));
  if (const auto stat = files.stat(folder + "/" + std::string(name)); stat.kind != sources::Kind::missing || stat.symlink) return fail(Errc::conflict, fmt::format("'{}/{}' is there already; nothing was changed", folder, name));
  ServicePlan out;
  out.compose_file = site.compose_file;
  bool with_backup = false;
  const auto edge = site.edge_network.empty() ? fmt::format("{}-out", name) : site.edge_network;
  DM_TRY(auto recipe, recipe_files(name));
  std::string declared;
  Lines settings;
  for (auto& [path, content] : recipe) {
    if (path == "secrets.yaml") {
      declared = content.substr(content.find('\n') + 1);
      if (!declared.empty()) { DM_TRY(out.secrets, parse_schema(content)); }
    } else if (path == "route.caddy" || path == "guarded.caddy") {
      out.route = std::move(content);
      out.guarded = path == "guarded.caddy";
    } else if (path == "next.txt") {
      out.notes = lines_of(replaced(std::move(content), "DOMAIN", domain));
    } else if (path == "settings.env") {
      settings = lines_of(replaced(replaced(std::move(content), "%DOMAIN%", domain), "%DC%", "dc=" + replaced(std::string(domain), ".", ",dc=")));
    } else {
      const int mode = content.starts_with("#!") ? 0755 : 0644;
      auto text = replaced(std::move(content), "%EDGE%", edge);
      // What has no sign-in of its own stays inside where there is no edge.
      text = site.edge_network.empty() ? replaced(std::move(text), "%GUARDED%, ", "") : replaced(std::move(text), "%GUARDED%", edge);
      // A service may be on a network once.
      text = replaced(std::move(text), fmt::format("[{}, {}, {}", edge, name, edge), fmt::format("[{}, {}", edge, name));
      if (path == "compose.yaml") {
        with_backup = text.find(kBackup) != std::string::npos;
        for (const auto& service : keys_of(text, "services"))
          if (std::ranges::find(site.services, service) != site.services.end()) return fail(Errc::conflict, fmt::format("the project has a service '{}' already", service));
      }
      out.files.push_back({fmt::format("{}/{}", name, path), std::move(text), mode});
    }
  }
  // The image of the backups is built once for all; a file of it that is there already stays, whoever changed it.
  if (with_backup)
    for (const auto& [from, to] : kBackupFiles)
      if (files.stat(fmt::format("{}/{}/{}", folder, kBackup, to)).kind == sources::Kind::missing)
        out.files.push_back({fmt::format("{}/{}", kBackup, to), std::string(embedded(from)), to == "Dockerfile" ? 0644 : 0755});
  auto compose = site.fresh;
  if (compose.empty()) { DM_TRY(compose, files.read(folder + "/" + site.compose_file)); }
  DM_TRY(auto extended, with_include(compose, fmt::format("{}/compose.yaml", name)));
  out.files.push_back({site.compose_file, std::move(extended), -1});

  auto env = files.read(folder + "/.env").value_or("");
  const auto before = env;
  if (!domain.empty()) add_setting(env, "DOMAIN", domain);
  add_setting(env, "DATAMANCY_RUN", run_folder);
  for (const auto& setting : settings) add_setting(env, setting.substr(0, setting.find('=')), setting.substr(setting.find('=') + 1));
  if (env != before) out.files.push_back({".env", std::move(env), -1});

  auto variables = files.read(folder + "/variables.yaml").value_or("");
  if (variables.empty()) variables = "# What each secret is, who makes it, who uses it, whether it may be rotated blindly.\nsecrets:\n";
  if (!variables.ends_with('\n')) variables += '\n';
  if (variables.find("\nsecrets:") == std::string::npos && !variables.starts_with("secrets:")) variables += "secrets:\n";
  variables += declared;
  DM_CHECK(during("extending variables.yaml", parse_schema(variables)));
  if (!declared.empty()) out.files.push_back({"variables.yaml", std::move(variables), -1});

  // What has no sign-in of its own gets it from the Authelia of its recipe, where the project has that.
  if (out.guarded && files.read(folder + "/authelia/configuration.yml").value_or("").find(kSignIn) != std::string::npos && std::ranges::find(site.services, "authelia") != site.services.end()) {
    out.route = replaced(std::move(out.route), "{$DOMAIN} {\n", "{$DOMAIN} {\n\tforward_auth authelia:9091 {\n\t\turi /api/authz/forward-auth\n\t\tcopy_headers Remote-User Remote-Groups Remote-Email Remote-Name\n\t\t# It is of the service behind: Authelia would take it for a sign-in at itself.\n\t\theader_up -Authorization\n\t}\n");
    out.guarded = false;
  }

  // The edge may not know DOMAIN: the name is written out where it is known.
  if (!domain.empty()) out.route = replaced(std::move(out.route), "{$DOMAIN}", domain);
  if (!site.caddyfile.empty() && !out.route.empty() && !out.guarded) {
    DM_TRY(auto caddyfile, files.read(folder + "/" + site.caddyfile));
    if (!caddyfile.ends_with('\n')) caddyfile += '\n';
    out.files.push_back({site.caddyfile, caddyfile + "\n" + out.route, -1});
    out.routed = true;
  }
  return out;
}

}  // namespace dm::scaffold
