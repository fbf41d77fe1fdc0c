#include "upgrade/upgrade.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/files.hpp"
#include "compose/labels.hpp"
#include "recover/bring_back.hpp"
#include "sources/files.hpp"

namespace dm::upgrade {

Upgrade::Upgrade(Hands hands, Plan plan) : hands_(std::move(hands)), plan_(std::move(plan)), data_(plan_.judgement.data) {}

Upgrade::Upgrade(Hands hands, Unfinished left) : hands_(std::move(hands)), left_(std::move(left)), resumed_(true) {
  plan_.service = left_.service;
  plan_.from = left_.from;
  plan_.image = left_.image;
}

Deadline Upgrade::limit() const { return Deadline::in(std::chrono::hours(24), hands_.stop); }

/// On disk before it is done.
Result<void> Upgrade::note(Unfinished::Step step) {
  left_.step = step;
  return write_unfinished(hands_.store, left_);
}

std::string Upgrade::file_of_before() const { return fmt::format("{}/before-upgrade-{}", hands_.store, sources::file_name(plan_.edit.path)); }

Result<std::vector<engine::ContainerSummary>> Upgrade::containers_of(const std::string& service) const {
  return hands_.engine.containers({.labels = compose::replicas_of(hands_.project, service)}, limit());
}

Result<void> Upgrade::stop(const std::string& service) {
  DM_TRY(const auto containers, containers_of(service));
  for (const auto& container : containers) DM_CHECK(during("stopping " + service, hands_.engine.stop(container.id, -1, limit())));
  return {};
}

Result<void> Upgrade::remove(const std::string& service) {
  DM_TRY(const auto containers, containers_of(service));
  for (const auto& container : containers) {
    DM_CHECK(hands_.engine.stop(container.id, -1, limit()));
    DM_CHECK(hands_.engine.remove(container.id, /*force=*/false, /*volumes=*/false, limit()));
  }
  return {};
}

Result<void> Upgrade::save(const backup::Inventory& inventory) {
  backup::RunOptions options;
  options.only = plan_.own;
  options.only.insert(options.only.end(), plan_.needed.begin(), plan_.needed.end());
  if (options.only.empty()) return {};
  options.progress = hands_.progress;
  options.quiesced = hands_.store + "/quiesced";
  for (const auto& line : backup::standstills(inventory, options)) hands_.say("services stand still " + line);
  DM_TRY(run_, backup::run_backup(hands_.engine, inventory, hands_.repository, options, limit()));
  hands_.saved(run_);
  for (const auto& saved : run_.saved)
    if (saved.outcome != backup::Outcome::verified) return fail(Errc::conflict, fmt::format("nothing was changed: the backup of {}/{} is not verified: {}", saved.subject, saved.item, saved.trouble));
  for (const auto& saved : run_.saved) DM_CHECK(during(fmt::format("reading {}/{} back", saved.subject, saved.item), backup::read_back(hands_.repository, saved, {}, limit())));
  hands_.say(fmt::format("backup {}: {} streams, verified and read back", run_.run, run_.saved.size()));
  return {};
}

Result<void> Upgrade::undo_pull() {
  if (touched_ || tag_before_.empty()) return {};
  const auto now = hands_.engine.image(plan_.image, Deadline::in(std::chrono::minutes(1)));
  if (now && now->id == tag_before_) return {};
  return hands_.name_image(tag_before_, plan_.image);
}

/// What ran before, and is to run again.
std::vector<std::string> Upgrade::all() const {
  std::vector<std::string> out{plan_.service};
  out.insert(out.end(), left_.running.begin(), left_.running.end());
  return out;
}

/// What the new version may change in place, into the note: the way back must not depend on what is there by then.
void Upgrade::list_changes() {
  left_.migrates = data_ == Data::migrates;
  if (!*left_.migrates) return;
  left_.trees = plan_.trees;
  left_.data_volume = plan_.data_volume;
  left_.shared = plan_.shared;
  left_.needed = plan_.needed;
  std::erase_if(left_.needed, [&](const std::string& needed) { return std::ranges::find(plan_.shared, needed) != plan_.shared.end(); });
}

/// Nobody may write after the dump: the server loses its networks, its own socket stays.
Result<void> Upgrade::cut_off() {
  DM_TRY(const auto containers, containers_of(plan_.service));
  for (const auto& container : containers)
    for (const auto& [network, endpoint] : container.networks) DM_CHECK(during("taking it off " + network, hands_.engine.disconnect(endpoint.network_id, container.id, true, limit())));
  hands_.say("no client reaches it any more");
  return {};
}

/// What the volume holds is kept in another one: the new server begins with an empty one.
Result<void> Upgrade::move_aside() {
  const auto kept = fmt::format("{}.before-{}", plan_.volume, product::split_image(plan_.image).tag);
  DM_CHECK(recover::make_room(hands_.engine, plan_.volume, kept, limit()));
  DM_CHECK(remove(plan_.service));
  left_.volume = plan_.volume;
  left_.kept = kept;
  DM_CHECK(note(Unfinished::Step::moving));
  kept_ = kept;
  DM_TRY(const auto moved, recover::set_aside(hands_.engine, plan_.volume, kept, limit()));
  hands_.say(fmt::format("{} entries of volume {} are kept in volume {}", moved, plan_.volume, kept_));
  return {};
}

Result<void> Upgrade::act(const backup::Inventory& inventory) {
  std::string from_id;
  if (plan_.pull_always) {  // the name will mean the new image: only the id leads back
    DM_TRY(const auto containers, containers_of(plan_.service));
    if (!containers.empty()) from_id = containers.front().image_id;
    if (const auto image = hands_.engine.image(plan_.image, limit())) tag_before_ = image->id;
  }
  DM_CHECK(hands_.pull(plan_.image));
  left_ = {.service = plan_.service, .from = plan_.from, .image = plan_.image, .from_id = from_id, .path = plan_.edit.path, .before = plan_.edit.before, .after = plan_.edit.after, .volume = {}, .kept = {}, .run = {}};
  for (const auto& client : plan_.clients) {
    DM_TRY(const auto containers, containers_of(client));
    if (std::ranges::any_of(containers, [](const auto& container) { return container.state == "running"; })) left_.running.push_back(client);
  }
  list_changes();
  if (data_ != Data::stays) {
    DM_CHECK(note(Unfinished::Step::stopping));
    touched_ = true;
    for (const auto& client : left_.running) DM_CHECK(stop(client));
    if (data_ == Data::dump) DM_CHECK(cut_off());
    else if (!plan_.datastore) DM_CHECK(stop(plan_.service));
  }
  DM_CHECK(save(inventory));
  touched_ = true;
  left_.run = run_.run;
  if (data_ == Data::dump) DM_CHECK(move_aside());
  DM_CHECK(note(Unfinished::Step::changed));
  if (!plan_.edit.path.empty()) {
    DM_CHECK(make_folders(hands_.store, 0700));
    DM_CHECK(write_atomic(file_of_before(), plan_.edit.before, 0600));
    DM_CHECK(write_atomic(plan_.edit.path, plan_.edit.after));
    edited_ = true;
  }
  started_ = true;
  if (data_ == Data::dump) {
    DM_CHECK(hands_.start({plan_.service}, {}));
    DM_CHECK(restore_datastore(plan_.service));
  }
  DM_CHECK(hands_.start(all(), plan_.pull_always ? std::vector<std::string>{plan_.service} : std::vector<std::string>{}));
  return forget_unfinished(hands_.store);
}

}  // namespace dm::upgrade
