/// upgrade SERVICE: a newer image, with a verified backup before and the way back behind.
#include "upgrade/upgrade.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "base/process.hpp"
#include "cli/recovering.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

void say(std::string_view text) {
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

/// By the docker CLI, which knows how its user is logged in.
Result<void> docker(const Args& args, std::initializer_list<std::string> words, const Deadline& deadline) {
  Command command{{"docker"}};
  if (!args.host.empty()) command.argv.insert(command.argv.end(), {"-H", args.host});
  if (!args.context.empty()) command.argv.insert(command.argv.end(), {"--context", args.context});
  command.argv.insert(command.argv.end(), words);
  DM_CHECK(run_fine(command, {}, deadline));
  return {};
}

Result<void> pull(const Args& args, BackupSession& backup, const std::string& image, bool always) {
  if (!always && backup.engine->image(image, backup.within(std::chrono::hours(24)))) return {};
  say("pulling " + image);
  return during("pulling " + image, docker(args, {"pull", "--quiet", image}, backup.within(std::chrono::hours(2))));
}

Result<void> start(const Args& args, const BackupSession& backup, std::vector<std::string> names, std::vector<std::string> force) {
  DM_TRY(const auto up, bring_up_project(args, backup.quiet, std::move(names), false, std::move(force)));
  if (up.interrupted) return fail(Errc::conflict, "interrupted");
  if (up.fine) return {};
  fmt::print(stderr, "{}", deploy::outcome_text(up, backup.project));
  return fail(Errc::failed, up.services.empty() ? up.creation_error : fmt::format("'{}' is not well: {}", up.services.front().service, up.services.front().view.why));
}

upgrade::Hands hands_for(const Args& args, BackupSession& backup, bool pull_always) {
  return {.engine = *backup.engine, .repository = *backup.repository, .project = backup.project, .store = backup.store, .stop = backup.stop, .progress = progress_of(backup), .say = say,
          .saved = [&backup](const backup::Manifest& run) {
            state::add(*backup.db, state::BackupRecord{run.run, backup.repository->location().name, run.started, run.finished, run.outcome(), run.bytes(), run.added(), 0, run.json()});
          },
          .pull = [&args, &backup, pull_always](const std::string& image) { return pull(args, backup, image, pull_always); },
          .name_image = [&args](const std::string& id, const std::string& name) { return during(fmt::format("naming {} {} again", id, name), docker(args, {"tag", id, name}, Deadline::in(std::chrono::minutes(5)))); },
          .start = [&args, &backup](std::vector<std::string> names, std::vector<std::string> force) { return start(args, backup, std::move(names), std::move(force)); }};
}

/// The project as its files are now, and what is to be done with it.
struct Prepared {
  backup::Inventory inventory{};
  upgrade::Plan plan{};
};

Result<Prepared> prepare(const Args& args, BackupSession& backup, const std::string& name, const std::string& to) {
  auto loading = args;
  Session session;
  int exit = kFailed;
  if (!open_session(loading, {name}, session, exit, false)) return fail(Error{Errc::invalid_input, "", {}, exit});  // it has said why
  Prepared out;
  DM_TRY(out.inventory, backup.inventory());
  upgrade::Registry registry(args.project.environment);
  DM_TRY(out.plan, upgrade::make_plan({session.project(), session.wiring, session.products, out.inventory, *backup.engine, registry}, name, to, backup.within(std::chrono::hours(24))));
  return out;
}

/// Takes back what an interrupted upgrade has left, before anything else is done.
Result<void> take_back(const Args& args, BackupSession& backup, const std::string& name, bool dry_run) {
  DM_TRY(const auto left, upgrade::read_unfinished(backup.store));
  if (!left) return {};
  const auto what = fmt::format("an upgrade of '{}' from {} to {} was interrupted", left->service, left->from, left->image);
  // Only for the service that was asked for: --yes to one is no yes to another.
  if (dry_run || left->service != name) return fail(Errc::conflict, fmt::format("{}: 'datamancy upgrade {}' goes back first", what, left->service));
  if (!agreed(backup, fmt::format("{}. Go back to {} first, with the data of before? What has been written since {} lost.", what, left->from,
                                  left->step == upgrade::Unfinished::Step::changed ? "is kept in a volume of its own, not" : "is not"))) return fail(Errc::conflict, what);
  DM_TRY(const auto lock, state::lock_store(backup.store, "going back from an upgrade", backup.within(std::chrono::seconds(10))));
  const auto entry = state::begin(*backup.db, {.at = backup::unix_now(), .who = who(), .verb = "upgrade", .subject = left->service, .action = fmt::format("back to {} after an interruption", left->from)});
  upgrade::Upgrade before(hands_for(args, backup, false), *left);
  const auto done = during("going back from an interrupted upgrade", before.go_back_from_left([&]() -> Result<upgrade::Plan> {
    DM_TRY(auto prepared, prepare(args, backup, name, left->image));
    return std::move(prepared.plan);
  }));
  state::finish(*backup.db, entry, done ? "went back" : done.error().message);
  DM_CHECK(done);
  say(fmt::format("{}: '{}' runs {} again, with the data of before", what, left->service, left->from));
  return {};
}

/// Back to the old image, and to the data of before where the new one may have changed it.
int back(BackupSession& backup, const upgrade::Plan& plan, upgrade::Upgrade& upgrade, std::int64_t entry, const Error& cause) {
  const auto finish = [&](const std::string& words) { state::finish(*backup.db, entry, words); };
  if (upgrade.touched() && backup.stop.stop_requested()) {  // every step back would be interrupted, too
    finish("interrupted");
    say(fmt::format("interrupted half-way: 'datamancy upgrade {}' goes back first; 'up' waits for that", plan.service));
    return kFindings;
  }
  if (!upgrade.touched()) {
    const auto undone = during(fmt::format("{} names the image that was pulled", plan.image), upgrade.undo_pull());
    if (!undone) complain(undone.error());
    finish(fmt::format("failed, {}: {}", undone ? "nothing was changed" : "its tag was moved by the pull", cause.message));
    return kFailed;
  }
  const bool data = upgrade.may_have_changed_data();
  if (data && !agreed(backup, fmt::format("Go back to {}, with the data of before? What the new version has written since is lost.", plan.from))) {
    if (auto gone = upgrade::forget_unfinished(backup.store); !gone) complain(gone.error());
    finish("failed, and left as it is");
    say(fmt::format("left as it is; backup {} has the data of before{}", upgrade.run(), upgrade.kept().empty() ? "" : ", and volume " + upgrade.kept()));
    return kFindings;
  }
  const auto went = upgrade.go_back(data);
  finish(went ? "failed, went back" : "failed, and could not go back");
  if (went) {
    say(fmt::format("'{}' runs {} again{}", plan.service, plan.from, data ? ", with the data of before" : ""));
  } else {
    complain(went.error());
    say(fmt::format("backup {} has the data of before{}; the file of before is {}", upgrade.run(), upgrade.kept().empty() ? "" : ", volume " + upgrade.kept() + " too", upgrade.file_of_before()));
  }
  return kFindings;
}

int carry_out(const Args& args, BackupSession& backup, const std::string& name, const std::string& to, bool dry_run) {
  const auto prepared = prepare(args, backup, name, to);
  if (!prepared) return prepared.error().message.empty() ? prepared.error().exit : complain(prepared.error());
  const auto& plan = prepared->plan;
  fmt::print("{}", upgrade::text(plan));
  std::fflush(stdout);
  if (!plan.judgement.refusal.empty()) return complain({Errc::conflict, plan.judgement.refusal, {}});
  if (dry_run) return kClean;
  if (!agreed(backup, fmt::format("Upgrade '{}' to {}?", name, plan.image))) return kFailed;
  const auto lock = state::lock_store(backup.store, "upgrade of " + name, backup.within(std::chrono::seconds(10)));
  if (!lock) return complain(lock.error());
  const auto entry = state::begin(*backup.db, {.at = backup::unix_now(), .who = who(), .verb = "upgrade", .subject = name, .action = fmt::format("{} to {}", plan.from, plan.image)});
  upgrade::Upgrade upgrade(hands_for(args, backup, plan.pull_always), plan);
  if (const auto done = upgrade.act(prepared->inventory); !done) {
    complain(done.error());
    return back(backup, plan, upgrade, entry, done.error());
  }
  state::finish(*backup.db, entry, "upgraded");
  say(fmt::format("'{}' runs {}", name, plan.image));
  if (!upgrade.kept().empty()) say(fmt::format("the data of before is kept in {}; remove it when all is well", upgrade.kept()));
  return kClean;
}

}  // namespace

int upgrade(Args& args) {
  BackupSession session;
  std::string to;
  const bool dry_run = args.has("--dry-run");
  args.option("--to", to);
  auto plain = args;
  {  // what is wrong is said before a repository and its password are made for it
    auto trial = args;
    BackupSession look;
    if (auto opened = open_backup(trial, Needs::engine, true, look); !opened) return complain(opened.error());
    if (trial.words.size() != 1 || trial.words[0].starts_with('-')) {
      fmt::print(stderr, "usage: datamancy upgrade SERVICE [--to TAG] [--dry-run] [--yes]\n");
      return kUsage;
    }
    auto loading = plain;
    loading.words.clear();
    Session known;
    int exit = kFailed;
    if (!open_session(loading, {trial.words[0]}, known, exit, false)) return exit;
  }
  if (auto opened = open_backup(args, dry_run ? Needs::engine : Needs::engine_and_repository, true, session); !opened) return complain(opened.error());
  plain.words.clear();
  if (auto back = take_back(plain, session, args.words[0], dry_run); !back) return complain(back.error());
  return carry_out(plain, session, args.words[0], to, dry_run);
}

}  // namespace dm::cli
