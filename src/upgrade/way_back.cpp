/// The way back of an upgrade. Each step is noted once it is done, so that one that is killed goes on there: nothing that is not known to be
/// in the backup is ever removed.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/files.hpp"
#include "recover/bring_back.hpp"
#include "sources/files.hpp"
#include "upgrade/upgrade.hpp"

namespace dm::upgrade {

std::vector<const backup::Saved*> Upgrade::saved_of(std::string_view subject) const {
  std::vector<const backup::Saved*> out;
  for (const auto& saved : run_.saved)
    if (saved.subject == subject) out.push_back(&saved);
  return out;
}

Result<void> Upgrade::restore_datastore(const std::string& service) {
  const auto saved = saved_of(service);
  if (saved.empty()) return {};
  DM_TRY(const auto containers, containers_of(service));
  if (containers.empty()) return fail(Errc::not_found, fmt::format("'{}' has no container", service));
  DM_TRY(const auto restored, recover::live(hands_.engine, hands_.repository, saved, containers.front().id, hands_.progress, limit()));
  hands_.say(fmt::format("{}: {}", service, restored.detail));
  return {};
}

bool Upgrade::did(std::string_view what) const { return std::ranges::find(left_.done, what) != left_.done.end(); }

Result<void> Upgrade::note_done(std::string what) {
  left_.done.push_back(std::move(what));
  return note(Unfinished::Step::returning);
}

Result<void> Upgrade::go_back_from_left(const std::function<Result<Plan>()>& plan) {
  if (!left_.path.empty()) {
    const auto now = sources::disk().read(left_.path, 16U << 20U);
    if (!now || (*now != left_.before && *now != left_.after))
      return fail(Errc::conflict, fmt::format("{} was changed since: put image {} back there yourself, remove {}/upgrade.json, and look at volume {}", left_.path, left_.from, hands_.store,
                                              left_.kept.empty() ? "of the service" : left_.kept));
    plan_.edit = {.path = left_.path, .before = left_.before, .after = left_.after};
    edited_ = *now == left_.after;
  }
  if (!left_.kept.empty() && left_.step != Unfinished::Step::stopping) {
    data_ = Data::dump;
    plan_.volume = left_.volume;
    kept_ = left_.kept;
    started_ = left_.step == Unfinished::Step::changed;
    return go_back(started_);
  }
  // The data lies where it was, or is on its way there. Has the new version run on it?
  const bool data = left_.step == Unfinished::Step::returning || (left_.step == Unfinished::Step::changed && !left_.run.empty() && left_.migrates.value_or(true));
  if (edited_) DM_CHECK(write_atomic(plan_.edit.path, plan_.edit.before));
  edited_ = false;
  if (!data) {
    DM_CHECK(name_back());
    DM_CHECK(hands_.start(all(), {plan_.service}));
    return forget_unfinished(hands_.store);
  }
  DM_TRY(auto history, backup::history(hands_.repository, hands_.project, backup::kAllRuns, limit(), backup::found_by(left_.run)));
  const auto* run = history.find(left_.run);
  if (run == nullptr) return fail(Errc::not_found, fmt::format("the backup {} is not in repository '{}'", left_.run, hands_.repository.location().name));
  run_ = *run;
  if (left_.migrates) {  // nothing of it need be there: a container may be gone half-way
    data_ = Data::migrates;
  } else {
    const auto edit = plan_.edit;
    DM_TRY(plan_, plan());
    plan_.edit = edit;
    data_ = plan_.judgement.data;
    list_changes();
  }
  return go_back(true);
}

Result<void> Upgrade::name_back() { return left_.from_id.empty() ? Result<void>() : hands_.name_image(left_.from_id, plan_.from); }

/// What was moved aside, into its place.
Result<void> Upgrade::bring_volume_back() {
  auto& engine = hands_.engine;
  const auto& volume = plan_.volume;
  DM_CHECK(remove(plan_.service));
  // While the old data is on its way, in either direction, there is nothing else in the volume.
  if (left_.step == Unfinished::Step::changed) {
    DM_TRY(const auto there, recover::holds_something(engine, kept_, limit()));
    if (!there) return fail(Errc::conflict, fmt::format("volume {} holds nothing that could come back: nothing was removed", kept_));
    if (resumed_) {  // who knows what was written since
      const auto aside = fmt::format("{}.undone-{}", volume, backup::unix_now());
      DM_TRY(const auto moved, recover::set_aside(engine, volume, aside, limit()));
      hands_.say(fmt::format("{} entries that the new version wrote are in volume {}; remove it when all is well", moved, aside));
    } else {
      DM_CHECK(recover::clear_volume(engine, volume, limit()));
    }
  }
  DM_CHECK(note(Unfinished::Step::returning));
  DM_CHECK(recover::put_back(engine, volume, kept_, limit()));
  // Noted before it is done: a note of a volume that is gone could not be followed.
  const auto gone = std::exchange(kept_, {});
  left_.kept.clear();
  DM_CHECK(note(Unfinished::Step::stopping));
  return engine.remove_volume(gone, false, limit());
}

Result<void> Upgrade::go_back(bool data) {
  if (edited_) DM_CHECK(write_atomic(plan_.edit.path, plan_.edit.before));
  DM_CHECK(name_back());
  if (data_ != Data::stays)
    for (const auto& client : left_.running) DM_CHECK(stop(client));
  if (!kept_.empty()) {
    DM_CHECK(bring_volume_back());
    DM_CHECK(hands_.start(all(), {}));
    return forget_unfinished(hands_.store);
  }
  if (data && data_ == Data::migrates) DM_CHECK(undo_migration());
  DM_CHECK(hands_.start(all(), {plan_.service}));  // a server without networks is made anew
  return forget_unfinished(hands_.store);
}

/// The data of the service's own server, through an empty volume.
Result<void> Upgrade::restore_own_volume() {
  const auto& place = left_.data_volume;
  if (!did("aside data")) {
    const auto aside = fmt::format("{}.failed-{}", place, run_.run);
    DM_TRY(const auto moved, recover::set_aside_again(hands_.engine, place, aside, limit()));
    DM_CHECK(note_done("aside data"));
    hands_.say(fmt::format("{} entries that the new version wrote are in volume {}", moved, aside));
  } else {
    DM_TRY(const bool half, recover::holds_something(hands_.engine, place, limit()));
    const auto aside = fmt::format("{}.undone-{}", place, backup::unix_now());
    if (half) DM_CHECK(recover::set_aside(hands_.engine, place, aside, limit()));
    if (half) hands_.say(fmt::format("what an interrupted restore had left is in volume {}; remove it when all is well", aside));
  }
  DM_CHECK(hands_.start({plan_.service}, {}));
  DM_CHECK(restore_datastore(plan_.service));
  return note_done("back data");
}

/// The data of before in the place of what the new version made of it.
Result<void> Upgrade::undo_migration() {
  DM_CHECK(note(Unfinished::Step::returning));
  DM_CHECK(remove(plan_.service));
  if (!left_.data_volume.empty() && !did("back data")) DM_CHECK(restore_own_volume());
  for (const auto& tree : left_.trees) DM_CHECK(restore_tree(tree));
  for (const auto& needed : left_.needed) {
    if (did("back " + needed)) continue;
    DM_CHECK(restore_datastore(needed));
    DM_CHECK(note_done("back " + needed));
  }
  for (const auto& needed : left_.shared)
    hands_.say(fmt::format("{} serves others too: 'datamancy backup restore {} DATABASE --in-place --run {}' gives the database of '{}' back", needed, needed, run_.run, plan_.service));
  return {};
}

Result<void> Upgrade::restore_tree(const std::string& id) {
  const auto saved = saved_of(id);
  if (saved.empty() || did("back " + id)) return {};
  const auto found = saved.front()->target.facts.find("path");
  const auto path = found == saved.front()->target.facts.end() ? std::string() : found->second;
  if (path.empty()) return fail(Errc::corrupt, fmt::format("the backup of {} does not say where it lay", id));
  const bool again = did("aside " + id);
  const auto aside = again ? fmt::format("{}.undone-{}", path, backup::unix_now()) : fmt::format("{}.failed-{}", path, run_.run);
  DM_TRY(const auto moved, recover::set_aside_folder(path, aside));
  if (!again) DM_CHECK(note_done("aside " + id));
  hands_.say(fmt::format("{}: {} entries that {} are in {}", id, moved, again ? "an interrupted restore had left" : "the new version wrote", aside));
  DM_TRY(const auto restored, recover::tree(hands_.repository, *saved.front(), path, true, limit()));
  DM_CHECK(note_done("back " + id));
  hands_.say(fmt::format("{}: {}", id, restored.detail));
  return {};
}

}  // namespace dm::upgrade
