/// An engine in memory, for the tests of everything above this module: no sockets, no time. Scripted where the real one would work.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "engine/engine.hpp"

namespace dm::engine {

/// What the fake knows; change it through `FakeEngine::edit`.
struct FakeState {
  Info info{};
  std::map<std::string, Container> containers{};  ///< by id
  std::map<std::string, Image> images{};          ///< by id
  std::map<std::string, Network> networks{};      ///< by name
  std::map<std::string, Volume> volumes{};        ///< by name
  std::map<std::string, std::pair<std::string, std::string>> logs{};  ///< out and err by container id
  std::map<std::string, std::string> archives{};  ///< tar by "CONTAINER_ID:PATH"; put_archive stores here
  std::map<std::string, Stats> stats{};           ///< by container id
  DiskUsage disk{};
};

class FakeEngine final : public Engine {
 public:
  FakeEngine();

  // --- for the test ---
  /// Runs `body(FakeState&)` under the lock.
  template <class F>
  void edit(F&& body) {
    const std::lock_guard lock(mutex_);
    std::forward<F>(body)(state_);
  }
  /// A running container with an id, a name and an image; gives its id.
  std::string add_container(const std::string& name, const std::string& image, Labels labels = {});
  std::string add_image(const std::string& tag);
  /// What an exec does: gets all of stdin; what it returns goes to the sinks. Default: exit 0, no output.
  using OnExec = std::function<Result<ExecResult>(const Container& container, const Exec& command, const std::string& in)>;
  void on_exec(OnExec body);
  /// After a start: may set health, exit code ... and is followed by the event "start". Default: running, healthy where it has a check.
  void on_start(std::function<void(Container& container)> body);
  /// Called at each `containers`, before it answers, without the lock.
  void on_list(std::function<void()> body);
  /// The next call of that method ("start", "exec", ...) gives this error. Several queue up.
  void fail_next(const std::string& method, Error error);
  void emit(Event event);
  /// Ends every event stream as a lost connection does.
  void lose_events();
  /// "start web", "exec web pg_dump blog" ... in order; what only asks is not listed.
  std::vector<std::string> calls() const;
  /// How often a method ("events", "containers" ...) was called, those that only ask included.
  std::size_t asked(const std::string& method) const;

  // --- Engine ---
  std::string description() const override { return "fake"; }
  Result<void> ping(const Deadline& deadline) override;
  Result<Info> info(const Deadline& deadline) override;
  Result<std::vector<ContainerSummary>> containers(const ContainerFilter& filter, const Deadline& deadline) override;
  Result<Container> container(const std::string& id, const Deadline& deadline) override;
  Result<std::string> create(const NewContainer& wanted, const Deadline& deadline) override;
  Result<void> start(const std::string& id, const Deadline& deadline) override;
  Result<void> stop(const std::string& id, int grace, const Deadline& deadline) override;
  Result<void> kill(const std::string& id, const std::string& signal, const Deadline& deadline) override;
  Result<void> restart(const std::string& id, int grace, const Deadline& deadline) override;
  Result<void> pause(const std::string& id, const Deadline& deadline) override;
  Result<void> unpause(const std::string& id, const Deadline& deadline) override;
  Result<void> remove(const std::string& id, bool force, bool volumes, const Deadline& deadline) override;
  Result<void> rename(const std::string& id, const std::string& name, const Deadline& deadline) override;
  Result<int> wait(const std::string& id, const Deadline& deadline) override;
  Result<void> set_restart_policy(const std::string& id, const RestartPolicy& policy, const Deadline& deadline) override;
  Result<void> set_limits(const std::string& id, const Limits& limits, const Deadline& deadline) override;
  Result<std::vector<std::pair<std::int64_t, std::string>>> processes(const std::string& id, const Deadline& deadline) override;
  Result<ExecResult> exec(const std::string& id, const Exec& command, const Deadline& deadline) override;
  Result<void> logs(const std::string& id, const LogQuery& query, const Sink& out, const Sink& err, const Deadline& deadline) override;
  Result<Stats> stats(const std::string& id, const Deadline& deadline) override;
  Result<void> get_archive(const std::string& id, const std::string& path, const Sink& tar, const Deadline& deadline) override;
  Result<void> put_archive(const std::string& id, const std::string& folder, const Source& tar, const Deadline& deadline) override;
  Result<Stat> stat(const std::string& id, const std::string& path, const Deadline& deadline) override;
  Result<std::vector<Image>> images(const Deadline& deadline) override;
  Result<Image> image(const std::string& name, const Deadline& deadline) override;
  Result<void> remove_image(const std::string& name, bool force, const Deadline& deadline) override;
  Result<void> tag_image(const std::string& name, const std::string& new_name, const Deadline& deadline) override;
  Result<std::vector<Network>> networks(const std::vector<std::string>& labels, const Deadline& deadline) override;
  Result<Network> network(const std::string& name, const Deadline& deadline) override;
  Result<std::string> create_network(const NewNetwork& wanted, const Deadline& deadline) override;
  Result<void> remove_network(const std::string& name, const Deadline& deadline) override;
  Result<void> connect(const std::string& network, const std::string& container, const std::vector<std::string>& aliases, const Deadline& deadline) override;
  Result<void> disconnect(const std::string& network, const std::string& container, bool force, const Deadline& deadline) override;
  Result<std::vector<Volume>> volumes(const std::vector<std::string>& labels, const Deadline& deadline) override;
  Result<Volume> volume(const std::string& name, const Deadline& deadline) override;
  Result<Volume> create_volume(const std::string& name, const Labels& labels, const Deadline& deadline) override;
  Result<void> remove_volume(const std::string& name, bool force, const Deadline& deadline) override;
  Result<void> events(const EventQuery& query, const std::function<void()>& on_subscribed, const OnEvent& on_event, const Deadline& deadline) override;
  Result<DiskUsage> disk_usage(const Deadline& deadline) override;

 private:
  using Lock = std::unique_lock<std::mutex>;
  Result<void> enter(const std::string& method, const std::string& what, bool asks = false);  ///< records, fails where asked to
  Result<Container*> find(const std::string& id);
  Result<Image*> find_image(const std::string& name);
  void happened(const Container& container, const std::string& action, std::map<std::string, std::string> more = {});
  void started(Container& container);
  void ended(Container& container, int exit_code);
  std::string new_id();

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  FakeState state_;
  OnExec on_exec_;
  std::function<void(Container&)> on_start_;
  std::function<void()> on_list_;
  std::map<std::string, std::deque<Error>> failures_;
  std::vector<std::string> calls_;
  std::map<std::string, std::size_t> asked_;
  std::vector<Event> events_;
  std::size_t losses_ = 0;
  std::uint64_t ids_ = 0;
  std::int64_t clock_ = 1'795'000'000'000'000'000;
};

}  // namespace dm::engine
