#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <ctime>

#include "base/json.hpp"
#include "cli/records.hpp"

namespace dm::cli {
namespace {

std::string time_text(std::int64_t at) {
  std::tm parts{};
  const auto seconds = static_cast<std::time_t>(at);
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

/// A revision's number; false where the text is none.
bool revision_of(const std::string& text, std::int64_t& id) {
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, id);
  return read.ec == std::errc() && read.ptr == end && !text.empty();
}

}  // namespace

int history(Args& args) {
  const bool json = args.has("--json");
  std::vector<std::string> names;
  if (!take_names(args, "history", names)) return kUsage;
  std::int64_t wanted = 0;
  if (names.size() > 1 || (!names.empty() && !revision_of(names[0], wanted))) {
    fmt::print(stderr, "datamancy: history takes the number of one revision\n");
    return kUsage;
  }
  Session session;
  int exit = kFailed;
  if (!open_session(args, {}, session, exit)) return exit;
  const auto db = session.open_store();
  if (!db) return complain(db.error());
  std::vector<state::Revision> list;
  if (names.empty()) {
    list = state::revisions(**db, 100);
  } else {
    const auto found = state::revision(**db, wanted);
    if (!found) return complain({Errc::not_found, fmt::format("no revision '{}'", names[0]), {}});
    list.push_back(*found);
  }
  if (json) {
    JsonWriter out;
    out.begin_object().key("version").value(std::int64_t{1}).key("project").value(session.project().name).key("revisions").begin_array();
    for (const auto& r : list) {
      out.begin_object().key("id").value(r.id).key("at").value(time_text(r.at)).key("seconds").value(r.ended > 0 ? r.ended - r.at : std::int64_t{-1});
      out.key("who").value(r.who).key("verb").value(r.verb).key("result").value(r.result).key("note").value(r.note).key("compose").value(r.compose);
      if (!r.services.empty()) {
        out.key("services").begin_array();
        for (const auto& s : r.services) out.begin_object().key("service").value(s.service).key("image").value(s.image).key("image_id").value(s.image_id).key("config").value(s.config).end();
        out.end();
      }
      out.end();
    }
    out.end().end();
    return write_output("", out.take() + "\n") ? kClean : kFailed;
  }
  if (list.empty()) fmt::print("{}: no revision yet\n", session.project().name);
  for (const auto& r : list) {
    fmt::print("{:>4}  {}  {:11}  {} by {}{}{}\n", r.id, time_text(r.at), r.result, r.verb, r.who, r.note.empty() ? "" : ": ", r.note);
    for (const auto& s : r.services) fmt::print("      {}  {}  {}\n", s.service, s.image, s.image_id.substr(0, 19));
    for (const auto& f : r.files) fmt::print("      {}  {}\n", f.path, f.kept ? "kept" : "digest only");
  }
  return kClean;
}

int rollback(Args& args) {
  UpRequest request;
  if (!take_up_options(args, "rollback", request)) return kUsage;
  std::int64_t wanted = 0;
  if (request.planned.names.size() > 1 || (!request.planned.names.empty() && !revision_of(request.planned.names[0], wanted))) {
    fmt::print(stderr, "datamancy: rollback takes the number of one revision; see 'datamancy history'\n");
    return kUsage;
  }
  Session session;
  int exit = kFailed;
  if (!open_session(args, {}, session, exit)) return exit;
  auto lock = session.lock(fmt::format("rollback of {}", session.project().name), request.lock_wait);
  if (!lock) return complain(lock.error());
  const auto db = session.open_store();
  if (!db) return complain(db.error());
  request.after_a_cut = close_interrupted(session);
  std::optional<state::Revision> target;
  if (request.planned.names.empty()) {
    const auto newest = state::revisions(**db, 1);
    // From a good one to the good one before it; from a failed one to the last good one.
    target = newest.empty() ? std::nullopt : state::last_good(**db, newest.front().id);
  } else {
    target = state::revision(**db, wanted);
  }
  if (!target) return complain({Errc::not_found, "there is no such good revision to go back to; see 'datamancy history'", {}});
  fmt::print(stderr, "going back to revision {} ({} by {}, {})\n", target->id, target->verb, target->who, time_text(target->at));
  const auto before = session.services;
  std::vector<std::string> notes;
  if (const auto turned = become(session, args, *target, running_values(session), notes); !turned) return complain(turned.error());
  for (const auto& note : notes) fmt::print(stderr, "note: {}\n", note);
  request.planned.names.clear();
  request.options.pull = "missing";
  const int result = deploy_session(session, args, request, fmt::format("rollback to {}", target->id));
  if (!request.dry_run) remove_services(session, before);
  return result;
}

}  // namespace dm::cli
