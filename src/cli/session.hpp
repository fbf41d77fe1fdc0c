/// What the verbs that act on a running stack share: the project as loaded, its engine, its Compose, its store.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/engine.hpp"
#include "cli/interrupt.hpp"
#include "cli/verbs.hpp"
#include "deploy/compose_cli.hpp"
#include "deploy/container.hpp"
#include "engine/engine.hpp"
#include "state/store.hpp"
#include "wiring/wiring.hpp"

namespace dm::cli {

struct Session {
  Interrupt interrupt;
  std::unique_ptr<secrets::Handover> handover;   ///< the project's secrets, opened, and how they reach Compose; first, since what follows reads them
  /// Sealed variables by name, those of services' own env files as FILE:NAME, and their values; in memory only.
  std::vector<std::pair<std::string, std::string>> sealed_values;
  compose::Loaded loaded;
  product::Catalogue products;
  wiring::Wiring wiring;
  std::set<std::string, std::less<>> services;   ///< chosen, with what they need
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<deploy::ComposeCli> compose;
  std::string engine_id;
  std::string product;                           ///< "Docker" or "Podman"
  unsigned processors = 0;                       ///< of the engine's machine
  std::string store;                             ///< folder of the state of this project on this engine
  std::optional<state::Db> db;

  const compose::Project& project() const { return *loaded.project; }
  Deadline within(Clock::duration span) const { return Deadline::in(span, interrupt.token()); }
  /// Opens the store (once). Errors: the folder cannot be made.
  Result<state::Db*> open_store();
  /// Waits for whoever changes the project now, or says who it is. `wait` = how long.
  Result<Fd> lock(std::string_view what, Clock::duration wait) const;
};

std::map<std::string, std::string> plain_environment(const Args& args);

/// A project that somebody started elsewhere is known by its name (`-p NAME` where no file lies): the labels of its containers tell where its
/// files are, and `args` names them from here on. Errors: the engine's; not_found where it has no container of that name.
/// `model_will_do`: a model that our store keeps is named, too, where a rollback made all containers; else the folder is searched.
Result<void> find_by_name(Args& args, engine::Engine& engine, const Deadline& deadline, bool model_will_do = false);

/// Loads the project with the services named in `names` (their profiles are switched on, as Compose does) and opens its engine.
/// False after printing what is wrong; `exit` then says with which status to end.
bool open_session(Args& args, std::vector<std::string> names, Session& out, int& exit, bool with_dependencies = true);
/// Takes what is left in `args.words` as names of services; false after complaining about an option.
bool take_names(Args& args, std::string_view verb, std::vector<std::string>& names);
/// A whole number from `least` to `most`; `value` stays where it is not given. False after complaining.
bool take_number(Args& args, std::string_view name, std::int64_t least, std::int64_t most, std::int64_t& value);
bool whole_number(std::string_view name, const std::string& text, std::int64_t least, std::int64_t most, std::int64_t& value);
/// A duration option ("90s", "5m"); false after complaining.
bool take_duration(Args& args, std::string_view name, std::chrono::nanoseconds& value);

/// What NO_COLOR leaves open.
bool may_color(const Args& args);

/// "id of the user": who acts, for journal and history.
std::string who();
/// Asks on the terminal; false without `--yes` where there is none.
bool agreed(bool yes, std::string_view question);

}  // namespace dm::cli
