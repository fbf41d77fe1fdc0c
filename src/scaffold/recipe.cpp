#include "scaffold/recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "scaffold/embedded.hpp"
#include "scaffold/fragment.hpp"
#include "scaffold/init.hpp"

namespace dm::scaffold {
namespace {

Lines service_block(std::string_view fragment, std::string_view service) { return block(fragment, fmt::format("  {}:", service)); }

/// "" where there is no such file.
std::string_view content_of(std::string_view name) {
  for (const auto& file : embedded_files())
    if (file.name == name) return file.content;
  return {};
}

struct Taken {
  std::string fragment, service, name;  ///< file, service in it, and what it is called here
};

struct Network {
  std::string stack, name, definition;
};

struct Recipe {
  std::string about, database, initdb, key, port, host;
  std::vector<Taken> services;          ///< the product itself first
  bool out = false, guarded = false;
  Lines drops, drops_with, backup_environment, backup_secrets, backup_volumes, settings, secrets, notes;
  std::vector<std::pair<std::string, std::string>> changes;
  std::vector<Network> networks;
  std::set<std::string> unsaved;
};

/// The words of a line; the last takes the rest.
Lines words(std::string_view line, std::size_t most) {
  Lines out;
  while (!line.empty() && out.size() + 1 < most) {
    const auto end = std::min(line.find(' '), line.size());
    out.emplace_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  if (!line.empty()) out.emplace_back(line);
  return out;
}

Result<Recipe> parse(std::string_view name, std::string_view text) {
  Recipe out;
  out.key = replaced(std::string(name), "-", "_");
  std::size_t number = 0;
  for (const auto& line : lines_of(text)) {
    ++number;
    if (line.empty()) continue;
    if (line[0] == '#') {
      if (out.about.empty()) out.about = line;
      continue;
    }
    const auto space = std::min(line.find(' '), line.size());
    const auto word = line.substr(0, space), rest = line.substr(std::min(space + 1, line.size()));
    const auto parts = words(rest, 4);
    if ((word == "from" || word == "and") && (parts.size() == 2 || (parts.size() == 4 && parts[2] == "as"))) {
      if ((word == "from") != out.services.empty()) return fail(Errc::invalid_input, fmt::format("services/{}.recipe:{}: 'from' comes first and once, then 'and'", name, number));
      out.services.push_back({parts[0], parts[1], parts.back()});
    } else if (word == "database" && !parts.empty() && parts.size() <= 2) {
      out.database = parts[0];
      if (parts.size() == 2) out.key = parts[1];
    } else if (word == "change" && rest.find(" =>") != std::string::npos) {
      const auto arrow = rest.find(" =>");
      out.changes.emplace_back(rest.substr(0, arrow), rest.substr(std::min(arrow + 4, rest.size())));
    } else if (word == "route" && !parts.empty() && parts.size() <= 2) {
      out.port = parts[0];
      out.host = parts.size() == 2 ? parts[1] : std::string(name);
    } else if (word == "network") {
      const auto three = words(rest, 3);
      if (three.size() != 3) return fail(Errc::invalid_input, fmt::format("services/{}.recipe:{}: 'network OLD NEW DEFINITION'", name, number));
      out.networks.push_back({three[0], three[1], three[2]});
    }
    else if (word == "guarded" && parts.size() == 1) {
      out.port = parts[0];
      out.host = name;
      out.guarded = true;
    }
    else if (word == "initdb" && out.database == "postgres") out.initdb = " " + rest;
    else if (word == "out") out.out = true;
    else if (word == "drop") out.drops.push_back(rest);
    else if (word == "drop-with") out.drops_with.push_back(rest);
    else if (word == "unsaved") out.unsaved.insert(rest);
    else if (word == "backup-environment") out.backup_environment.push_back(rest);
    else if (word == "backup-secret") out.backup_secrets.push_back(rest);
    else if (word == "backup-volume") out.backup_volumes.push_back(rest);
    else if (word == "setting" && rest.find('=') != std::string::npos) out.settings.push_back(rest);
    else if (word == "secret" && rest.find(": {") != std::string::npos) out.secrets.push_back("  " + rest);
    else if (word == "say") out.notes.push_back(rest);
    else return fail(Errc::invalid_input, fmt::format("services/{}.recipe:{}: '{}' is no word of a recipe", name, number, line));
  }
  if (out.services.empty() || (out.database != "postgres" && out.database != "mariadb" && out.database != "none"))
    return fail(Errc::invalid_input, fmt::format("services/{}.recipe: 'from FILE SERVICE' or 'database postgres|mariadb|none' is missing", name));
  return out;
}

/// A block of the recipe that was written by hand for the same kind of database, under the new names.
Lines borrowed(const Recipe& recipe, std::string_view name, std::string_view part) {
  const std::string_view model = recipe.database == "mariadb" ? "bookstack" : "planka";
  Lines out;
  for (auto line : service_block(embedded(fmt::format("services/{}/compose.yaml", model)), fmt::format("{}-{}", model, part))) {
    line = replaced(line, fmt::format("{}_", model), recipe.key + "_");
    line = replaced(line, "--auth-host=scram-sha-256", "--auth-host=scram-sha-256" + recipe.initdb);
    for (const auto* before : {"_USER: ", "_DB: ", "_DATABASE: ", "-U ", "-d "}) line = replaced(line, fmt::format("{}{}", before, model), before + recipe.key);
    out.push_back(replaced(line, model, name));
  }
  return out;
}

class Expansion {
 public:
  Expansion(std::string_view name, Recipe recipe) : name_(name), recipe_(std::move(recipe)) {}

  Result<std::vector<std::pair<std::string, std::string>>> run() {
    DM_CHECK(read_services());
    DM_CHECK(read_templates());
    for (std::size_t i = 0; i < recipe_.changes.size(); ++i)
      if (!used_changes_.contains(i)) return fail(Errc::invalid_input, fmt::format("services/{}.recipe: nothing to change: '{}'", name_, recipe_.changes[i].first));
    auto drops = recipe_.drops;
    drops.insert(drops.end(), recipe_.drops_with.begin(), recipe_.drops_with.end());
    for (const auto& drop : drops)
      if (!used_drops_.contains(drop)) return fail(Errc::invalid_input, fmt::format("services/{}.recipe: nothing to drop: '{}'", name_, drop));
    write_head();
    for (std::size_t i = 0; i < blocks_.size(); ++i) write_service(i);
    if (recipe_.database != "none") write_database();
    if (recipe_.database != "none" || !saved_.empty() || !recipe_.backup_environment.empty()) write_backup();
    DM_CHECK(copy_mounts());
    write_tables();
    files_.emplace_back("compose.yaml", compose_);
    DM_CHECK(write_secrets());
    if (!recipe_.port.empty()) files_.emplace_back(recipe_.guarded ? "guarded.caddy" : "route.caddy", fmt::format("{}.{{$DOMAIN}} {{\n\treverse_proxy {}:{}\n}}\n", recipe_.host, recipe_.services[0].name, recipe_.port));
    if (!recipe_.settings.empty()) files_.emplace_back("settings.env", fmt::format("{}\n", fmt::join(recipe_.settings, "\n")));
    if (!recipe_.notes.empty()) files_.emplace_back("next.txt", fmt::format("{}\n", fmt::join(recipe_.notes, "\n")));
    return std::move(files_);
  }

 private:
  /// Changes and drops applied; a dropped line takes what is below it and the comment above it along.
  Lines edited(const Lines& source) {
    Lines out, comments;
    std::size_t deeper = std::string::npos;
    for (auto line : source) {
      for (std::size_t i = 0; i < recipe_.changes.size(); ++i) {
        const auto& [from, to] = recipe_.changes[i];
        if (line.find(from) == std::string::npos) continue;
        used_changes_.insert(i);
        line = replaced(line, from, to);
      }
      const auto indent = indent_of(line);
      const auto word = word_of(line);
      if (deeper != std::string::npos && (indent > deeper || line.empty())) continue;
      deeper = std::string::npos;
      if (word.starts_with("#")) {
        comments.push_back(std::move(line));
        continue;
      }
      bool dropped = word.starts_with("profiles:");
      const auto drop_by = [&](const Lines& drops, const auto& meant) {
        for (const auto& drop : drops) {
          if (!meant(drop)) continue;
          used_drops_.insert(drop);
          dropped = true;
        }
      };
      drop_by(recipe_.drops, [&](const std::string& begin) { return word.starts_with(begin); });
      drop_by(recipe_.drops_with, [&](const std::string& part) { return line.find(part) != std::string::npos; });
      if (dropped) {
        deeper = indent;
      } else {
        out.insert(out.end(), comments.begin(), comments.end());
        out.push_back(std::move(line));
      }
      comments.clear();
    }
    return out;
  }

  Result<void> read_services() {
    for (const auto& one : recipe_.services) {
      const auto fragment = content_of(one.fragment);
      auto source = service_block(fragment, one.service);
      if (source.empty()) return fail(Errc::invalid_input, fmt::format("services/{}.recipe: {} has no service '{}'", name_, one.fragment, one.service));
      blocks_.push_back(edited(source));
      if (!shared_.contains(one.fragment)) shared_[one.fragment] = shared_blocks(fragment);
      auto& shared = shared_[one.fragment];
      for (auto block = shared.rbegin(); block != shared.rend(); ++block) {
        if (block->wanted) continue;
        block->wanted = refers(blocks_.back(), *block) || std::any_of(shared.rbegin(), block, [&](const Shared& later) { return later.wanted && refers(later.lines, *block); });
        if (block->wanted) block->lines = edited(block->lines);
      }
    }
    return {};
  }

  /// Entries of `key` that hold for a service: its own, or those of the block that it merges.
  Lines list_of(std::size_t service, std::string_view key) const {
    const auto& lines = blocks_[service];
    if (has(lines, key)) return below(lines, key);
    for (const auto& shared : shared_.at(recipe_.services[service].fragment))
      if (shared.wanted && has(shared.lines, key) && refers(lines, shared)) return below(shared.lines, key);
    return {};
  }

  /// Each rendered file that a service mounts is a template of the stack: its fragment says which.
  Result<void> read_templates() {
    for (std::size_t i = 0; i < blocks_.size(); ++i)
      for (const auto& config : names_in(list_of(i, "configs"))) {
        std::string path;
        for (const auto& line : block(embedded(recipe_.services[i].fragment), "configs:"))
          if (word_of(line).starts_with(config + ": ")) path = line.substr(line.find("/config/") + 8);
        path = path.substr(0, path.find('"'));
        const auto file = path.substr(std::min(path.find('/'), path.size() - 1) + 1);
        auto text = content_of(fmt::format("services/{}/{}.tmpl", name_, file));
        if (text.empty()) text = content_of(path + ".tmpl");
        if (path.empty() || text.empty()) return fail(Errc::invalid_input, fmt::format("services/{}.recipe: the stack has no template for '{}'", name_, config));
        std::string content;
        for (const auto& line : edited(lines_of(text))) content += line + "\n";
        for (auto at = content.find("@{"); at != std::string::npos; at = content.find("@{", at + 1)) {
          const auto variable = content.substr(at + 2, content.find_first_of(" |}", at + 2) - at - 2);
          if (variable.find_first_of("abcdefghijklmnopqrstuvwxyz") != std::string::npos) users_[variable].insert(recipe_.services[i].name);
        }
        if (!configs_.contains(config)) files_.emplace_back(file + ".tmpl", std::move(content));
        configs_[config] = file;
      }
    return {};
  }

  void write_head() {
    const auto head = embedded("services/planka/compose.yaml");
    compose_ = fmt::format("{} Added by `datamancy init --service {}`.\n{}", recipe_.about, name_, head.substr(head.find('\n') + 1, head.find("services:") - head.find('\n') - 1));
    Lines written;
    for (const auto& one : recipe_.services)
      for (const auto& shared : shared_[one.fragment])
        if (shared.wanted && std::ranges::find(written, shared.head) == written.end()) {
          written.push_back(shared.head);
          compose_ += shared.head + "\n";
          for (const auto& line : shared.lines) take(line, one.fragment, true);
          compose_ += "\n";
        }
    compose_ += "services:\n";
  }

  std::string networks_of(std::size_t service) const {
    const auto stack = names_in(below(blocks_[service], "networks"));
    Lines mapped;
    for (const auto& network : recipe_.networks)
      if (stack.contains(network.stack)) mapped.push_back(network.name);
    Lines all;
    // What is on such a network alone (a proxy to the engine) stays alone with its client.
    if (mapped.size() < stack.size()) {
      const bool edge = stack.contains("frontend") || stack.contains("admin") || stack.contains("couchdb");  // it is on these in the stack
      if (!recipe_.port.empty() && edge) all.emplace_back(recipe_.guarded ? "%GUARDED%" : "%EDGE%");
      all.emplace_back(name_);
      if (service == 0 ? recipe_.out : stack.contains("egress") || stack.contains("models")) {
        all.push_back(fmt::format("{}-out", name_));
        out_ = true;
      }
    }
    all.insert(all.end(), mapped.begin(), mapped.end());
    return fmt::format("[{}]", fmt::join(all, ", "));
  }

  void write_service(std::size_t index) {
    const auto& one = recipe_.services[index];
    if (index > 0) compose_ += "\n";
    compose_ += fmt::format("  {}:\n", one.name);
    auto lines = blocks_[index];
    const auto waits = names_in(below(lines, "depends_on"));
    std::size_t deeper = std::string::npos;
    for (auto line : lines) {
      const auto indent = indent_of(line);
      const auto word = word_of(line);
      if (deeper != std::string::npos && indent > deeper) continue;
      deeper = std::string::npos;
      if (indent == 4 && word.starts_with("depends_on:")) {
        deeper = indent;
      } else if (indent == 4 && word.starts_with("networks:")) {
        deeper = indent;
        compose_ += fmt::format("    networks: {}\n", networks_of(index));
        std::string needed;
        const bool database = std::ranges::any_of(waits, [](const auto& wait) { return wait == "pgbouncer" || wait.starts_with("postgres") || wait.starts_with("mariadb"); });
        if (recipe_.database != "none" && (index == 0 || database)) needed += fmt::format("      {}-db: {{condition: service_healthy}}\n", name_);
        for (const auto& other : recipe_.services)
          for (const auto& wait : below(lines, "depends_on"))
            if (word_of(wait).starts_with(other.service + ":")) needed += fmt::format("      {}{}\n", other.name, word_of(wait).substr(other.service.size()));
        if (!needed.empty()) compose_ += "    depends_on:\n" + needed;
      } else {
        take(line, one.fragment, true);
      }
    }
    for (const auto& secret : names_in(list_of(index, "secrets"))) {
      users_[secret].insert(one.name);
      mounted_.insert(secret);
    }
  }

  void write_database() {
    const auto service = fmt::format("{}-db", name_);
    compose_ += fmt::format("\n  {}:\n", service);
    for (const auto& line : borrowed(recipe_, name_, "db")) {
      take(line, "", false);
      if (indent_of(line) == 4 && word_of(line).starts_with("secrets:")) note_secrets(line, service);
    }
  }

  void note_secrets(const std::string& line, const std::string& service) {
    for (const auto& secret : names_in(below({line}, "secrets"))) {
      users_[secret].insert(service);
      mounted_.insert(secret);
    }
  }

  /// Adds a line to the file and notes which volumes and files it names.
  void take(std::string line, const std::string& fragment, bool saved) {
    const auto word = std::string(word_of(line));
    if (word.starts_with("- ") && word.find(":/") != std::string::npos && word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-", 2) == word.find(":/")) {
      const auto volume = word.substr(2, word.find(':') - 2);
      if (std::ranges::find(volumes_, volume) == volumes_.end()) {
        volumes_.push_back(volume);
        if (saved && !recipe_.unsaved.contains(volume)) saved_.push_back(volume);
      }
    }
    if (!fragment.empty() && !word.starts_with("#")) {
      const auto folder = fragment.substr(0, fragment.find('/') + 1);
      if (word == "build: {context: .}" || word == "context: .") build_in_ = folder;
      for (const std::string_view start : {"./", "../common/"})
        for (auto at = line.find(start); at != std::string::npos; at = line.find(start, at + 1)) {
          const auto end = line.find(':', at);
          if (end == std::string::npos || (at > 0 && std::string_view(" \"[").find(line[at - 1]) == std::string_view::npos)) continue;
          const auto mount = line.substr(at + start.size(), end - at - start.size());
          mounts_[mount] = (start == "./" ? folder : "common/") + mount;
          if (start != "./") line.replace(at, start.size(), "./");
        }
    }
    compose_ += line + "\n";
  }

  void write_backup() {
    const auto service = fmt::format("{}-backup", name_);
    compose_ += fmt::format("\n  # Once a day at 02:00 UTC into an encrypted repository; RESTIC_REPOSITORY in .env names another place for it.\n  {}:\n", service);
    for (auto line : borrowed(recipe_, name_, "backup")) {
      const auto word = word_of(line);
      if (word.find(":/data/") != std::string_view::npos) continue;
      if (recipe_.database == "none" && word.starts_with("POSTGRES_")) continue;
      if (word.starts_with("secrets:")) {
        if (recipe_.database == "none") line = fmt::format("    secrets: [{}_restic_password]", recipe_.key);
        for (const auto& more : recipe_.backup_secrets) line.insert(line.rfind(']'), ", " + more);
        note_secrets(line, service);
      }
      take(line, "", false);
      if (word_of(line).starts_with("DUMP_AT:"))
        for (const auto& more : recipe_.backup_environment) compose_ += fmt::format("      {}\n", more);
      if (word_of(line).ends_with(":/repository")) {
        for (const auto& more : recipe_.backup_volumes) compose_ += fmt::format("      - {}\n", more);
        for (const auto& volume : saved_) compose_ += fmt::format("      - {}:/data/{}:ro\n", volume, volume);
      }
    }
    out_ = true;
  }

  /// Files that the services mount or are built from; one that the recipe's own folder holds comes from there.
  Result<void> copy_mounts() {
    if (!build_in_.empty()) {
      mounts_["Dockerfile"] = build_in_ + "Dockerfile";
      for (const auto& line : lines_of(embedded(build_in_ + "Dockerfile"))) {
        auto parts = words(line, 20);
        if (parts.size() < 3 || parts[0] != "COPY" || parts[1].starts_with("--from")) continue;
        for (std::size_t i = 1; i + 1 < parts.size(); ++i)
          if (!parts[i].starts_with("--")) mounts_[parts[i]] = build_in_ + parts[i];
      }
    }
    for (const auto& [mount, from] : mounts_) {
      const auto own = fmt::format("services/{}/{}", name_, mount);
      if (std::ranges::any_of(embedded_files(), [&](const auto& file) { return file.name == own || file.name.starts_with(own + "/"); })) continue;
      const auto found = files_.size();
      for (const auto& file : embedded_files())
        if (file.name == from || file.name.starts_with(from + "/")) files_.emplace_back(mount + std::string(file.name.substr(from.size())), file.content);
      if (files_.size() == found) return fail(Errc::invalid_input, fmt::format("services/{}.recipe: the stack has no file '{}'", name_, from));
    }
    return {};
  }

  void write_tables() {
    compose_ += fmt::format("\nnetworks:\n  # For the service, what belongs to it, and its clients.\n  {}: {{internal: true}}\n", name_);
    for (const auto& network : recipe_.networks) compose_ += fmt::format("  {}: {}\n", network.name, network.definition);
    if (out_ || (!recipe_.port.empty() && !recipe_.guarded))
      compose_ += fmt::format("  # The way out of the backup (and of the application, where it needs one).\n  {}-out:\n    driver_opts: {{com.docker.network.bridge.enable_icc: \"false\"}}\n", name_);
    if (!volumes_.empty()) compose_ += "\nvolumes:\n";
    for (const auto& volume : volumes_) compose_ += fmt::format("  {}:\n", volume);
    constexpr std::string_view kRun = "${DATAMANCY_RUN:?run 'datamancy render'}";
    if (!mounted_.empty()) compose_ += "\nsecrets:\n";
    for (const auto& secret : mounted_) compose_ += fmt::format("  {}: {{file: \"{}/secrets/{}\"}}\n", secret, kRun, secret);
    if (!configs_.empty()) compose_ += "\nconfigs:\n";
    for (const auto& [config, file] : configs_) compose_ += fmt::format("  {}: {{file: \"{}/config/{}/{}\"}}\n", config, kRun, name_, file);
  }

  /// Declarations as the stack has them, with the users that they have here.
  Result<void> write_secrets() {
    std::string out = "secrets:\n";
    const std::string_view model = recipe_.database == "mariadb" ? "bookstack" : "planka";
    const auto databases = lines_of(replaced(std::string(embedded(fmt::format("services/{}/secrets.yaml", model))), fmt::format("{}_", model), recipe_.key + "_"));
    const auto stack = lines_of(embedded("variables.yaml"));
    for (const auto& [secret, users] : users_) {
      const auto start = fmt::format("  {}: ", secret);
      // Of its own database and backup as in the hand-written recipe (no job sets the password here); all others as in the stack.
      const bool ours = secret.ends_with("_db_password") || secret.ends_with("_db_root_password") || secret.ends_with("_restic_password");
      const Lines* const sources[] = {&stack, &databases, &recipe_.secrets};
      std::string line;
      for (const auto* source : sources)
        for (const auto& one : *source)
          if (one.starts_with(start) && (source != &databases || ours)) line = one;
      const auto begin = line.find("used_by: ["), end = line.find(']', std::min(begin, line.size()));
      if (line.empty() || begin == std::string::npos || end == std::string::npos) return fail(Errc::invalid_input, fmt::format("services/{}.recipe: variables.yaml does not declare '{}'", name_, secret));
      out += line.substr(0, begin + 10) + fmt::format("{}", fmt::join(users, ", ")) + line.substr(end) + "\n";
    }
    files_.emplace_back("secrets.yaml", out);
    return {};
  }

  std::string name_;
  Recipe recipe_;
  std::string compose_;
  mutable bool out_ = false;
  std::vector<Lines> blocks_;                            ///< of the services, edited
  std::map<std::string, std::vector<Shared>> shared_;
  std::set<std::size_t> used_changes_;
  std::set<std::string> used_drops_, mounted_;
  Lines volumes_, saved_;
  std::string build_in_;                                 ///< folder of the fragment whose image is built
  std::map<std::string, std::string> mounts_, configs_;
  std::map<std::string, std::set<std::string>> users_;
  std::vector<std::pair<std::string, std::string>> files_;
};

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> expand_recipe(std::string_view name, std::string_view text) {
  DM_TRY(auto recipe, parse(name, text));
  return Expansion(name, std::move(recipe)).run();
}

}  // namespace dm::scaffold
