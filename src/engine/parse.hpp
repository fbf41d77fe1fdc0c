/// The engine's JSON to values and back. Pure; tolerant of missing and null fields, since versions and products differ.
/// Errors: `corrupt` where it is no JSON of the kind that was asked for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "engine/engine.hpp"

namespace dm::engine {

struct VersionAnswer {
  std::string product{}, version{}, api{}, min_api{};
};

Result<VersionAnswer> parse_version(std::string_view json);
Result<Info> parse_info(std::string_view json);
Result<std::vector<ContainerSummary>> parse_containers(std::string_view json);
Result<Container> parse_container(std::string_view json);
/// What Podman's own answer about a container says of its log, and its compatible one does not.
void add_podman_log(std::string_view json, Container& out);
Result<std::vector<Image>> parse_images(std::string_view json);
Result<Image> parse_image(std::string_view json);
Result<std::vector<Network>> parse_networks(std::string_view json);
Result<Network> parse_network(std::string_view json);
Result<std::vector<Volume>> parse_volumes(std::string_view json);
Result<Volume> parse_volume(std::string_view json);
Result<Event> parse_event(std::string_view json);
Result<Stats> parse_stats(std::string_view json);
Result<DiskUsage> parse_disk_usage(std::string_view json);
Result<Stat> parse_stat(std::string_view base64);                ///< X-Docker-Container-Path-Stat
struct ExecState {
  bool running = false;
  bool known = false;      ///< has an exit code
  int exit_code = 0;
  std::int64_t pid = 0;
};
Result<ExecState> parse_exec_state(std::string_view json);
Result<std::vector<std::pair<std::int64_t, std::string>>> parse_top(std::string_view json);
Result<std::string> parse_id(std::string_view json);             ///< "Id" of an answer
Result<int> parse_wait(std::string_view json);
std::string parse_message(std::string_view body);                ///< "message" of an error, or the body itself

std::string render_container(const NewContainer& wanted);
std::string render_network(const NewNetwork& wanted);
std::string render_volume(const std::string& name, const Labels& labels);
std::string render_exec(const Exec& command, const std::vector<std::string>& argv, bool with_stdin);
std::string render_update(const Limits& limits);
std::string render_restart(const RestartPolicy& policy);
std::string render_connect(const std::string& container, const std::vector<std::string>& aliases);
std::string render_disconnect(const std::string& container, bool force);
/// {"label":["a=b"]}: the filters parameter.
std::string render_filters(const std::vector<std::pair<std::string, std::vector<std::string>>>& filters);

/// "2026-11-25T23:06:18.367769334Z" in Unix nanoseconds; the zero time and what is no time are 0.
std::int64_t parse_time(std::string_view rfc3339);

}  // namespace dm::engine
