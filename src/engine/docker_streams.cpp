// Logs, archives, events: what the engine streams.
#include <fmt/format.h>

#include "engine/docker_client.hpp"
#include "engine/frames.hpp"

namespace dm::engine {
namespace {

/// "1795647978.367769334"
std::string moment(std::int64_t nanos) { return nanos == 0 ? std::string() : fmt::format("{}.{:09}", nanos / 1'000'000'000, nanos % 1'000'000'000); }

Result<void> give(const Sink& sink, std::string_view bytes) {
  if (!sink || bytes.empty()) return {};
  return sink(bytes);
}

}  // namespace

Result<void> Docker::logs(const std::string& id, const LogQuery& query, const Sink& out, const Sink& err, const Deadline& deadline) {
  const auto doing = fmt::format("reading the logs of '{}'", id);
  DM_TRY(const Container what, container(id, deadline));  // a terminal's stream is not framed
  DM_TRY(auto stream, open(doing, {}, "/containers/" + escape(id) + "/logs",
                           {{"stdout", out ? "1" : "0"},
                            {"stderr", err ? "1" : "0"},
                            {"since", moment(query.since)},
                            {"until", moment(query.until)},
                            {"tail", query.tail < 0 ? "" : std::to_string(query.tail)},
                            {"follow", query.follow ? "1" : ""},
                            {"timestamps", query.timestamps ? "1" : ""}},
                           deadline));
  Frames frames([&](bool is_err, std::string_view bytes) { return give(is_err ? err : out, bytes); });
  for (;;) {
    auto piece = stream->read(deadline);
    if (!piece) return during(doing, Result<void>(fail(std::move(piece).error())));
    if (piece->empty()) break;
    DM_CHECK(what.tty ? give(out, *piece) : frames.feed(*piece));
  }
  if (!frames.at_boundary()) return fail(Errc::unavailable, doing + ": the stream ended in the middle of a line");
  return {};
}

Result<void> Docker::get_archive(const std::string& id, const std::string& path, const Sink& tar, const Deadline& deadline) {
  const auto doing = fmt::format("copying '{}' out of '{}'", path, id);
  DM_TRY(auto stream, open(doing, {}, "/containers/" + escape(id) + "/archive", {{"path", path}}, deadline));
  // The engine ends the body properly even where packing failed half-way; a whole tar ends in two blocks of zeros.
  std::uint64_t zeros = 0;
  for (;;) {
    auto piece = stream->read(deadline);
    if (!piece) return during(doing, Result<void>(fail(std::move(piece).error())));
    if (piece->empty()) break;
    const auto last = piece->find_last_not_of('\0');
    zeros = last == std::string::npos ? zeros + piece->size() : piece->size() - last - 1;
    DM_CHECK(tar(*piece));
  }
  if (zeros < 1024) return fail(Errc::corrupt, doing + ": the engine's tar has no end: it is not whole");
  return {};
}

Result<void> Docker::put_archive(const std::string& id, const std::string& folder, const Source& tar, const Deadline& deadline) {
  const auto doing = fmt::format("copying into '{}' of '{}'", folder, id);
  DM_TRY(const Spoken version, spoken(deadline));
  HttpRequest request;
  request.method = "PUT";
  request.target = fmt::format("{}/containers/{}/archive?path={}", version.prefix, escape(id), escape(folder));
  request.content_type = "application/x-tar";
  request.upload = tar;
  DM_TRY(const HttpResponse response, during(doing, http_.call(request, deadline)));
  if (response.head.status >= 300) return fail(answer_error(doing, response.head.status, response.body));
  return {};
}

Result<Stat> Docker::stat(const std::string& id, const std::string& path, const Deadline& deadline) {
  const auto doing = fmt::format("looking for '{}' in '{}'", path, id);
  DM_TRY(const Spoken version, spoken(deadline));
  HttpRequest request;
  request.method = "HEAD";
  request.target = fmt::format("{}/containers/{}/archive?path={}", version.prefix, escape(id), escape(path));
  DM_TRY(const HttpResponse response, during(doing, http_.call(request, deadline)));
  if (response.head.status == 404) return fail(Errc::not_found, doing + ": there is no such path or container");
  if (response.head.status >= 300) return fail(answer_error(doing, response.head.status, {}));
  const auto found = response.head.headers.find("x-docker-container-path-stat");
  if (found == response.head.headers.end()) return fail(Errc::corrupt, doing + ": the engine's answer says nothing about it");
  return parse_stat(found->second);
}

Result<void> Docker::events(const EventQuery& query, const std::function<void()>& on_subscribed, const OnEvent& on_event, const Deadline& deadline) {
  const std::string doing = "following the engine's events";
  const auto filters = render_filters({{"type", query.types}, {"event", query.actions}, {"label", query.labels}});
  DM_TRY(auto stream, open(doing, {}, "/events", {{"since", moment(query.since)}, {"until", moment(query.until)}, {"filters", filters == "{}" ? "" : filters}}, deadline));
  if (on_subscribed) on_subscribed();
  std::string line;
  for (;;) {
    auto piece = stream->read(deadline);
    if (!piece) return during(doing, Result<void>(fail(std::move(piece).error())));
    if (piece->empty()) break;
    line += *piece;
    std::size_t begin = 0;
    for (auto end = line.find('\n'); end != std::string::npos; end = line.find('\n', begin)) {
      const auto text = std::string_view(line).substr(begin, end - begin);
      begin = end + 1;
      if (text.empty()) continue;
      DM_TRY(const Event event, parse_event(text));
      DM_CHECK(on_event(event));
    }
    line.erase(0, begin);
    if (line.size() > (1U << 20U)) return fail(Errc::corrupt, doing + ": an event is over 1 MB");
  }
  if (query.until != 0) return {};
  return fail(Errc::unavailable, doing + ": the engine ended the stream");
}

}  // namespace dm::engine
