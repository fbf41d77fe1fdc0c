#include <algorithm>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

/// One of the words that a name is made of ("app-db-init": app, db, init), not a part of one ("trinity").
bool job_name(std::string_view name) {
  while (!name.empty()) {
    const auto end = std::min(name.find_first_of("-_."), name.size());
    const auto word = name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
    for (const auto job : {"init", "initdb", "migrate", "migration", "migrations", "migrator", "setup", "bootstrap", "seed", "seeder", "provision", "job", "oneshot",
                           "generate", "pull", "import", "download", "createbuckets", "createdb", "mkdir", "chown", "permissions"})
      if (word == job) return true;
  }
  return false;
}

/// The command is one script whose name says that it makes something once: `./generate-secrets.sh`, `/scripts/migrate.sh`.
bool job_script(const Service& service) {
  if (service.command.size() != 1 || service.healthcheck) return false;
  auto name = sources::file_name(service.command[0].value);
  if (!name.ends_with(".sh") && !name.ends_with(".py") && !name.ends_with(".js")) return false;
  const auto word = name.substr(0, name.find_first_of("-_."));
  return word == "generate" || word == "migrate" || word == "seed" || word == "create" || word == "provision";
}

/// The command is a single migration ("python manage.py migrate"), not the first step of a server's start.
bool job_command(const Service& service) {
  if (service.command.empty() || service.command.size() > 8) return false;
  for (const auto& word : service.command)
    if (word.value.find("&&") != std::string_view::npos || word.value.find(';') != std::string_view::npos || word.value.find('\n') != std::string_view::npos) return false;
  return std::ranges::any_of(service.command, [](const auto& word) { return word.value == "migrate" || word.value == "db:migrate"; });
}

/// `restart: "no"` in so many words, before a script that is called by its name ("python scripts/check.py"): it ends by itself.
bool one_script(const Service& service) {
  const auto& words = service.command.empty() ? service.entrypoint : service.command;
  if (service.restart.value != "no" || words.empty() || words.size() > 8 || service.healthcheck) return false;
  return std::ranges::any_of(words, [](const auto& word) {
    const auto text = word.value;
    return text.find(' ') == std::string_view::npos && (text.starts_with("scripts/") || text.starts_with("./scripts/") || text.find("/scripts/") != std::string_view::npos);
  });
}

/// A shell's script without a loop that ends by itself: `restart: "no"` in so many words before it, or a dump of a database.
bool ending_script(const Service& service) {
  if (service.healthcheck) return false;
  const auto script = shell_script(service, '\n');
  const auto says = [&](std::initializer_list<std::string_view> parts) {
    return std::ranges::any_of(parts, [&](std::string_view part) { return script.find(part) != std::string::npos; });
  };
  if (script.find("-c\n") == std::string::npos || says({"while ", "until ", "for ((", "sleep inf", "tail -f", "crond", "cron ", "supercronic", "wait\n", "go-cron", "watch "})) return false;
  if (service.restart.value == "no") return true;
  return service.restart.value.empty() && says({"pg_dump", "mysqldump", "mariadb-dump", "mongodump"});
}

/// A client that somebody opens a shell in: "ksqldb-cli", or a bare shell with a terminal.
bool by_hand(const Service& service) {
  if (service.name == "cli" || service.name.ends_with("-cli") || service.name.ends_with("_cli")) return true;
  const auto shell = [](const auto& words) {
    if (words.size() != 1) return false;
    const auto word = words[0].value;
    return word == "sh" || word == "bash" || word.ends_with("/sh") || word.ends_with("/bash");
  };
  return service.tty && (shell(service.entrypoint) || (service.entrypoint.empty() && shell(service.command)));
}

}  // namespace

std::string shell_script(const Service& service, char after) {
  const auto& words = service.entrypoint.empty() ? service.command : service.entrypoint;
  const auto shell = words.empty() ? std::string_view() : sources::file_name(words[0].value);
  if (shell != "sh" && shell != "bash" && shell != "ash") return {};
  std::string out;
  for (const auto* list : {&service.entrypoint, &service.command})
    for (const auto& word : *list) out.append(word.value) += after;
  return out;
}

void find_one_shots(Wiring& wiring) {
  const auto& services = wiring.project->services;
  wiring.one_shot.assign(services.size(), false);
  for (const Service& service : services)
    for (const auto& dependency : service.depends_on)
      if (dependency.condition == "service_completed_successfully")
        if (const auto id = wiring.id_of(dependency.service); id != kNone) wiring.one_shot[id] = true;
  for (ServiceId id = 0; id < services.size(); ++id) {
    const Service& service = services[id];
    const bool may_end = !service.restart || service.restart.value == "no" || service.restart.value.starts_with("on-failure");
    const auto* product = wiring.product_of[id];
    // `restart: "no"` in so many words, in a profile that nobody gets by default: run by hand
    if (service.restart.value == "no" && !service.profiles.empty() && service.ports.empty() && !service.healthcheck) wiring.one_shot[id] = true;
    if (may_end && service.ports.empty() && by_hand(service)) wiring.one_shot[id] = true;
    if (may_end && service.ports.empty() &&
        (job_name(service.name) || job_command(service) || job_script(service) || one_script(service) || ending_script(service) || (product != nullptr && product->kind == "one-shot")))
      wiring.one_shot[id] = true;
    if (const auto* own = service.node != nullptr ? service.node->at({"x-datamancy", "one_shot"}) : nullptr; own != nullptr && own->kind == compose::Kind::boolean) wiring.one_shot[id] = own->boolean;
  }
}

}  // namespace dm::wiring
