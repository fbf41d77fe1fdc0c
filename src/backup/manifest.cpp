#include "backup/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "secrets/crypto.hpp"

namespace dm::backup {
namespace {

using Json = nlohmann::json;

Outcome outcome_of(const std::string& text) {
  if (text == "verified") return Outcome::verified;
  return text == "failed" ? Outcome::failed : Outcome::could_not_verify;
}

}  // namespace

Outcome Manifest::outcome() const {
  auto worst = saved.empty() ? Outcome::could_not_verify : Outcome::verified;
  for (const auto& item : saved) {
    if (item.outcome == Outcome::failed) return Outcome::failed;
    if (item.outcome == Outcome::could_not_verify) worst = Outcome::could_not_verify;
  }
  return worst;
}

std::uint64_t Manifest::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& item : saved) sum += item.bytes;
  return sum;
}

std::uint64_t Manifest::added() const {
  std::uint64_t sum = 0;
  for (const auto& item : saved) sum += item.added;
  return sum;
}

std::string Manifest::written(bool contents) const {
  auto list = Json::array();
  bool inside = false;
  for (const auto& item : saved) {
    list.push_back({{"subject", item.subject}, {"item", item.item}, {"path", item.path}, {"snapshot", item.snapshot}, {"bytes", item.bytes},
                    {"added", item.added}, {"checksum", item.checksum}, {"seconds", item.seconds}, {"at", item.at},
                    {"outcome", state::to_string(item.outcome)}, {"trouble", item.trouble}, {"notes", item.notes},
                    {"fingerprint", Json::parse(item.fingerprint.json())}, {"service", item.target.service}, {"kind", item.target.kind},
                    {"image", item.target.image}, {"image_id", item.target.image_id}, {"data_path", item.target.data_path},
                    {"facts", item.target.facts}, {"identity", item.target.identity}, {"config_hash", item.config_hash}});
    if (!item.inside) continue;
    inside = true;
    list.back()["inside"] = true;
    if (contents) list.back()["snapshot"] = "";  // its own, which nobody knows before it is stored
    if (contents && item.content) list.back()["content"] = secrets::base64(*item.content, true);
  }
  // Programs from before there were such streams must not take them for missing.
  Json tree{{"version", inside ? 2 : 1}, {"run", run}, {"project", project}, {"engine", engine}, {"tool", tool}, {"started", started},
                  {"finished", finished}, {"partial", partial}, {"outcome", state::to_string(outcome())}, {"saved", std::move(list)}, {"uncovered", uncovered}};
  if (stack.known()) tree["stack"] = Json::parse(stack.json());
  return tree.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Manifest> Manifest::parse(std::string_view json, const std::string& itself) {
  try {
    const auto tree = Json::parse(json);
    if (const int version = tree.at("version").get<int>(); version != 1 && version != 2) return fail(Errc::unsupported, fmt::format("a manifest of version {} was written by a newer program", version));
    Manifest out;
    out.run = tree.at("run").get<std::string>();
    out.project = tree.at("project").get<std::string>();
    out.engine = tree.at("engine").get<std::string>();
    out.tool = tree.at("tool").get<std::string>();
    out.started = tree.at("started").get<std::int64_t>();
    out.finished = tree.at("finished").get<std::int64_t>();
    out.partial = tree.value("partial", false);
    out.uncovered = tree.at("uncovered").get<std::vector<std::string>>();
    if (tree.contains("stack")) {
      DM_TRY(out.stack, StackRecord::parse(tree["stack"].dump()));
    }
    for (const auto& item : tree.at("saved")) {
      Saved saved;
      const auto text = [&](const char* key) { return item.at(key).get<std::string>(); };
      saved.subject = text("subject");
      saved.item = text("item");
      saved.path = text("path");
      saved.snapshot = text("snapshot");
      saved.bytes = item.at("bytes").get<std::uint64_t>();
      saved.added = item.at("added").get<std::uint64_t>();
      saved.checksum = text("checksum");
      saved.seconds = item.at("seconds").get<double>();
      saved.at = item.at("at").get<std::int64_t>();
      saved.outcome = outcome_of(text("outcome"));
      saved.trouble = text("trouble");
      saved.notes = item.at("notes").get<std::vector<std::string>>();
      DM_TRY(saved.fingerprint, Fingerprint::parse(item.at("fingerprint").dump()));
      saved.target.project = out.project;
      saved.target.service = text("service");
      saved.target.kind = text("kind");
      saved.target.image = text("image");
      saved.target.image_id = text("image_id");
      saved.target.data_path = text("data_path");
      saved.target.facts = item.at("facts").get<std::map<std::string, std::string>>();
      saved.target.identity = text("identity");
      saved.config_hash = text("config_hash");
      saved.inside = item.value("inside", false);
      if (saved.inside && !itself.empty() && saved.outcome == Outcome::verified) {
        saved.content = secrets::unbase64(text("content"), true);
        if (!saved.content) return fail(Errc::corrupt, fmt::format("what the manifest holds of {}/{} cannot be read", saved.subject, saved.item));
        saved.snapshot = itself;
      }
      out.saved.push_back(std::move(saved));
    }
    return out;
  } catch (const Json::exception&) {
    return fail(Errc::corrupt, "the manifest cannot be read");
  }
}

std::string manifest_path(std::string_view project) { return fmt::format("/{}/manifest.json", project); }

}  // namespace dm::backup
