#include "engine/docker.hpp"

#include <fmt/format.h>

#include <charconv>

#include "engine/docker_client.hpp"

namespace dm::engine {
namespace {

/// The minor number of "1.41", or nothing.
std::optional<unsigned> minor_of(std::string_view version) {
  if (!version.starts_with("1.")) return std::nullopt;
  unsigned minor = 0;
  const auto [end, error] = std::from_chars(version.data() + 2, version.data() + version.size(), minor);
  if (error != std::errc() || end != version.data() + version.size()) return std::nullopt;
  return minor;
}

std::string join_query(const std::vector<std::pair<std::string, std::string>>& query) {
  std::string out;
  for (const auto& [key, value] : query)
    if (!value.empty()) out += fmt::format("{}{}={}", out.empty() ? "?" : "&", key, escape(value));
  return out;
}

}  // namespace

Result<std::string> negotiate(const std::string& server, const std::string& server_min, const std::string& wanted) {
  if (!wanted.empty()) {
    if (!minor_of(wanted)) return fail(Errc::invalid_input, fmt::format("DOCKER_API_VERSION is '{}', which is no version such as 1.41", wanted));
    if (*minor_of(wanted) < kOldestApi) return fail(Errc::unsupported, fmt::format("DOCKER_API_VERSION is {}; this program needs 1.{} or later", wanted, kOldestApi));
    return wanted;
  }
  const auto newest = minor_of(server);
  if (!newest) return fail(Errc::corrupt, fmt::format("the engine speaks API version '{}', which is none that exists", server));
  if (*newest < kOldestApi) return fail(Errc::unsupported, fmt::format("the engine speaks API {} only; 1.{} or later is needed (Docker 20.10)", server, kOldestApi));
  auto chosen = std::min(*newest, kNewestApi);
  if (const auto oldest = minor_of(server_min); oldest && *oldest > chosen) chosen = *oldest;  // newer than we know: what we use has stayed
  return fmt::format("1.{}", chosen);
}

Error answer_error(const std::string& doing, unsigned status, std::string_view body) {
  auto code = Errc::failed;
  if (status == 400) code = Errc::invalid_input;
  if (status == 401 || status == 403) code = Errc::denied;
  if (status == 404) code = Errc::not_found;
  if (status == 409) code = Errc::conflict;
  if (status == 501 || status == 405) code = Errc::unsupported;
  if (status == 502 || status == 503 || status == 504) code = Errc::unavailable;
  auto message = parse_message(body);
  if (message.empty()) message = fmt::format("the engine answered with status {}", status);
  return Error{code, fmt::format("{}: {}", doing, message), {}};
}

Result<Docker::Spoken> Docker::spoken(const Deadline& deadline) {
  auto known = spoken_.with([](const Spoken& value) { return value; });
  if (!known.prefix.empty()) return known;
  HttpRequest request;
  request.target = "/version";
  DM_TRY(const HttpResponse response, during("reaching the engine at " + options_.description, http_.call(request, deadline)));
  if (response.head.status != 200) {
    if (response.head.status == 403) return fail(answer_error("reaching the engine at " + options_.description, 403, response.body));
    return fail(Errc::corrupt, fmt::format("{} answers, but is not a container engine (status {} for /version)", options_.description, response.head.status));
  }
  auto answer = parse_version(response.body);
  if (!answer) return fail(Errc::corrupt, fmt::format("{} answers, but is not a container engine: {}", options_.description, answer.error().message));
  DM_TRY(const std::string version, negotiate(answer->api, answer->min_api, options_.api_version));
  const Spoken now{"/v" + version, *answer};
  spoken_.with([&](Spoken& value) { value = now; });
  return now;
}

Result<HttpResponse> Docker::call(const std::string& doing, const char* method, const std::string& path, const Query& query, const Deadline& deadline, std::string body) {
  DM_TRY(const Spoken version, spoken(deadline));
  HttpRequest request;
  request.method = method;
  request.target = version.prefix + path + join_query(query);
  request.body = std::move(body);
  if (!request.body.empty()) request.content_type = "application/json";
  DM_TRY(HttpResponse response, during(doing, http_.call(request, deadline)));
  if (response.head.status >= 300 && response.head.status != 304) return fail(answer_error(doing, response.head.status, response.body));
  return response;
}

Result<std::string> Docker::get(const std::string& doing, const std::string& path, const Query& query, const Deadline& deadline) {
  DM_TRY(HttpResponse response, call(doing, "GET", path, query, deadline));
  return std::move(response.body);
}

Result<void> Docker::act(const std::string& doing, const char* method, const std::string& path, const Query& query, const Deadline& deadline, std::string body) {
  DM_CHECK(call(doing, method, path, query, deadline, std::move(body)));
  return {};
}

Result<std::unique_ptr<HttpStream>> Docker::open(const std::string& doing, HttpRequest request, const std::string& path, const Query& query, const Deadline& deadline) {
  DM_TRY(const Spoken version, spoken(deadline));
  request.target = version.prefix + path + join_query(query);
  DM_TRY(auto stream, during(doing, http_.open(request, deadline)));
  const auto status = stream->head().status;
  if (status < 300) return stream;
  std::string body;
  while (body.size() < 65536) {
    auto piece = stream->read(deadline);
    if (!piece || piece->empty()) break;
    body += *piece;
  }
  return fail(answer_error(doing, status, body));
}

Result<void> Docker::ping(const Deadline& deadline) {
  HttpRequest request;
  request.target = "/_ping";
  DM_TRY(const auto answer, during("reaching the engine at " + options_.description, http_.open(request, deadline)));
  if (answer->head().status != 200) return fail(answer_error("asking whether the engine lives", answer->head().status, ""));
  return {};
}

Result<Info> Docker::info(const Deadline& deadline) {
  DM_TRY(const Spoken version, spoken(deadline));
  DM_TRY(const std::string json, get("asking the engine about itself", "/info", {}, deadline));
  DM_TRY(Info out, parse_info(json));
  out.product = version.answer.product;
  out.server_version = version.answer.version;
  out.server_api = version.answer.api;
  out.min_api = version.answer.min_api;
  out.api_version = version.prefix.substr(2);
  if (out.product == "Podman" || out.id.empty()) out.id = fmt::format("podman-{}-{}", out.name, out.root_dir);  // it makes up a new one for every answer
  return out;
}

Result<std::vector<ContainerSummary>> Docker::containers(const ContainerFilter& filter, const Deadline& deadline) {
  std::vector<std::string> names;
  for (const auto& name : filter.names) names.push_back("^/?" + name + "$");
  const auto filters = render_filters({{"label", filter.labels}, {"name", names}, {"network", filter.networks}, {"volume", filter.volumes}});
  DM_TRY(const std::string json, get("listing containers", "/containers/json", {{"all", filter.all ? "1" : "0"}, {"filters", filters}}, deadline));
  return parse_containers(json);
}

Result<Container> Docker::container(const std::string& id, const Deadline& deadline) {
  DM_TRY(const std::string json, get(fmt::format("looking at container '{}'", id), "/containers/" + escape(id) + "/json", {}, deadline));
  DM_TRY(Container out, parse_container(json));
  // Podman's compatible answer leaves out how large a log may become; its own answer has it.
  if (out.log_driver == "json-file" && out.log_options.empty() && spoken_.with([](const Spoken& value) { return value.answer.product; }) == "Podman")
    if (const auto own = get(fmt::format("looking at container '{}'", id), "/libpod/containers/" + escape(id) + "/json", {}, deadline)) add_podman_log(*own, out);
  return out;
}

Result<std::string> Docker::create(const NewContainer& wanted, const Deadline& deadline) {
  DM_TRY(const HttpResponse response,
         call(fmt::format("creating a container of '{}'", wanted.image), "POST", "/containers/create", {{"name", wanted.name}}, deadline, render_container(wanted)));
  return parse_id(response.body);
}

Result<void> Docker::start(const std::string& id, const Deadline& deadline) {
  return act(fmt::format("starting container '{}'", id), "POST", "/containers/" + escape(id) + "/start", {}, deadline);
}
Result<void> Docker::stop(const std::string& id, int grace, const Deadline& deadline) {
  return act(fmt::format("stopping container '{}'", id), "POST", "/containers/" + escape(id) + "/stop", {{"t", grace < 0 ? "" : std::to_string(grace)}}, deadline);
}
Result<void> Docker::kill(const std::string& id, const std::string& signal, const Deadline& deadline) {
  return act(fmt::format("killing container '{}'", id), "POST", "/containers/" + escape(id) + "/kill", {{"signal", signal}}, deadline);
}
Result<void> Docker::restart(const std::string& id, int grace, const Deadline& deadline) {
  return act(fmt::format("restarting container '{}'", id), "POST", "/containers/" + escape(id) + "/restart", {{"t", grace < 0 ? "" : std::to_string(grace)}}, deadline);
}
Result<void> Docker::pause(const std::string& id, const Deadline& deadline) {
  return act(fmt::format("pausing container '{}'", id), "POST", "/containers/" + escape(id) + "/pause", {}, deadline);
}
Result<void> Docker::unpause(const std::string& id, const Deadline& deadline) {
  return act(fmt::format("unpausing container '{}'", id), "POST", "/containers/" + escape(id) + "/unpause", {}, deadline);
}
Result<void> Docker::remove(const std::string& id, bool force, bool volumes, const Deadline& deadline) {
  return act(fmt::format("removing container '{}'", id), "DELETE", "/containers/" + escape(id), {{"force", force ? "1" : ""}, {"v", volumes ? "1" : ""}}, deadline);
}
Result<void> Docker::rename(const std::string& id, const std::string& name, const Deadline& deadline) {
  return act(fmt::format("renaming container '{}' to '{}'", id, name), "POST", "/containers/" + escape(id) + "/rename", {{"name", name}}, deadline);
}
Result<int> Docker::wait(const std::string& id, const Deadline& deadline) {
  DM_TRY(const HttpResponse response, call(fmt::format("waiting for container '{}'", id), "POST", "/containers/" + escape(id) + "/wait", {{"condition", "not-running"}}, deadline));
  return parse_wait(response.body);
}
Result<void> Docker::set_restart_policy(const std::string& id, const RestartPolicy& policy, const Deadline& deadline) {
  return act(fmt::format("changing the restart policy of '{}'", id), "POST", "/containers/" + escape(id) + "/update", {}, deadline, render_restart(policy));
}
Result<void> Docker::set_limits(const std::string& id, const Limits& limits, const Deadline& deadline) {
  return act(fmt::format("changing the limits of '{}'", id), "POST", "/containers/" + escape(id) + "/update", {}, deadline, render_update(limits));
}
Result<std::vector<std::pair<std::int64_t, std::string>>> Docker::processes(const std::string& id, const Deadline& deadline) {
  DM_TRY(const std::string json, get(fmt::format("listing the processes of '{}'", id), "/containers/" + escape(id) + "/top", {{"ps_args", "-eo pid,args"}}, deadline));
  return parse_top(json);
}
Result<Stats> Docker::stats(const std::string& id, const Deadline& deadline) {
  DM_TRY(const std::string json, get(fmt::format("sampling container '{}'", id), "/containers/" + escape(id) + "/stats", {{"stream", "false"}, {"one-shot", "true"}}, deadline));
  return parse_stats(json);
}

Result<std::vector<Image>> Docker::images(const Deadline& deadline) {
  DM_TRY(const std::string json, get("listing images", "/images/json", {}, deadline));
  return parse_images(json);
}
Result<Image> Docker::image(const std::string& name, const Deadline& deadline) {
  DM_TRY(const std::string json, get(fmt::format("looking at image '{}'", name), "/images/" + escape(name) + "/json", {}, deadline));
  return parse_image(json);
}
Result<void> Docker::remove_image(const std::string& name, bool force, const Deadline& deadline) {
  return act(fmt::format("removing image '{}'", name), "DELETE", "/images/" + escape(name), {{"force", force ? "1" : ""}}, deadline);
}
Result<void> Docker::tag_image(const std::string& name, const std::string& new_name, const Deadline& deadline) {
  auto cut = new_name.rfind(':');
  if (cut != std::string::npos && new_name.find('/', cut) != std::string::npos) cut = std::string::npos;  // a port of a registry
  return act(fmt::format("tagging image '{}' as '{}'", name, new_name), "POST", "/images/" + escape(name) + "/tag",
             {{"repo", new_name.substr(0, cut)}, {"tag", cut == std::string::npos ? "" : new_name.substr(cut + 1)}}, deadline);
}

Result<std::vector<Network>> Docker::networks(const std::vector<std::string>& labels, const Deadline& deadline) {
  DM_TRY(const std::string json, get("listing networks", "/networks", {{"filters", render_filters({{"label", labels}})}}, deadline));
  return parse_networks(json);
}
Result<Network> Docker::network(const std::string& name, const Deadline& deadline) {
  DM_TRY(const std::string json, get(fmt::format("looking at network '{}'", name), "/networks/" + escape(name), {}, deadline));
  return parse_network(json);
}
Result<std::string> Docker::create_network(const NewNetwork& wanted, const Deadline& deadline) {
  DM_TRY(const HttpResponse response, call(fmt::format("creating network '{}'", wanted.name), "POST", "/networks/create", {}, deadline, render_network(wanted)));
  return parse_id(response.body);
}
Result<void> Docker::remove_network(const std::string& name, const Deadline& deadline) {
  return act(fmt::format("removing network '{}'", name), "DELETE", "/networks/" + escape(name), {}, deadline);
}
Result<void> Docker::connect(const std::string& network, const std::string& container, const std::vector<std::string>& aliases, const Deadline& deadline) {
  return act(fmt::format("connecting '{}' to network '{}'", container, network), "POST", "/networks/" + escape(network) + "/connect", {}, deadline, render_connect(container, aliases));
}
Result<void> Docker::disconnect(const std::string& network, const std::string& container, bool force, const Deadline& deadline) {
  return act(fmt::format("disconnecting '{}' from network '{}'", container, network), "POST", "/networks/" + escape(network) + "/disconnect", {}, deadline,
             render_disconnect(container, force));
}

Result<std::vector<Volume>> Docker::volumes(const std::vector<std::string>& labels, const Deadline& deadline) {
  DM_TRY(const std::string json, get("listing volumes", "/volumes", {{"filters", render_filters({{"label", labels}})}}, deadline));
  return parse_volumes(json);
}
Result<Volume> Docker::volume(const std::string& name, const Deadline& deadline) {
  DM_TRY(const std::string json, get(fmt::format("looking at volume '{}'", name), "/volumes/" + escape(name), {}, deadline));
  return parse_volume(json);
}
Result<Volume> Docker::create_volume(const std::string& name, const Labels& labels, const Deadline& deadline) {
  DM_TRY(const HttpResponse response, call(fmt::format("creating volume '{}'", name), "POST", "/volumes/create", {}, deadline, render_volume(name, labels)));
  return parse_volume(response.body);
}
Result<void> Docker::remove_volume(const std::string& name, bool force, const Deadline& deadline) {
  return act(fmt::format("removing volume '{}'", name), "DELETE", "/volumes/" + escape(name), {{"force", force ? "1" : ""}}, deadline);
}
Result<DiskUsage> Docker::disk_usage(const Deadline& deadline) {
  DM_TRY(const std::string json, get("asking for disk use", "/system/df", {}, deadline));
  return parse_disk_usage(json);
}

std::unique_ptr<Engine> docker(std::shared_ptr<const Transport> transport, DockerOptions options) {
  return std::make_unique<Docker>(std::move(transport), std::move(options));
}

}  // namespace dm::engine
