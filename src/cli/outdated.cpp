/// outdated: newer images than those that the project uses, and what is known to bite on the way.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "backup/discover.hpp"
#include "base/json.hpp"
#include "cli/session.hpp"
#include "deploy/plan.hpp"
#include "upgrade/judge.hpp"
#include "upgrade/registry.hpp"

namespace dm::cli {
namespace {

struct Line {
  std::string service{}, image{};
  std::string state{};               ///< "up to date", "newer", "unknown"
  std::string within{}, newest{};
  std::string detail{};
  upgrade::Judgement judgement{};    ///< of the step to `newest`
  bool moved = false;                ///< the tag names another image by now
};

/// What can be said of one image; the registry is asked once for each name.
Line look(Session& session, upgrade::Registry& registry, std::map<std::string, Result<std::vector<std::string>>>& asked, const compose::Service& service, const product::Product* product) {
  Line out;
  out.service = service.name;
  out.image = deploy::image_of(session.project(), service);
  out.state = "unknown";
  if (service.build != nullptr) {
    out.detail = "it is built here";
    return out;
  }
  const auto image = upgrade::parse_image(out.image);
  if (!image) {
    out.detail = image.error().message;
    return out;
  }
  const auto key = image->registry + "/" + image->name;
  auto known = asked.find(key);
  if (known == asked.end()) known = asked.emplace(key, registry.tags(*image, session.within(std::chrono::minutes(1)))).first;
  const auto& tags = known->second;
  if (!tags) {
    out.detail = tags.error().describe();
    return out;
  }
  const auto tag = upgrade::parse_tag(image->tag);
  if (tag) {
    const auto found = upgrade::candidates(*tag, *tags);
    out.within = found.within;
    out.newest = found.newest;
    if (!found.newest.empty()) {
      out.state = "newer";
      out.judgement = upgrade::judge(product, image->tag, found.newest, product == nullptr || !product->data.empty());
    }
  }
  if (!image->digest.empty() && image->tag.empty()) {
    out.detail = "it is named by its digest alone: which version that is, no tag says";
    return out;
  }
  // A tag may name another image than the one that runs.
  const auto here = session.engine->image(out.image, session.within(std::chrono::seconds(20)));
  const auto there = registry.digest(*image, session.within(std::chrono::minutes(1)));
  if (here && there && !here->digests.empty()) {
    out.moved = std::ranges::none_of(here->digests, [&](const std::string& one) { return one.ends_with("@" + *there); });
    if (out.moved) {
      out.state = "newer";
      out.detail = fmt::format("{} names a newer image by now: 'datamancy upgrade {} --to {}' pulls it", image->tag, service.name, image->tag);
    } else if (out.state == "unknown" && tag) {
      out.state = "up to date";
    } else if (out.state == "unknown") {
      out.state = "up to date";
      out.detail = fmt::format("'{}' is no version: only that it names this image is known", image->tag);
    }
    return out;
  }
  if (out.state == "unknown" && tag && there) {
    out.state = "up to date";
    out.detail = "by its tag; whether the image here is the one that the tag names now is not known: it was not pulled from there";
  } else if (out.state == "unknown") {
    out.detail = !there ? there.error().describe() : fmt::format("'{}' is no version, and the image here was not pulled from there", image->tag);
  }
  return out;
}

}  // namespace

int outdated(Args& args) {
  const bool json = args.has("--json");
  std::vector<std::string> names;
  if (!take_names(args, "outdated", names)) return kUsage;
  Session session;
  int exit = kFailed;
  if (!open_session(args, names, session, exit, false)) return exit;
  upgrade::Registry registry(args.project.environment);
  std::map<std::string, Result<std::vector<std::string>>> asked;
  std::vector<Line> lines;
  for (const auto& service : session.project().services) {
    if (!service.enabled || !session.services.contains(service.name)) continue;
    const auto* product = session.wiring.product_of[session.wiring.id_of(service.name)];
    // A copy of a known image under another name.
    if (product == nullptr) product = session.products.by_id(backup::kind_of(session.products, deploy::image_of(session.project(), service), {}));
    lines.push_back(look(session, registry, asked, service, product));
    if (session.interrupt.happened()) return kInterrupted;
  }
  const auto newer = std::ranges::count(lines, "newer", &Line::state), unknown = std::ranges::count(lines, "unknown", &Line::state);
  if (json) {
    JsonWriter out;
    out.begin_object().key("project").value(session.project().name).key("services").begin_array();
    for (const auto& line : lines) {
      out.begin_object().key("service").value(line.service).key("image").value(line.image).key("state").value(line.state).key("within").value(line.within).key("newest").value(line.newest);
      out.key("step").value(line.newest.empty() ? "" : upgrade::to_string(line.judgement.step)).key("data").value(line.newest.empty() ? "" : upgrade::to_string(line.judgement.data)).key("tag_moved").value(line.moved).key("detail").value(line.detail).key("traps").begin_array();
      for (const auto& trap : line.judgement.traps) out.value(trap);
      out.end().end();
    }
    out.end().key("newer").value(static_cast<std::int64_t>(newer)).key("unknown").value(static_cast<std::int64_t>(unknown)).end();
    if (!write_output("", out.take() + "\n")) return kFailed;
  } else {
    for (const auto& line : lines) {
      fmt::print("{:11} {:20} {}\n", line.state, line.service, line.image);
      if (!line.within.empty()) fmt::print("            within this version: {}\n", line.within);
      if (!line.newest.empty() && line.newest != line.within) fmt::print("            newest: {} ({}, data: {})\n", line.newest, upgrade::to_string(line.judgement.step), upgrade::to_string(line.judgement.data));
      for (const auto& trap : line.judgement.traps) fmt::print("            trap: {}\n", trap);
      if (!line.judgement.refusal.empty()) fmt::print("            {}\n", line.judgement.refusal);
      if (!line.detail.empty()) fmt::print("            {}\n", line.detail);
    }
    fmt::print("{} services: {} with a newer image, {} unknown\n", lines.size(), newer, unknown);
  }
  return newer > 0 ? kFindings : unknown > 0 ? kFailed : kClean;
}

}  // namespace dm::cli
