// secrets rotate: a new password on the server, then in its clients, and back again where something fails.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "base/process.hpp"
#include "cli/secrets_compose.hpp"
#include "engine/context.hpp"
#include "rotate/account.hpp"
#include "secrets/crypto.hpp"

namespace dm::cli {
namespace {

constexpr std::string_view kPrevious = "__PREVIOUS";  ///< the old value lies sealed under NAME__PREVIOUS until the new one is proven

secrets::SecretString new_password() { return secrets::SecretString(secrets::hex(secrets::random_bytes(20))); }  // 160 bits, no character that any client minds

const secrets::SecretString* value_of(const std::vector<std::pair<std::string, secrets::SecretString>>& variables, std::string_view name) {
  const auto found = std::ranges::find(variables, name, [](const auto& one) -> std::string_view { return one.first; });
  return found == variables.end() ? nullptr : &found->second;
}

/// One rotation; each step says what it does.
class Rotation {
 public:
  Rotation(Args& args, std::string name) : args_(args), name_(std::move(name)), previous_(name_ + std::string(kPrevious)) {}

  Result<int> run(const std::string& server, const std::string& account, bool clients_only, bool yes) {
    DM_TRY(auto call, prepare_compose(args_));
    DM_TRY(const auto variables, secrets::variables_of(call->handover->secrets(), args_.project.environment));
    const auto* now = value_of(variables, name_);
    if (now == nullptr) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("no sealed file of the project has '{}'", name_));
    for (const auto& file : call->handover->secrets().files)
      if (std::ranges::find(file.names, name_) != file.names.end()) path_ = file.path;
    // As written: in what Compose sees, variables have become files.
    const auto& project = call->handover->written() != nullptr ? *call->handover->written() : *call->loaded.project;
    const auto found = rotate::find_target(project, name_, server, account);
    if (!found.refusal.empty() && server.empty()) return fail(Errc::unsupported, fmt::format("'{}' is not changed blindly: {}", name_, found.refusal));
    users_ = found.users;
    if (!found.target && !clients_only)
      return fail(Errc::unsupported, fmt::format("'{}' is the password of no PostgreSQL, MariaDB, Valkey or OpenLDAP server of this project; name the account (--server SERVICE --account NAME), or, "
                                                 "where nothing but the users must change, give --clients-only", name_));
    if (found.target && found.target->account.empty()) return fail(Errc::invalid_input, "the account is not known; name it by --account");
    current_ = secrets::SecretString(now->reveal());
    wanted_ = new_password();
    DM_TRY(const auto place, engine::find_engine({}, args_.project.environment, sources::disk()));
    DM_TRY(engine_, engine::open_engine(place));
    project_ = project.name;
    if (found.target) {
      target_ = *found.target;
      DM_TRY(auto access, access_to(target_.service));
      DM_TRY(bool fits, rotate::password_works(access, target_, current_, deadline()));
      if (const auto* before = value_of(variables, previous_); !fits && before != nullptr) {  // an earlier rotation was cut off
        DM_TRY(fits, rotate::password_works(access, target_, *before, deadline()));
        current_ = secrets::SecretString(before->reveal());
        say(fmt::format("an earlier rotation was cut off: the server still has the password before it"));
      }
      if (!fits) return fail(Errc::denied, fmt::format("the {} server '{}' does not take the sealed password for '{}'; nothing was changed", to_string(target_.kind), target_.service, target_.account));
      say(fmt::format("{} '{}' of {} takes the present password", to_string(target_.kind), target_.account, target_.service));
    }
    std::string list;
    for (const auto& user : users_) list += " " + user;
    if (!yes && !agreed(fmt::format("Change {} and recreate{}?", name_, list.empty() ? " nothing" : list))) return fail(Errc::conflict, "not agreed to; --yes agrees without a question");
    return change(found.target.has_value());
  }

 private:
  static void say(std::string_view text) {
    fmt::print("{}\n", text);
    std::fflush(stdout);
  }
  static Deadline deadline() { return Deadline::in(std::chrono::minutes(2)); }
  static constexpr auto kStart = std::chrono::minutes(6);  ///< for a database to come up again, on a busy host too

  Result<int> change(bool on_server) {
    // Write ahead: whatever happens from here on, both passwords are sealed in the file.
    DM_CHECK(store(wanted_, &current_));
    say(fmt::format("sealed the new value in {}; the old one stays there as {} until the end", path_, previous_));
    if (on_server) {
      auto changed = apply(current_, wanted_);
      if (!changed) return back(std::move(changed.error()), false, on_server);
      say(fmt::format("changed on {}, verified: the new one works, the old one does not", target_.service));
    }
    auto recreated = recreate();
    if (recreated && on_server) recreated = verify(wanted_);
    if (!recreated) return back(std::move(recreated.error()), true, on_server);
    DM_CHECK(store(wanted_, nullptr));
    say("done; the old value is forgotten");
    return kClean;
  }

  Result<rotate::Access> access_to(const std::string& service) {
    DM_TRY(const auto containers, engine_->containers({.labels = {"com.docker.compose.project=" + project_, "com.docker.compose.service=" + service}, .all = false}, deadline()));
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

  Result<void> store(const secrets::SecretString& value, const secrets::SecretString* previous) {
    DM_TRY(auto keys, secrets::Keyring::load(key_sources(args_)));
    DM_TRY(const auto file, secrets::open_sealed(path_, keys));
    auto plain = secrets::plain_document(file.opened);
    const auto set = [&](const std::string& name, const secrets::SecretString& text) {
      auto leaf = std::ranges::find_if(plain.leaves, [&](const secrets::Leaf& one) { return one.type != secrets::LeafType::comment && one.path.at(0) == name; });
      if (leaf == plain.leaves.end()) leaf = plain.leaves.insert(leaf, {{name}, secrets::LeafType::str, {}, {}, 0});
      leaf->text = secrets::dotenv_value(text.reveal());
    };
    set(name_, value);
    if (previous != nullptr) set(previous_, *previous);
    else std::erase_if(plain.leaves, [&](const secrets::Leaf& leaf) { return leaf.type != secrets::LeafType::comment && leaf.path.at(0) == previous_; });
    DM_TRY(const bool changed, secrets::save_sealed(file, std::move(plain)));
    (void)changed;
    return {};
  }

  Result<void> recreate() {
    if (users_.empty()) return {};
    DM_TRY(const auto call, prepare_compose(args_));
    DM_CHECK(call->handover->write());
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
        DM_TRY(const auto containers, engine_->containers({.labels = {"com.docker.compose.project=" + project_, "com.docker.compose.service=" + user}}, until));
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
  Result<int> back(Error why, bool recreated, bool on_server) {
    say(fmt::format("failed: {}; going back", why.describe()));
    if (on_server) {
      const auto has_new = asked(wanted_);
      if (has_new && *has_new) {
        if (auto undone = apply(wanted_, current_); !undone)
          return fail(Errc::failed, fmt::format("{}; and the server could not be changed back ({}): both values are sealed in {}, as {} and {}", why.message, undone.error().message, path_, name_, previous_));
      } else if (!has_new) {
        return fail(Errc::failed, fmt::format("{}; and the server cannot be asked ({}): both values are sealed in {}, run the rotation again when it runs", why.message, has_new.error().message, path_));
      }
    }
    DM_CHECK(store(current_, nullptr));
    if (recreated)
      if (auto again = recreate(); !again) return fail(Errc::failed, fmt::format("{}; the old password is back, but: {}", why.message, again.error().message));
    why.message += "; everything is as it was";
    return fail(std::move(why));
  }

  Args& args_;
  std::string name_, previous_, path_, project_;
  std::vector<std::string> users_;
  rotate::Target target_;
  secrets::SecretString current_, wanted_;
  std::unique_ptr<engine::Engine> engine_;
};

Result<int> rotate_one(Args& args) {
  std::string server, account;
  args.option("--server", server);
  args.option("--account", account);
  const bool clients_only = args.has("--clients-only"), yes = args.has("--yes");
  if (args.words.size() != 1 || args.words[0].starts_with('-')) return secrets_usage("rotate", args.words.empty() ? "a name is missing" : fmt::format("'{}' is not known", args.words.back()));
  if (server.empty() != account.empty()) return secrets_usage("rotate", "--server and --account go together");
  return Rotation(args, args.words[0]).run(server, account, clients_only, yes);
}

}  // namespace

int secrets_rotate(Args& args) {
  const auto result = rotate_one(args);
  return result ? *result : complain(result.error());
}

}  // namespace dm::cli
