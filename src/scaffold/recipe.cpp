#include "scaffold/recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "scaffold/embedded.hpp"
#include "scaffold/init.hpp"

namespace dm::scaffold {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(std::string_view text) {
  Lines out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::size_t indent_of(std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
  return text;
}

/// The lines of one service, without its name's.
Lines block(std::string_view fragment, std::string_view service) {
  Lines out;
  bool inside = false;
  for (auto& line : lines_of(fragment)) {
    if (inside && !line.empty() && indent_of(line) <= 2) break;
    if (inside && !line.empty()) out.push_back(std::move(line));
    else if (line == fmt::format("  {}:", service)) inside = true;
  }
  return out;
}

/// Names in a flow list after `key:`; an entry that is a map gives its source.
std::vector<std::string> names_in(std::string_view line) {
  std::vector<std::string> out;
  std::string word, key;
  for (const char c : line.substr(std::min(line.find('['), line.size()))) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_') {
      word += c;
    } else if (c == ':') {
      key = std::exchange(word, {});
    } else if (!word.empty()) {
      if (key.empty() || key == "source") out.push_back(word);
      word.clear();
      key.clear();
    }
  }
  return out;
}

struct Recipe {
  std::string about, fragment, service, database, key, port;
  bool out = false;
  Lines drops, templates, backup_environment, backup_secrets, also;
  std::vector<std::pair<std::string, std::string>> changes;
  std::set<std::string> unsaved;
};

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
    const auto middle = rest.find(' ');
    if (word == "from" && middle != std::string::npos) {
      out.fragment = rest.substr(0, middle);
      out.service = rest.substr(middle + 1);
    } else if (word == "database") {
      out.database = rest.substr(0, middle);
      if (middle != std::string::npos) out.key = rest.substr(middle + 1);
    } else if (word == "change" && rest.find(" =>") != std::string::npos) {
      const auto arrow = rest.find(" =>");
      out.changes.emplace_back(rest.substr(0, arrow), rest.substr(std::min(arrow + 4, rest.size())));
    }
    else if (word == "route") out.port = rest;
    else if (word == "out") out.out = true;
    else if (word == "drop") out.drops.push_back(rest);
    else if (word == "template") out.templates.push_back(rest);
    else if (word == "unsaved") out.unsaved.insert(rest);
    else if (word == "backup-environment") out.backup_environment.push_back(rest);
    else if (word == "backup-secret") out.backup_secrets.push_back(rest);
    else if (word == "also") out.also.push_back(rest);
    else return fail(Errc::invalid_input, fmt::format("services/{}.recipe:{}: '{}' is no word of a recipe", name, number, line));
  }
  if (out.fragment.empty() || (out.database != "postgres" && out.database != "mariadb" && out.database != "none"))
    return fail(Errc::invalid_input, fmt::format("services/{}.recipe: 'from FILE SERVICE' or 'database postgres|mariadb|none' is missing", name));
  return out;
}

/// A block of the recipe that was written by hand for the same kind of database, under the new names.
Lines borrowed(const Recipe& recipe, std::string_view name, std::string_view part) {
  const std::string_view model = recipe.database == "mariadb" ? "bookstack" : "planka";
  Lines out;
  for (auto line : block(embedded(fmt::format("services/{}/compose.yaml", model)), fmt::format("{}-{}", model, part))) {
    line = replaced(line, fmt::format("{}_", model), recipe.key + "_");
    for (const auto* before : {"_USER: ", "_DB: ", "_DATABASE: ", "-U ", "-d "}) line = replaced(line, fmt::format("{}{}", before, model), before + recipe.key);
    out.push_back(replaced(line, model, name));
  }
  return out;
}

class Expansion {
 public:
  Expansion(std::string_view name, Recipe recipe) : name_(name), recipe_(std::move(recipe)) {}

  Result<std::vector<std::pair<std::string, std::string>>> run() {
    const auto fragment = embedded(recipe_.fragment);
    auto source = block(fragment, recipe_.service);
    if (source.empty()) return fail(Errc::invalid_input, fmt::format("services/{}.recipe: {} has no service '{}'", name_, recipe_.fragment, recipe_.service));
    DM_CHECK(change(source));
    write_service(source);
    if (recipe_.database != "none") {
      compose_ += fmt::format("\n  {}-db:\n", name_);
      for (const auto& line : borrowed(recipe_, name_, "db")) take(line, fmt::format("{}-db", name_));
    }
    if (recipe_.database != "none" || !saved().empty() || !recipe_.backup_environment.empty()) write_backup();
    DM_CHECK(copy_mounts());
    DM_CHECK(copy_templates());
    write_tables();
    files_.emplace_back("compose.yaml", compose_);
    DM_CHECK(write_secrets());
    if (!recipe_.port.empty()) files_.emplace_back("route.caddy", fmt::format("{}.{{$DOMAIN}} {{\n\treverse_proxy {}:{}\n}}\n", name_, name_, recipe_.port));
    return std::move(files_);
  }

 private:
  Result<void> change(Lines& source) {
    for (const auto& [from, to] : recipe_.changes) {
      bool found = false;
      for (auto& line : source)
        if (line.find(from) != std::string::npos) {
          found = true;
          line = replaced(line, from, to);
        }
      if (!found && std::ranges::none_of(recipe_.templates, [&](const auto& one) { return embedded(one).find(from) != std::string_view::npos; }))
        return fail(Errc::invalid_input, fmt::format("services/{}.recipe: nothing to change: '{}'", name_, from));
    }
    for (const auto& drop : recipe_.drops)
      if (std::ranges::none_of(source, [&](const auto& line) { return std::string_view(line).substr(indent_of(line)).starts_with(drop); }))
        return fail(Errc::invalid_input, fmt::format("services/{}.recipe: nothing to drop: '{}'", name_, drop));
    return {};
  }

  bool dropped(std::string_view word) const {
    if (word.starts_with("profiles:") || word.starts_with("depends_on:")) return true;
    return std::ranges::any_of(recipe_.drops, [&](const auto& one) { return word.starts_with(one); });
  }

  void write_service(const Lines& source) {
    const auto head = embedded("services/planka/compose.yaml");
    compose_ = fmt::format("{} Added by `datamancy init --service {}`.\n{}services:\n  {}:\n", recipe_.about, name_, head.substr(head.find('\n') + 1, head.find("services:") - head.find('\n') - 1), name_);
    Lines comments;
    std::size_t below = std::string::npos;  // what is indented deeper than a dropped line goes with it
    bool database = recipe_.database != "none";
    for (auto line : source) {
      const auto indent = indent_of(line);
      const auto word = std::string_view(line).substr(indent);
      if (below != std::string::npos && indent > below) continue;
      below = std::string::npos;
      if (word.starts_with("#")) {
        comments.push_back(std::move(line));
      } else if (dropped(word)) {
        below = indent;
        comments.clear();
      } else if (indent == 4 && word.starts_with("networks:")) {
        comments.clear();
        if (recipe_.port.empty()) compose_ += fmt::format("    networks: [{}{}]\n", name_, recipe_.out ? fmt::format(", {}-out", name_) : "");
        else compose_ += fmt::format("    networks: [%EDGE%, {}{}]\n", name_, recipe_.out ? fmt::format(", {}-out", name_) : "");
        if (database) compose_ += fmt::format("    depends_on:\n      {}-db: {{condition: service_healthy}}\n", name_);
      } else {
        for (const auto& comment : comments) compose_ += comment + "\n";
        comments.clear();
        if (word.starts_with("- ../common/")) {
          common_.emplace_back(word.substr(12, word.find(':') - 12));
          line = replaced(line, "../common/", "./");
        }
        take(line, name_);
      }
    }
  }

  /// Adds a line to the file and notes what it names.
  void take(const std::string& line, const std::string& service) {
    const auto indent = indent_of(line);
    const auto word = std::string_view(line).substr(indent);
    if (indent == 4 && word.starts_with("secrets:"))
      for (const auto& secret : names_in(word)) users_[secret].insert(service);
    if (indent == 4 && word.starts_with("configs:")) configs_.push_back(std::string(word.substr(word.find("source: ") + 8, word.find(',') - word.find("source: ") - 8)));
    if (indent == 6 && word.starts_with("- ") && word.find(":/") != std::string_view::npos && word[2] != '.' && word[2] != '/' && word[2] != '[') {
      const auto volume = std::string(word.substr(2, word.find(':') - 2));
      if (std::ranges::find(volumes_, volume) == volumes_.end()) volumes_.push_back(volume);
      if (service == name_ && !recipe_.unsaved.contains(volume)) saved_.push_back(volume);
    }
    if (indent == 6 && service == name_ && word.starts_with("- ./")) mounts_.push_back(std::string(word.substr(4, word.find(':') - 4)));
    compose_ += line + "\n";
  }

  const Lines& saved() const { return saved_; }

  void write_backup() {
    const auto service = fmt::format("{}-backup", name_);
    compose_ += fmt::format("\n  # Once a day at 02:00 UTC into an encrypted repository; RESTIC_REPOSITORY in .env names another place for it.\n  {}:\n", service);
    for (const auto& line : borrowed(recipe_, name_, "backup")) {
      const auto word = std::string_view(line).substr(indent_of(line));
      if (word.find(":/data/") != std::string_view::npos) continue;
      if (recipe_.database == "none" && word.starts_with("POSTGRES_")) continue;
      if (recipe_.database == "none" && word.starts_with("secrets:")) {
        auto all = recipe_.backup_secrets;
        all.insert(all.begin(), recipe_.key + "_restic_password");
        take(fmt::format("    secrets: [{}]", fmt::join(all, ", ")), service);
        continue;
      }
      take(line, service);
      if (word.starts_with("DUMP_AT:"))
        for (const auto& more : recipe_.backup_environment) compose_ += fmt::format("      {}\n", more);
      if (word.ends_with(":/repository"))
        for (const auto& volume : saved_) compose_ += fmt::format("      - {}:/data/{}:ro\n", volume, volume);
    }
    backup_ = true;
  }

  Result<void> copy_mounts() {
    const auto folder = recipe_.fragment.substr(0, recipe_.fragment.find('/') + 1);
    for (const auto& mount : mounts_) {
      const auto found = files_.size();
      const auto from = std::ranges::find(common_, mount) != common_.end() ? "common/" + mount : folder + mount;
      for (const auto& file : embedded_files())
        if (file.name == from || file.name.starts_with(from + "/")) files_.emplace_back(mount + std::string(file.name.substr(from.size())), file.content);
      if (files_.size() == found) return fail(Errc::invalid_input, fmt::format("services/{}.recipe: the stack has no file '{}'", name_, from));
    }
    return {};
  }

  Result<void> copy_templates() {
    for (const auto& one : recipe_.templates) {
      auto text = std::string(embedded(one));
      for (const auto& [from, to] : recipe_.changes) text = replaced(text, from, to);
      for (auto at = text.find("@{"); at != std::string::npos; at = text.find("@{", at + 1)) {
        const auto end = text.find_first_of(" |}", at + 2);
        users_[text.substr(at + 2, end - at - 2)].insert(name_);
      }
      files_.emplace_back(one.substr(one.find('/') + 1), std::move(text));
    }
    if (configs_.size() != recipe_.templates.size()) return fail(Errc::invalid_input, fmt::format("services/{}.recipe: {} configs, {} templates", name_, configs_.size(), recipe_.templates.size()));
    return {};
  }

  void write_tables() {
    compose_ += fmt::format("\nnetworks:\n  # For the service, what belongs to it, and its clients.\n  {}: {{internal: true}}\n", name_);
    if (backup_ || recipe_.out || !recipe_.port.empty())
      compose_ += fmt::format("  # The way out of the backup (and of the application, where it needs one).\n  {}-out:\n    driver_opts: {{com.docker.network.bridge.enable_icc: \"false\"}}\n", name_);
    if (!volumes_.empty()) compose_ += "\nvolumes:\n";
    for (const auto& volume : volumes_) compose_ += fmt::format("  {}:\n", volume);
    constexpr std::string_view kRun = "${DATAMANCY_RUN:?run 'datamancy render'}";
    std::string secrets, configs;
    for (const auto& [secret, users] : users_)
      if (compose_.find(secret) != std::string::npos) secrets += fmt::format("  {}: {{file: \"{}/secrets/{}\"}}\n", secret, kRun, secret);
    if (!secrets.empty()) compose_ += "\nsecrets:\n" + secrets;
    for (std::size_t i = 0; i < configs_.size(); ++i) {
      const auto file = recipe_.templates[i].substr(recipe_.templates[i].find('/') + 1);
      configs += fmt::format("  {}: {{file: \"{}/config/{}/{}\"}}\n", configs_[i], kRun, name_, file.substr(0, file.size() - 5));
    }
    if (!configs.empty()) compose_ += "\nconfigs:\n" + configs;
  }

  /// Declarations as the stack has them, with the users that they have here.
  Result<void> write_secrets() {
    std::string out = "secrets:\n";
    for (const auto& secret : recipe_.also) users_[secret].insert("people");
    const std::string_view model = recipe_.database == "mariadb" ? "bookstack" : "planka";
    const auto own = replaced(std::string(embedded(fmt::format("services/{}/secrets.yaml", model))), fmt::format("{}_", model), recipe_.key + "_");
    for (const auto& [secret, users] : users_) {
      const auto start = fmt::format("  {}: ", secret);
      std::string line;
      // Of its own database and backup as in the hand-written recipe (no job sets the password here); all others as in the stack.
      const bool ours = secret.ends_with("_db_password") || secret.ends_with("_db_root_password") || secret.ends_with("_restic_password");
      for (const auto& one : lines_of(ours ? std::string_view(own) : embedded("variables.yaml")))
        if (one.starts_with(start)) line = one;
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
  bool backup_ = false;
  Lines volumes_, saved_, configs_, mounts_, common_;
  std::map<std::string, std::set<std::string>> users_;
  std::vector<std::pair<std::string, std::string>> files_;
};

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> expand_recipe(std::string_view name, std::string_view text) {
  DM_TRY(auto recipe, parse(name, text));
  return Expansion(name, std::move(recipe)).run();
}

}  // namespace dm::scaffold
