// secrets rotate: a new password on the server, then in its clients, and back again where something fails.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <thread>

#include "base/process.hpp"
#include "cli/secrets_compose.hpp"
#include "cli/session.hpp"
#include "compose/labels.hpp"
#include "engine/context.hpp"
#include "rotate/account.hpp"
#include "rotate/places.hpp"
#include "secrets/crypto.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

secrets::SecretString new_password() { return secrets::SecretString(secrets::hex(secrets::random_bytes(20))); }  // 160 bits, no character that any client minds

std::string joined(const std::vector<std::string>& names, std::string_view otherwise = "") {
  return names.empty() ? std::string(otherwise) : fmt::format(" {}", fmt::join(names, " "));
}

const secrets::SecretString* value_of(const std::vector<std::pair<std::string, secrets::SecretString>>& variables, std::string_view name) {
  const auto found = std::ranges::find(variables, name, [](const auto& one) -> std::string_view { return one.first; });
  return found == variables.end() ? nullptr : &found->second;
}

/// One rotation; each step says what it does, and stands in the journal before it is done. Where its process dies, the sealed file says how far it came: with
/// NAME__NEXT the server may or may not have been told, with NAME__PREVIOUS it has, and the users may be old.
class Rotation {
 public:
  Rotation(Args& args, std::string name)
      : args_(args), name_(std::move(name)), next_(name_ + std::string(secrets::kNext)), previous_(name_ + std::string(secrets::kPrevious)) {}

  Result<int> run(const std::string& in, const std::string& server, const std::string& account, bool clients_only, bool yes) {
    DM_TRY(auto call, prepare_compose(args_));
    const auto& sealed = call->handover->secrets();
    // As written: in what Compose sees, variables have become files.
    const auto& project = call->handover->written() != nullptr ? *call->handover->written() : *call->loaded.project;
    DM_TRY(secret_, rotate::find_secret(sealed, project, name_, in));
    path_ = secret_.file;
    subject_ = rotate::called(secret_, project.folder);
    DM_TRY(const auto variables, secrets::variables_of(sealed, *sealed.file(path_), args_.project.environment));
    const auto* now = value_of(variables, name_);
    if (now == nullptr) return secrets::fail_as(secrets::kCannotDecrypt, Errc::corrupt, fmt::format("'{}' gives no value for '{}'", path_, name_));
    const auto found = rotate::find_target(project, secret_, server, account);
    if (!found.refusal.empty() && server.empty()) return fail(Errc::unsupported, fmt::format("'{}' is not changed blindly: {}", name_, found.refusal));
    users_ = found.users;
    if (!found.target && !clients_only)
      return fail(Errc::unsupported, fmt::format("'{}' is the password of no PostgreSQL, MariaDB, Valkey or OpenLDAP server of this project; name the account (--server SERVICE --account NAME), or, "
                                                 "where nothing but the users must change, give --clients-only", name_));
    if (found.target && found.target->account.empty()) return fail(Errc::invalid_input, "the account is not known; name it by --account");
    DM_TRY(const auto place, engine::find_engine({args_.host, args_.context}, args_.project.environment, sources::disk()));
    DM_TRY(engine_, engine::open_engine(place));
    project_ = project.name;
    on_server_ = found.target.has_value();
    if (on_server_) target_ = *found.target;
    DM_CHECK(open_journal());
    DM_TRY(auto step, where_it_stands(*now, value_of(variables, next_), value_of(variables, previous_)));
    DM_CHECK(find_copies(sealed, project));
    if (!yes && !agreed(fmt::format("{} {} in {} and recreate{}?", step == Step::begin ? "Change" : "Go on changing", name_, path_, joined(users_, " nothing"))))
      return fail(Errc::conflict, "not agreed to; --yes agrees without a question");
    return change(step);
  }

 private:
  static void say(std::string_view text) {
    fmt::print("{}\n", text);
    std::fflush(stdout);
  }
  static Deadline deadline() { return Deadline::in(std::chrono::minutes(2)); }
  static constexpr auto kStart = std::chrono::minutes(6);  ///< for a database to come up again, on a busy host too

  /// Others may have the same value under their own names: they change with it, unless they are the password of something else.
  Result<void> find_copies(const secrets::ProjectSecrets& sealed, const compose::Project& project) {
    DM_TRY(auto copies, rotate::copies_of(sealed, secret_, {&current_, &wanted_}));
    for (auto& copy : copies) {
      const auto found = rotate::find_target(project, copy.secret, "", "");
      const bool same_account = on_server_ && found.target && found.target->service == target_.service && found.target->account == target_.account;
      const auto what = fmt::format("{} of {}", copy.secret.name, sources::relative_to(copy.secret.file, project.folder));
      if (copy.whole && ((found.certain && !same_account) || !found.refusal.empty())) {
        say(fmt::format("{} has the same value and is left alone: it is {}", what, found.certain ? fmt::format("the password of {}", found.target->service) : "not changed blindly"));
        continue;
      }
      say(fmt::format("{} {} and changes with it", what, copy.whole ? "has the same value" : "contains it"));
      for (const auto& user : found.users)
        if (std::ranges::find(users_, user) == users_.end()) users_.push_back(user);
      copies_.push_back(std::move(copy));
    }
    return {};
  }

  enum class Step { begin, server, file, users, forget };

  Result<void> open_journal() {
    DM_TRY(const auto info, engine_->info(Deadline::in(std::chrono::seconds(20))));
    DM_TRY(store_, state::store_folder(state::root_folder(plain_environment(args_), ::geteuid() == 0), info.id, project_));
    DM_TRY(lock_, state::lock_store(store_, fmt::format("rotation of {}", name_), Deadline::in(std::chrono::seconds(30))));
    db_.emplace(state::open_store(store_));
    for (const auto& entry : state::newest_entries(*db_, 50)) {
      if (entry.verb != "rotate" || entry.subject != subject_ || !entry.outcome.empty()) continue;
      state::finish(*db_, entry.id, "interrupted");
      say(fmt::format("an earlier rotation by {} was cut off at: {}", entry.who, entry.action));
    }
    return {};
  }
  /// The step is in the journal before it is done; the entry of a process that dies in it stays open.
  template <class Do>
  Result<void> journalled(std::string action, Do&& what) {
    const auto id = state::begin(*db_, {.at = std::time(nullptr), .who = who(), .verb = "rotate", .subject = subject_, .action = std::move(action)});
    auto done = what();
    state::finish(*db_, id, done ? "done" : "failed");
    return done;
  }

  /// From the sealed file and the server's own answer: nothing is believed that can be asked. Sets the old and the new value.
  Result<Step> where_it_stands(const secrets::SecretString& now, const secrets::SecretString* next, const secrets::SecretString* previous) {
    const auto takes = [&](const secrets::SecretString& password) -> Result<bool> {
      if (!on_server_) return true;
      const auto until = Deadline::in(std::chrono::minutes(2));
      for (;;) {  // one that a run before this one has recreated may still be starting
        DM_TRY(const auto access, access_to(target_.service));
        auto fits = rotate::password_works(access, target_, password, until);
        if (fits || until.passed() || fits.error().code != Errc::unavailable) return fits;
        std::this_thread::sleep_for(std::chrono::seconds(1));
      }
    };
    const auto neither = [&](std::string_view what) {
      return fail(Errc::denied, fmt::format("the {} server '{}' takes {} for '{}'; nothing was changed", to_string(target_.kind), target_.service, what, target_.account));
    };
    DM_TRY(const bool has_now, takes(now));
    if (next != nullptr) {
      current_ = secrets::SecretString(now.reveal());
      wanted_ = secrets::SecretString(next->reveal());
      if (has_now) return say("an earlier rotation ended before the server was changed; going on with its value"), Step::server;
      DM_TRY(const bool has_next, takes(wanted_));
      if (has_next) return say("an earlier rotation ended when the server had the new value already; going on from there"), Step::file;
      return neither(fmt::format("neither the sealed password nor {}", next_));
    }
    if (previous != nullptr) {
      current_ = secrets::SecretString(previous->reveal());
      wanted_ = secrets::SecretString(now.reveal());
      if (has_now) return say("an earlier rotation ended when the server had the new value and its users may not have had it; going on from there"), Step::users;
      DM_TRY(const bool has_previous, takes(current_));
      if (has_previous) return say("an earlier rotation ended while it went back: the server has the old value; changing it again"), Step::server;
      return neither(fmt::format("neither the sealed password nor {}", previous_));
    }
    if (!has_now) return neither("not the sealed password");
    if (on_server_) say(fmt::format("{} '{}' of {} takes the present password", to_string(target_.kind), target_.account, target_.service));
    current_ = secrets::SecretString(now.reveal());
    wanted_ = new_password();
    return Step::begin;
  }

  Result<int> change(Step from) {
    if (from == Step::begin) {
      // Write ahead: whatever happens from here on, both passwords are sealed in the file.
      DM_CHECK(journalled("seal the new value beside the old", [&] { return store(current_, next_, &wanted_); }));
      say(fmt::format("sealed the new value in {} as {}, beside the present one", path_, next_));
    }
    if (from <= Step::server && on_server_) {
      auto changed = journalled(fmt::format("change it on {}", target_.service), [&] { return apply(current_, wanted_); });
      if (!changed) return back(std::move(changed.error()), false);
      say(fmt::format("changed on {}, verified: the new one works, the old one does not", target_.service));
    }
    if (from <= Step::file) {
      if (auto kept = journalled("seal the new value as the present one", [&] { return store(wanted_, previous_, &current_); }); !kept)
        return back(std::move(kept.error()), false);
      say(fmt::format("the new value is the present one in {}; the old one stays there as {} until the end", path_, previous_));
    }
    if (from <= Step::users) {
      auto recreated = journalled("recreate its users:" + joined(users_), [&] { return recreate(); });
      if (recreated && on_server_) recreated = verify(wanted_);
      if (!recreated) return back(std::move(recreated.error()), true);
    }
    DM_CHECK(journalled("forget the old value", [&] { return store(wanted_, previous_, nullptr); }));
    say("done; the old value is forgotten");
    return kClean;
  }

  Result<rotate::Access> access_to(const std::string& service) {
    DM_TRY(const auto containers, engine_->containers({.labels = compose::replicas_of(project_, service), .all = false}, deadline()));
    if (containers.empty()) return fail(Errc::conflict, fmt::format("service '{}' does not run", service));
    DM_TRY(const auto container, engine_->container(containers[0].id, deadline()));
    std::string address;
    for (const auto& [network, endpoint] : container.networks)
      if (address.empty()) address = endpoint.address;
    return rotate::Access{*engine_, container.id, address, {}, nullptr};
  }

  /// Whether the server takes it; waits while the server starts.
  Result<bool> asked(const secrets::SecretString& password) {
    const auto until = Deadline::in(kStart);
    for (;;) {
      auto access = access_to(target_.service);
      auto fits = access ? rotate::password_works(*access, target_, password, until.at_most(std::chrono::minutes(1))) : Result<bool>(fail(access.error()));
      if (fits || until.passed() || fits.error().code == Errc::unsupported) return fits;
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }
  Result<void> verify(const secrets::SecretString& password) {
    DM_TRY(const bool fits, asked(password));
    return fits ? Result<void>() : fail(Errc::failed, fmt::format("'{}' does not take the password that it was given", target_.service));
  }

  Result<void> apply(const secrets::SecretString& from, const secrets::SecretString& to) {
    DM_TRY(const auto access, access_to(target_.service));
    DM_CHECK(rotate::change_password(access, target_, from, to, deadline()));
    DM_CHECK(verify(to));
    DM_TRY(const bool old, rotate::password_works(access, target_, from, deadline()));
    if (old) return fail(Errc::failed, "the old password still works");
    return {};
  }

  /// NAME and, beside it, one other value; what stood beside it before goes. Copies get what NAME gets.
  Result<void> store(const secrets::SecretString& value, const std::string& beside, const secrets::SecretString* other) {
    DM_TRY(auto keys, secrets::Keyring::load(key_sources(args_)));
    return rotate::write(secret_, copies_, {.value = value, .beside = beside, .other = other, .before = {&current_, &wanted_}}, keys);
  }

  Result<void> recreate() {
    if (users_.empty()) return {};
    DM_TRY(const auto call, prepare_compose(args_));
    DM_CHECK(call->write(args_));
    Command command{call->argv};
    command.descriptors = call->descriptors;
    command.unset = call->handover->names();
    command.argv.insert(command.argv.end(), {"up", "--detach", "--no-deps"});
    command.argv.insert(command.argv.end(), users_.begin(), users_.end());
    auto ran = run_process(command, {}, Deadline::in(std::chrono::minutes(10)));
    if (!ran) return fail(ran.error());
    if (!ran->fine()) {
      DM_TRY(auto variables, secrets::variables_of(call->handover->secrets(), {}));
      const secrets::Scrubber scrubber(std::move(variables));
      return fail(Errc::failed, fmt::format("docker compose could not recreate them: {}", scrubber.clean(ran->err.substr(ran->err.size() > 500 ? ran->err.size() - 500 : 0))));
    }
    const auto until = Deadline::in(kStart);
    for (const auto& user : users_) {
      for (int steady = 0; steady < 3;) {  // running, healthy where it can say so, and that for a while
        DM_TRY(const auto containers, engine_->containers({.labels = compose::replicas_of(project_, user)}, until));
        if (containers.empty()) return fail(Errc::failed, fmt::format("'{}' has no container", user));
        DM_TRY(const auto container, engine_->container(containers[0].id, until));
        const bool one_shot = !container.running && !container.restarting && container.exit_code == 0 && container.restart.name.find("no") != std::string::npos;
        const bool bad = (!container.running && !one_shot) || container.health.status == "unhealthy";
        if (bad && steady == 0 && !container.running && !container.restarting) return fail(Errc::failed, fmt::format("'{}' ended with {} after it was recreated", user, container.exit_code));
        const bool good = one_shot || (container.running && !container.restarting && container.restart_count == 0 && (container.health.status.empty() || container.health.status == "none" || container.health.status == "healthy"));
        steady = good ? steady + 1 : 0;
        if (one_shot) break;
        if (until.passed()) return fail(Errc::timeout, fmt::format("'{}' did not become healthy", user));
        std::this_thread::sleep_for(std::chrono::milliseconds(700));
      }
      say(fmt::format("recreated {}, runs", user));
    }
    return {};
  }

  /// Everything as it was; says so, or what remains to be done by hand.
  Result<int> back(Error why, bool recreated) {
    say(fmt::format("failed: {}; going back", why.describe()));
    const auto id = state::begin(*db_, {.at = std::time(nullptr), .who = who(), .verb = "rotate", .subject = subject_, .action = "go back to the old value"});
    auto out = undo(std::move(why), recreated);
    state::finish(*db_, id, out.error().message.ends_with(kAsItWas) ? "done" : "failed");
    return out;
  }
  Result<int> undo(Error why, bool recreated) {
    if (on_server_) {
      const auto has_new = asked(wanted_);
      if (has_new && *has_new) {
        if (auto undone = apply(wanted_, current_); !undone)
          return fail(Errc::failed, fmt::format("{}; and the server could not be changed back ({}): both values are sealed in {}, under {} and beside it", why.message, undone.error().message, path_, name_));
      } else if (!has_new) {
        return fail(Errc::failed, fmt::format("{}; and the server cannot be asked ({}): both values are sealed in {}, run the rotation again when it runs", why.message, has_new.error().message, path_));
      }
    }
    DM_CHECK(store(current_, previous_, nullptr));
    if (recreated)
      if (auto again = recreate(); !again) return fail(Errc::failed, fmt::format("{}; the old password is back, but: {}", why.message, again.error().message));
    why.message += kAsItWas;
    return fail(std::move(why));
  }

  Args& args_;
  static constexpr std::string_view kAsItWas = "; everything is as it was";
  std::string name_, next_, previous_, path_, subject_, project_, store_;
  rotate::Secret secret_;
  std::vector<rotate::Copy> copies_;
  bool on_server_ = false;
  Fd lock_;
  std::optional<state::Db> db_;
  std::vector<std::string> users_;
  rotate::Target target_;
  secrets::SecretString current_, wanted_;
  std::unique_ptr<engine::Engine> engine_;
};

Result<int> rotate_one(Args& args) {
  std::string in, server, account;
  if (args.option("--in", in)) in = absolute(args, in);
  args.option("--server", server);
  args.option("--account", account);
  const bool clients_only = args.has("--clients-only"), yes = args.has("--yes");
  if (args.words.size() != 1 || args.words[0].starts_with('-')) return secrets_usage("rotate", args.words.empty() ? "a name is missing" : fmt::format("'{}' is not known", args.words.back()));
  if (server.empty() != account.empty()) return secrets_usage("rotate", "--server and --account go together");
  return Rotation(args, args.words[0]).run(in, server, account, clients_only, yes);
}

}  // namespace

int secrets_rotate(Args& args) {
  const auto result = rotate_one(args);
  return result ? *result : complain(result.error());
}

}  // namespace dm::cli
