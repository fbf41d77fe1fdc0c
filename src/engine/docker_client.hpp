/// The Docker client's class; its methods are spread over docker*.cpp by what they do. Private to the module.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.hpp"
#include "engine/docker.hpp"
#include "engine/http.hpp"
#include "engine/parse.hpp"

namespace dm::engine {

class Docker final : public Engine {
 public:
  Docker(std::shared_ptr<const Transport> transport, DockerOptions options) : options_(std::move(options)), http_(std::move(transport)) {}

  std::string description() const override { return options_.description; }
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
  using Query = std::vector<std::pair<std::string, std::string>>;
  struct Spoken {
    std::string prefix{};  ///< "/v1.41"; empty until negotiated
    VersionAnswer answer{};
  };
  struct ExecRun;

  /// Negotiates once.
  Result<Spoken> spoken(const Deadline& deadline);
  /// Sends; answers of 300 and more (but 304) become errors that begin with `doing`.
  Result<HttpResponse> call(const std::string& doing, const char* method, const std::string& path, const Query& query, const Deadline& deadline, std::string body = {});
  Result<std::string> get(const std::string& doing, const std::string& path, const Query& query, const Deadline& deadline);
  Result<void> act(const std::string& doing, const char* method, const std::string& path, const Query& query, const Deadline& deadline, std::string body = {});
  Result<std::unique_ptr<HttpStream>> open(const std::string& doing, HttpRequest request, const std::string& path, const Query& query, const Deadline& deadline);
  Result<void> end_exec(const std::string& container, const std::string& exec);

  DockerOptions options_;
  Http http_;
  Guarded<Spoken> spoken_;
};

/// The error for an answer with this status.
Error answer_error(const std::string& doing, unsigned status, std::string_view body);

}  // namespace dm::engine
