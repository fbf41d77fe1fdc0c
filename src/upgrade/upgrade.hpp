/// Carries out the plan of an upgrade, and goes back from one: what is begun is on disk before it is done (`unfinished.hpp`).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/runner.hpp"
#include "upgrade/plan.hpp"
#include "upgrade/unfinished.hpp"

namespace dm::upgrade {

/// What it acts through.
struct Hands {
  engine::Engine& engine;
  backup::Repository& repository;
  std::string project{};                ///< name
  std::string store{};                  ///< folder of its state
  std::stop_token stop{};
  backup::OnProgress progress{};
  std::function<void(std::string_view)> say{};
  std::function<void(const backup::Manifest&)> saved{};   ///< a run is over, whatever came of it
  std::function<Result<void>(const std::string& image)> pull{};
  /// `name` means the image of this id again, as before the pull.
  std::function<Result<void>(const std::string& id, const std::string& name)> name_image{};
  /// Starts services, gated: an error where one is not well. `force` recreates these whatever happens.
  std::function<Result<void>(std::vector<std::string> names, std::vector<std::string> force)> start{};
};

class Upgrade {
 public:
  Upgrade(Hands hands, Plan plan);
  /// Goes on from what an interrupted one has left.
  Upgrade(Hands hands, Unfinished left);

  /// The steps of the plan, with a verified backup before and every fingerprint compared behind.
  Result<void> act(const backup::Inventory& inventory);
  /// To the old image and, `data`, to the data of before. Nothing of what an upgrade noted is left where it succeeds.
  Result<void> go_back(bool data);
  /// The same from an interrupted one. `plan` is asked where its note is of an earlier program.
  Result<void> go_back_from_left(const std::function<Result<Plan>()>& plan);

  bool touched() const { return touched_; }
  /// Where it failed before anything but the pull was done: the tag means what it meant before, where the pull has moved it.
  Result<void> undo_pull();
  /// The new version may have changed the data.
  bool may_have_changed_data() const { return started_ && data_ != Data::stays; }
  const std::string& run() const { return run_.run; }     ///< of the backup; "" = none was made
  const std::string& kept() const { return kept_; }       ///< volume with the data of before; "" = there is none
  std::string file_of_before() const;

 private:
  Deadline limit() const;
  Result<void> note(Unfinished::Step step);
  Result<std::vector<engine::ContainerSummary>> containers_of(const std::string& service) const;
  Result<void> stop(const std::string& service);
  Result<void> remove(const std::string& service);
  Result<void> save(const backup::Inventory& inventory);
  Result<void> cut_off();
  Result<void> move_aside();
  Result<void> bring_volume_back();
  Result<void> name_back();
  std::vector<const backup::Saved*> saved_of(std::string_view subject) const;
  Result<void> restore_datastore(const std::string& service);
  Result<void> restore_own_volume();
  Result<void> restore_tree(const std::string& id);
  Result<void> undo_migration();
  std::vector<std::string> all() const;
  bool did(std::string_view what) const;
  Result<void> note_done(std::string what);
  void list_changes();

  Hands hands_;
  Plan plan_;
  Data data_ = Data::stays;
  Unfinished left_;
  backup::Manifest run_;
  std::string kept_;
  std::string tag_before_;  ///< id of the image that the tag meant before the pull
  bool resumed_ = false;  ///< goes back from what an interrupted run has left
  bool touched_ = false, edited_ = false, started_ = false;
};

}  // namespace dm::upgrade
