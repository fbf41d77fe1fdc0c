/// upgrade SERVICE: a newer image, with a verified backup before and the way back behind.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/files.hpp"
#include "base/process.hpp"
#include "cli/recovering.hpp"
#include "recover/bring_back.hpp"
#include "state/journal.hpp"
#include "upgrade/edit.hpp"
#include "upgrade/judge.hpp"
#include "upgrade/registry.hpp"
#include "upgrade/unfinished.hpp"

namespace dm::cli {
namespace {

using upgrade::Data;

void say(std::string_view text) {
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

class Upgrade {
 public:
  Upgrade(Args& args, BackupSession& backup, std::string name, std::string to) : args_(args), backup_(backup), name_(std::move(name)), to_(std::move(to)) {}

  /// Takes back what an interrupted upgrade has left, before anything else is done.
  Result<void> take_back(bool dry_run) {
    DM_TRY(auto left, upgrade::read_unfinished(backup_.store));
    if (!left) return {};
    const auto what = fmt::format("an upgrade of '{}' from {} to {} was interrupted", left->service, left->from, left->image);
    // Only for the service that was asked for: --yes to one is no yes to another.
    if (dry_run || left->service != name_) return fail(Errc::conflict, fmt::format("{}: 'datamancy upgrade {}' goes back first", what, left->service));
    if (!agreed(backup_, fmt::format("{}. Go back to {} first, with the data of before? What has been written since {} lost.", what, left->from,
                                     left->step == upgrade::Unfinished::Step::changed ? "is kept in a volume of its own, not" : "is not"))) return fail(Errc::conflict, what);
    DM_TRY(const auto lock, state::lock_store(backup_.store, "going back from an upgrade", backup_.within(std::chrono::seconds(10))));
    entry_ = state::begin(*backup_.db, {.at = backup::unix_now(), .who = who(), .verb = "upgrade", .subject = left->service, .action = fmt::format("back to {} after an interruption", left->from)});
    const auto done = during("going back from an interrupted upgrade", go_back_from(*left));
    state::finish(*backup_.db, entry_, done ? "went back" : done.error().message);
    DM_CHECK(done);
    say(fmt::format("{}: '{}' runs {} again, with the data of before", what, left->service, left->from));
    return {};
  }

  int run(bool dry_run) {
    auto loading = args_;
    int exit = kFailed;
    if (!open_session(loading, {name_}, session_, exit, false)) return exit;
    auto planned = plan();
    if (!planned) return complain(planned.error());
    print_plan();
    if (!judgement_.refusal.empty()) return complain({Errc::conflict, judgement_.refusal, {}});
    if (from_ == image_) {
      if (!pull_always_) {
        say("nothing to do: that is the image that it has");
        return kClean;
      }
    }
    if (dry_run) return kClean;
    if (!agreed(backup_, fmt::format("Upgrade '{}' to {}?", name_, image_))) return kFailed;
    auto lock = state::lock_store(backup_.store, "upgrade of " + name_, backup_.within(std::chrono::seconds(10)));
    if (!lock) return complain(lock.error());
    entry_ = state::begin(*backup_.db, {.at = backup::unix_now(), .who = who(), .verb = "upgrade", .subject = name_, .action = fmt::format("{} to {}", from_, image_)});
    auto done = act();
    if (done) done = upgrade::forget_unfinished(backup_.store);
    if (done) {
      state::finish(*backup_.db, entry_, "upgraded");
      say(fmt::format("'{}' runs {}", name_, image_));
      if (!kept_.empty()) say(fmt::format("the data of before is kept in {}; remove it when all is well", kept_));
      return kClean;
    }
    complain(done.error());
    return back(done.error());
  }

 private:
  /// On disk before it is done.
  Result<void> note(upgrade::Unfinished::Step step) {
    left_.step = step;
    return upgrade::write_unfinished(backup_.store, left_);
  }

  Result<void> go_back_from(const upgrade::Unfinished& left) {
    using Step = upgrade::Unfinished::Step;
    left_ = left;
    resumed_ = true;
    name_ = left.service;
    from_ = left.from;
    running_ = left.running;
    if (!left.path.empty()) {
      const auto now = sources::disk().read(left.path, 16U << 20U);
      if (!now || (*now != left.before && *now != left.after))
        return fail(Errc::conflict, fmt::format("{} was changed since: put image {} back there yourself, remove {}/upgrade.json, and look at volume {}", left.path, left.from,
                                                backup_.store, left.kept.empty() ? "of the service" : left.kept));
      edit_ = {.path = left.path, .before = left.before, .after = left.after};
      edited_ = *now == left.after;
    }
    if (!left.kept.empty() && left.step != Step::stopping) {
      judgement_.data = Data::dump;
      place_.name = left.volume;
      kept_ = left.kept;
      started_ = left.step == Step::changed;
      return go_back(started_);
    }
    // The data lies where it was, or is on its way there. Has the new version run on it?
    const bool data = left.step == Step::returning || (left.step == Step::changed && !left.run.empty() && left.migrates.value_or(true));
    if (edited_) DM_CHECK(write_atomic(edit_.path, edit_.before));
    edited_ = false;
    if (data) {
      DM_TRY(auto history, backup::history(*backup_.repository, backup_.project, 10000, limit()));
      const auto* run = history.find(left.run);
      if (run == nullptr) return fail(Errc::not_found, fmt::format("the backup {} is not in repository '{}'", left.run, backup_.repository->location().name));
      run_ = *run;
      if (left.migrates) {  // nothing of it need be there: a container may be gone half-way
        judgement_.data = Data::migrates;
        return go_back(true);
      }
      auto loading = args_;
      int exit = kFailed;
      if (!open_session(loading, {name_}, session_, exit, false)) return fail(Errc::invalid_input, "the project cannot be loaded");
      to_ = left.image;
      DM_CHECK(plan());
      running_ = left.running;
      DM_CHECK(list_changes());
      return go_back(true);
    }
    DM_CHECK(start(all(), {name_}));
    return upgrade::forget_unfinished(backup_.store);
  }

  Deadline limit() const { return backup_.within(std::chrono::hours(24)); }

  Result<void> plan() {
    const auto* service = session_.project().service(name_);
    if (service == nullptr) return fail(Errc::not_found, fmt::format("no service '{}'", name_));
    from_ = deploy::image_of(session_.project(), *service);
    const auto parts = product::split_image(from_);
    if (!parts.digest.empty()) return fail(Errc::unsupported, fmt::format("'{}' is pinned to a digest: put the new digest into the file, then 'datamancy up'", name_));
    const auto id = session_.wiring.id_of(name_);
    const auto* product = session_.wiring.product_of[id];
    tag_ = parts.tag.empty() ? "latest" : std::string(parts.tag);
    if (to_.empty()) {
      DM_TRY(const auto image, upgrade::parse_image(from_));
      const auto tag = upgrade::parse_tag(tag_);
      if (!tag) return fail(Errc::invalid_input, fmt::format("'{}' is no version: say which one by --to TAG", tag_));
      upgrade::Registry registry(args_.project.environment);
      DM_TRY(const auto tags, during("looking for a newer one (--to TAG says which)", registry.tags(image, backup_.within(std::chrono::minutes(1)))));
      to_ = upgrade::candidates(*tag, tags).within;
      if (to_.empty()) return fail(Errc::not_found, fmt::format("there is no newer {} within its version; 'datamancy outdated {}' lists others, --to TAG takes one", from_, name_));
    }
    const auto repository = parts.tag.empty() ? from_ : from_.substr(0, from_.size() - parts.tag.size() - 1);
    image_ = to_.find('/') != std::string::npos || to_.find(':') != std::string::npos ? to_ : repository + ":" + to_;
    pull_always_ = image_ == from_;
    DM_TRY(inventory_, backup_.inventory());
    // Its own data, and the datastores that it needs: an application migrates its database.
    for (const auto& subject : inventory_.subjects)
      if (subject.what != backup::Subject::What::project && std::ranges::find(subject.services, name_) != subject.services.end()) {
        own_.push_back(subject.id);
        if (subject.what == backup::Subject::What::datastore) datastore_ = true;
        else trees_.push_back(subject.id);
      }
    for (const auto other : session_.wiring.dependencies[id]) {
      const std::string needed(session_.project().services[other].name);
      if (const auto* subject = inventory_.find(needed); subject != nullptr && subject->what == backup::Subject::What::datastore) needed_.push_back(needed);
    }
    // A copy of a known image under another name is known by what runs in it.
    if (const auto* subject = inventory_.find(name_); product == nullptr && subject != nullptr) product = session_.products.by_id(subject->target.kind);
    judgement_ = upgrade::judge(product, tag_, product::split_image(image_).tag, !own_.empty() || !needed_.empty());
    if (judgement_.data == Data::dump && !datastore_) judgement_.refusal = "its data has to go through a dump, and there is no driver for it";
    if (judgement_.data == Data::dump && judgement_.refusal.empty()) {
      DM_TRY(place_, find_place());
    }
    for (const auto client : session_.wiring.blast_radius(id)) clients_.emplace_back(session_.project().services[client].name);
    if (product != nullptr && judgement_.data != Data::stays) hints_ = product->notes;
    if (from_ != image_) {
      auto edited = upgrade::edit_image(session_.project(), *service, image_);
      if (!edited) return fail(edited.error());
      edit_ = *std::move(edited);
    }
    return {};
  }

  void print_plan() const {
    fmt::print("{}: {} -> {} ({} step; data: {})\n", name_, from_, image_, upgrade::to_string(judgement_.step), upgrade::to_string(judgement_.data));
    for (const auto& trap : judgement_.traps) fmt::print("  trap: {}\n", trap);
    for (const auto& hint : hints_) fmt::print("  known: {}\n", hint);
    int number = 0;
    fmt::print("  {}. pull {}\n", ++number, image_);
    if (judgement_.data != Data::stays && !clients_.empty()) fmt::print("  {}. stop {}{}\n", ++number, fmt::format("{}", fmt::join(clients_, ", ")), judgement_.data == Data::dump ? ", and take the server off its networks" : "");
    std::vector<std::string> saved = own_;
    saved.insert(saved.end(), needed_.begin(), needed_.end());
    if (!saved.empty()) fmt::print("  {}. back up {}, verified and read back\n", ++number, fmt::join(saved, ", "));
    if (judgement_.data == Data::dump) fmt::print("  {}. keep the data of {} aside, start the new server empty, restore, compare every fingerprint\n", ++number, place_.name);
    if (!edit_.path.empty()) fmt::print("  {}. {}: image {}\n", ++number, edit_.place, image_);
    fmt::print("  {}. start it, wait until it and what needs it are stable; else back to {}{}\n", ++number, from_, judgement_.data == Data::stays ? "" : ", with the data of before");
    std::fflush(stdout);
  }

  /// Where the server keeps its data.
  Result<engine::Mount> find_place() const {
    const auto* subject = inventory_.find(name_);
    DM_TRY(const auto container, backup_.engine->container(subject->target.container, limit()));
    engine::Mount best;
    for (const auto& mount : container.mounts) {
      const bool holds = subject->target.data_path == mount.target || (subject->target.data_path.starts_with(mount.target) && subject->target.data_path[mount.target.size()] == '/');
      if (holds && mount.type == "volume" && mount.target.size() > best.target.size()) best = mount;
    }
    if (best.name.empty()) return fail(Errc::unsupported, fmt::format("the data of '{}' ({}) is in no volume with a name: only those are changed here", name_, subject->target.data_path));
    return best;
  }

  Result<std::vector<engine::ContainerSummary>> containers_of(const std::string& service) const {
    return backup_.engine->containers({.labels = {"com.docker.compose.project=" + backup_.project, "com.docker.compose.service=" + service}}, limit());
  }
  Result<void> stop(const std::string& service) {
    DM_TRY(const auto containers, containers_of(service));
    for (const auto& container : containers) DM_CHECK(during("stopping " + service, backup_.engine->stop(container.id, -1, limit())));
    return {};
  }
  Result<void> remove(const std::string& service) {
    DM_TRY(const auto containers, containers_of(service));
    for (const auto& container : containers) {
      DM_CHECK(backup_.engine->stop(container.id, -1, limit()));
      DM_CHECK(backup_.engine->remove(container.id, /*force=*/false, /*volumes=*/false, limit()));
    }
    return {};
  }

  Result<void> pull() {
    if (!pull_always_ && backup_.engine->image(image_, limit())) return {};
    say("pulling " + image_);
    Command command{{"docker"}};
    if (!args_.host.empty()) command.argv.insert(command.argv.end(), {"-H", args_.host});
    if (!args_.context.empty()) command.argv.insert(command.argv.end(), {"--context", args_.context});
    command.argv.insert(command.argv.end(), {"pull", "--quiet", image_});
    DM_TRY(const auto finished, during("pulling " + image_, run_fine(command, {}, backup_.within(std::chrono::hours(2)))));
    (void)finished;
    return {};
  }

  Result<void> save() {
    backup::RunOptions options;
    options.only = own_;
    options.only.insert(options.only.end(), needed_.begin(), needed_.end());
    if (options.only.empty()) return {};
    options.progress = progress_of(backup_);
    options.quiesced = backup_.store + "/quiesced";
    for (const auto& line : backup::standstills(inventory_, options)) say("services stand still " + line);
    DM_TRY(run_, backup::run_backup(*backup_.engine, inventory_, *backup_.repository, options, limit()));
    state::add(*backup_.db, state::BackupRecord{run_.run, backup_.repository->location().name, run_.started, run_.finished, run_.outcome(), run_.bytes(), run_.added(), 0, run_.json()});
    if (run_.outcome() != state::Outcome::verified) {
      for (const auto& saved : run_.saved)
        if (saved.outcome != state::Outcome::verified) return fail(Errc::conflict, fmt::format("nothing was changed: the backup of {}/{} is not verified: {}", saved.subject, saved.item, saved.trouble));
    }
    for (const auto& saved : run_.saved) DM_CHECK(during(fmt::format("reading {}/{} back", saved.subject, saved.item), backup::read_back(*backup_.repository, saved, {}, limit())));
    say(fmt::format("backup {}: {} in {} streams, verified and read back", run_.run, human_bytes(run_.bytes()), run_.saved.size()));
    return {};
  }

  std::vector<const backup::Saved*> saved_of(std::string_view subject) const {
    std::vector<const backup::Saved*> out;
    for (const auto& saved : run_.saved)
      if (saved.subject == subject) out.push_back(&saved);
    return out;
  }

  /// Starts services, gated; an error where one is not well.
  Result<void> start(std::vector<std::string> names, std::vector<std::string> force = {}) {
    DM_TRY(const auto up, bring_up_project(args_, backup_.quiet, std::move(names), false, std::move(force)));
    if (up.interrupted) return fail(Errc::conflict, "interrupted");
    if (up.fine) return {};
    fmt::print(stderr, "{}", deploy::outcome_text(up, backup_.project));
    return fail(Errc::failed, up.services.empty() ? up.creation_error : fmt::format("'{}' is not well: {}", up.services.front().service, up.services.front().view.why));
  }

  /// What ran before, and is to run again.
  std::vector<std::string> all() const {
    std::vector<std::string> out{name_};
    out.insert(out.end(), running_.begin(), running_.end());
    return out;
  }

  Result<void> restore_datastore(const std::string& service) {
    const auto saved = saved_of(service);
    if (saved.empty()) return {};
    DM_TRY(const auto containers, containers_of(service));
    if (containers.empty()) return fail(Errc::not_found, fmt::format("'{}' has no container", service));
    DM_TRY(const auto restored, recover::live(*backup_.engine, *backup_.repository, saved, containers.front().id, progress_of(backup_), limit()));
    say(fmt::format("{}: {}", service, restored.detail));
    return {};
  }

  Result<void> act() {
    DM_CHECK(pull());
    for (const auto& client : clients_) {
      DM_TRY(const auto containers, containers_of(client));
      if (std::ranges::any_of(containers, [](const auto& container) { return container.state == "running"; })) running_.push_back(client);
    }
    left_ = {.service = name_, .from = from_, .image = image_, .path = edit_.path, .before = edit_.before, .after = edit_.after, .volume = {}, .kept = {}, .run = {}, .running = running_};
    DM_CHECK(list_changes());
    if (judgement_.data != Data::stays) {
      DM_CHECK(note(upgrade::Unfinished::Step::stopping));
      touched_ = true;
      for (const auto& client : running_) DM_CHECK(stop(client));
      if (judgement_.data == Data::dump) {
        // Nobody may write after the dump: the server loses its networks, its own socket stays.
        DM_TRY(const auto containers, containers_of(name_));
        for (const auto& container : containers)
          for (const auto& [network, endpoint] : container.networks) DM_CHECK(during("taking it off " + network, backup_.engine->disconnect(endpoint.network_id, container.id, true, limit())));
        say("no client reaches it any more");
      } else if (!datastore_) {
        DM_CHECK(stop(name_));
      }
    }
    DM_CHECK(save());
    touched_ = true;
    left_.run = run_.run;
    if (judgement_.data == Data::dump) {
      const auto kept = fmt::format("{}.before-{}", place_.name, product::split_image(image_).tag);
      DM_CHECK(recover::make_room(*backup_.engine, place_.name, kept, limit()));
      DM_CHECK(remove(name_));
      left_.volume = place_.name;
      left_.kept = kept;
      DM_CHECK(note(upgrade::Unfinished::Step::moving));
      kept_ = kept;
      DM_TRY(const auto moved, recover::set_aside(*backup_.engine, place_.name, kept, limit()));
      say(fmt::format("{} entries of volume {} are kept in volume {}", moved, place_.name, kept_));
    }
    DM_CHECK(note(upgrade::Unfinished::Step::changed));
    if (!edit_.path.empty()) {
      DM_CHECK(make_folders(backup_.store, 0700));
      DM_CHECK(write_atomic(fmt::format("{}/before-upgrade-{}", backup_.store, sources::file_name(edit_.path)), edit_.before, 0600));
      DM_CHECK(write_atomic(edit_.path, edit_.after));
      edited_ = true;
    }
    started_ = true;
    if (judgement_.data == Data::dump) {
      DM_CHECK(start({name_}));
      DM_CHECK(restore_datastore(name_));
    }
    return start(all(), pull_always_ ? std::vector<std::string>{name_} : std::vector<std::string>{});
  }

  /// Back to the old image, and to the data of before where the new one may have changed it.
  int back(const Error& cause) {
    if (touched_ && backup_.stop.stop_requested()) {  // every step back would be interrupted, too
      state::finish(*backup_.db, entry_, "interrupted");
      say(fmt::format("interrupted half-way: 'datamancy upgrade {}' goes back first; 'up' waits for that", name_));
      return kFindings;
    }
    if (!touched_) {
      state::finish(*backup_.db, entry_, "failed, nothing was changed: " + cause.message);
      return kFailed;
    }
    const bool data = started_ && judgement_.data != Data::stays;
    if (data && !agreed(backup_, fmt::format("Go back to {}, with the data of before? What the new version has written since is lost.", from_))) {
      if (auto gone = upgrade::forget_unfinished(backup_.store); !gone) complain(gone.error());
      state::finish(*backup_.db, entry_, "failed, and left as it is");
      say(fmt::format("left as it is; backup {} has the data of before{}", run_.run, kept_.empty() ? "" : ", and volume " + kept_));
      return kFindings;
    }
    const auto went = go_back(data);
    state::finish(*backup_.db, entry_, went ? "failed, went back" : "failed, and could not go back");
    if (went) say(fmt::format("'{}' runs {} again{}", name_, from_, data ? ", with the data of before" : ""));
    else {
      complain(went.error());
      say(fmt::format("backup {} has the data of before{}; the file of before is {}/before-upgrade-{}", run_.run, kept_.empty() ? "" : ", volume " + kept_ + " too", backup_.store, sources::file_name(edit_.path)));
    }
    return kFindings;
  }

  Result<void> go_back(bool data) {
    if (edited_) DM_CHECK(write_atomic(edit_.path, edit_.before));
    if (judgement_.data != Data::stays)
      for (const auto& client : running_) DM_CHECK(stop(client));
    if (!kept_.empty()) {
      DM_CHECK(remove(name_));
      // While the old data is on its way, in either direction, there is nothing else in the volume.
      if (left_.step == upgrade::Unfinished::Step::changed) {
        DM_TRY(const auto there, recover::holds_something(*backup_.engine, kept_, limit()));
        if (!there) return fail(Errc::conflict, fmt::format("volume {} holds nothing that could come back: nothing was removed", kept_));
        if (resumed_) {  // who knows what was written since
          const auto aside = fmt::format("{}.undone-{}", place_.name, backup::unix_now());
          DM_TRY(const auto moved, recover::set_aside(*backup_.engine, place_.name, aside, limit()));
          say(fmt::format("{} entries that the new version wrote are in volume {}; remove it when all is well", moved, aside));
        } else {
          DM_CHECK(recover::clear_volume(*backup_.engine, place_.name, limit()));
        }
      }
      DM_CHECK(note(upgrade::Unfinished::Step::returning));
      DM_CHECK(recover::put_back(*backup_.engine, place_.name, kept_, limit()));
      // Noted before it is done: a note of a volume that is gone could not be followed.
      const auto gone = std::exchange(kept_, {});
      left_.kept.clear();
      DM_CHECK(note(upgrade::Unfinished::Step::stopping));
      DM_CHECK(backup_.engine->remove_volume(gone, false, limit()));
      DM_CHECK(start(all()));
      return upgrade::forget_unfinished(backup_.store);
    }
    if (data && judgement_.data == Data::migrates) DM_CHECK(undo_migration());
    DM_CHECK(start(all(), {name_}));  // a server without networks is made anew
    return upgrade::forget_unfinished(backup_.store);
  }

  Result<std::string> find_volume() const {
    const auto* subject = inventory_.find(name_);
    for (const auto& skipped : inventory_.skipped)
      if (skipped.id.starts_with("volume:") && std::ranges::find(skipped.services, name_) != skipped.services.end()) return skipped.id.substr(7);
    return fail(Errc::unsupported, fmt::format("the data of '{}' is in no volume with a name", subject == nullptr ? name_ : subject->id));
  }

  /// What the new version may change in place, into the note: the way back must not depend on what is there by then.
  Result<void> list_changes() {
    left_.migrates = judgement_.data == Data::migrates;
    if (!*left_.migrates) return {};
    left_.trees = trees_;
    if (datastore_) {
      DM_TRY(left_.data_volume, find_volume());
    }
    for (const auto& needed : needed_) (session_.wiring.dependents[session_.wiring.id_of(needed)].size() == 1 ? left_.needed : left_.shared).push_back(needed);
    return {};
  }

  bool did(std::string_view what) const { return std::ranges::find(left_.done, what) != left_.done.end(); }
  Result<void> note_done(std::string what) {
    left_.done.push_back(std::move(what));
    return note(upgrade::Unfinished::Step::returning);
  }

  /// The data of before in the place of what the new version made of it. Each step is noted once it is done, so that one that is killed
  /// goes on there: nothing that is not known to be in the backup is ever removed.
  Result<void> undo_migration() {
    DM_CHECK(note(upgrade::Unfinished::Step::returning));
    DM_CHECK(remove(name_));
    auto& engine = *backup_.engine;
    if (const auto& place = left_.data_volume; !place.empty() && !did("back data")) {
      if (!did("aside data")) {
        const auto aside = fmt::format("{}.failed-{}", place, run_.run);
        DM_TRY(const auto moved, recover::set_aside_again(engine, place, aside, limit()));
        DM_CHECK(note_done("aside data"));
        say(fmt::format("{} entries that the new version wrote are in volume {}", moved, aside));
      } else {
        DM_TRY(const bool half, recover::holds_something(engine, place, limit()));
        const auto aside = fmt::format("{}.undone-{}", place, backup::unix_now());
        if (half) DM_CHECK(recover::set_aside(engine, place, aside, limit()));
        if (half) say(fmt::format("what an interrupted restore had left is in volume {}; remove it when all is well", aside));
      }
      DM_CHECK(start({name_}));
      DM_CHECK(restore_datastore(name_));
      DM_CHECK(note_done("back data"));
    }
    for (const auto& tree : left_.trees) DM_CHECK(restore_tree(tree));
    for (const auto& needed : left_.needed) {
      if (did("back " + needed)) continue;
      DM_CHECK(restore_datastore(needed));
      DM_CHECK(note_done("back " + needed));
    }
    for (const auto& needed : left_.shared)
      say(fmt::format("{} serves others too: 'datamancy backup restore {} DATABASE --in-place --run {}' gives the database of '{}' back", needed, needed, run_.run, name_));
    return {};
  }

  Result<void> restore_tree(const std::string& id) {
    const auto saved = saved_of(id);
    if (saved.empty() || did("back " + id)) return {};
    const auto found = saved.front()->target.facts.find("path");
    const auto path = found == saved.front()->target.facts.end() ? std::string() : found->second;
    if (path.empty()) return fail(Errc::corrupt, fmt::format("the backup of {} does not say where it lay", id));
    const bool again = did("aside " + id);
    const auto aside = again ? fmt::format("{}.undone-{}", path, backup::unix_now()) : fmt::format("{}.failed-{}", path, run_.run);
    DM_TRY(const auto moved, recover::set_aside_folder(path, aside));
    if (!again) DM_CHECK(note_done("aside " + id));
    say(fmt::format("{}: {} entries that {} are in {}", id, moved, again ? "an interrupted restore had left" : "the new version wrote", aside));
    DM_TRY(const auto restored, recover::tree(*backup_.repository, *saved.front(), path, true, limit()));
    DM_CHECK(note_done("back " + id));
    say(fmt::format("{}: {}", id, restored.detail));
    return {};
  }

  Args& args_;
  BackupSession& backup_;
  Session session_;
  std::string name_, to_, from_, image_, tag_;
  bool pull_always_ = false, datastore_ = false;
  bool resumed_ = false;  ///< goes back from what an interrupted run has left
  upgrade::Judgement judgement_;
  upgrade::ImageEdit edit_;
  backup::Inventory inventory_;
  engine::Mount place_;
  std::vector<std::string> own_, trees_, needed_, clients_, running_, hints_;
  backup::Manifest run_;
  upgrade::Unfinished left_;
  std::string kept_;
  std::int64_t entry_ = 0;
  bool touched_ = false, edited_ = false, started_ = false;
};

}  // namespace

int upgrade(Args& args) {
  BackupSession session;
  std::string to;
  const bool dry_run = args.has("--dry-run");
  args.option("--to", to);
  auto plain = args;
  if (auto opened = open_backup(args, dry_run ? Needs::engine : Needs::engine_and_repository, true, session); !opened) return complain(opened.error());
  if (args.words.size() != 1 || args.words[0].starts_with('-')) {
    fmt::print(stderr, "usage: datamancy upgrade SERVICE [--to TAG] [--dry-run] [--yes]\n");
    return kUsage;
  }
  plain.words.clear();
  {
    Upgrade before(plain, session, args.words[0], to);
    if (auto back = before.take_back(dry_run); !back) return complain(back.error());
  }
  Upgrade one(plain, session, args.words[0], to);
  return one.run(dry_run);
}

}  // namespace dm::cli
