/// Qdrant: every point of a collection with its vectors and payload through its HTTP interface, one collection a stream.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>

#include "backup/driver.hpp"
#include "backup/drivers/drivers.hpp"
#include "backup/inside.hpp"
#include "backup/json_text.hpp"
#include "backup/qdrant_stream.hpp"
#include "backup/relay.hpp"

namespace dm::backup {
namespace {

constexpr int kPort = 6333;
constexpr std::string_view kKind = "qdrant";
constexpr std::string_view kAliases = "(aliases)";

/// Prints the key as the server gets it; $1 = a file as a label of the container names it.
constexpr std::string_view kKey = R"sh(
key=
for f in "$1" /run/secrets/qdrant_api_key; do
  if [ -z "$key" ] && [ -n "$f" ] && [ -r "$f" ]; then key=$(cat "$f"); fi
done
[ -n "$key" ] || key=${QDRANT__SERVICE__API_KEY:-}
for f in /qdrant/config/local.yaml /qdrant/config/production.yaml /qdrant/config/config.yaml; do
  [ -z "$key" ] && [ -r "$f" ] || continue
  key=$(sed -n 's/^  *api_key:  *//p' "$f" | head -n 1 | sed "s/^[\"']\(.*\)[\"'] *$/\1/")
done
printf %s "$key"
)sh";

Result<std::unique_ptr<Inquiry>> server(engine::Engine& engine, const Target& target, const Deadline& deadline) {
  std::string key;
  if (!target.facts.contains("stand_in")) {
    DM_TRY(const auto state, engine.container(target.container, deadline.at_most(std::chrono::seconds(20))));
    const auto file = state.labels.find("datamancy.backup.password-file");
    Inside inside{.name = "looking for the key", .script = kKey, .words = {file == state.labels.end() ? std::string() : file->second}};
    DM_TRY(const auto said, run_inside(engine, target.container, std::move(inside), deadline.at_most(std::chrono::minutes(1))));
    key = said.out;
  }
  return std::make_unique<Inquiry>(engine, target.container, kPort, "Qdrant", "api-key", std::move(key));
}

std::string path(std::string_view collection, std::string_view rest = {}) { return fmt::format("/collections/{}{}", engine::escape(collection), rest); }

std::string file_name(std::string_view name) {
  std::string out = "collection-";
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    out += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return out + ".qdrant";
}

std::string_view member(const std::vector<std::pair<std::string, std::string_view>>& members, std::string_view name) {
  for (const auto& [key, value] : members)
    if (key == name) return value;
  return {};
}

/// Asks, and waits where the collection's own limit of requests per minute says so.
Result<std::string> patiently(Inquiry& qdrant, const Inquiry::Question& question, const Deadline& deadline) {
  while (true) {
    auto answer = qdrant.ask(question, deadline);
    if (answer || answer.error().message.find(" with 429: ") == std::string::npos || deadline.passed()) return answer;
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
}

/// What an answer is about: its "result".
Result<std::string> result(Inquiry& qdrant, const Inquiry::Question& question, const Deadline& deadline) {
  DM_TRY(const auto answer, patiently(qdrant, question, deadline));
  DM_TRY(const auto members, json_members(answer));
  const auto out = member(members, "result");
  if (out.empty()) return fail(Errc::corrupt, "Qdrant's answer has no result");
  return std::string(out);
}

class Qdrant final : public Driver {
 public:
  std::string_view kind() const override { return kKind; }
  std::string_view title() const override { return "Qdrant"; }

  Result<void> examine(engine::Engine& engine, Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto qdrant, server(engine, target, deadline));
    DM_TRY(const auto answer, qdrant->ask({.target = "/"}, deadline.at_most(std::chrono::minutes(1))));
    DM_TRY(const auto members, json_members(answer));
    target.facts["version"] = json_string(member(members, "version"));
    return {};
  }

  Result<std::vector<Item>> items(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto qdrant, server(engine, target, deadline));
    DM_TRY(const auto answer, result(*qdrant, {.target = "/collections"}, deadline.at_most(std::chrono::minutes(1))));
    DM_TRY(const auto members, json_members(answer));
    DM_TRY(const auto collections, json_elements(member(members, "collections")));
    std::vector<Item> out;
    for (const auto collection : collections) {
      DM_TRY(const auto about, json_members(collection));
      const auto name = json_string(member(about, "name"));
      out.push_back({.name = name, .file = file_name(name)});
    }
    std::ranges::sort(out, {}, &Item::name);
    out.push_back({.name = std::string(kAliases), .file = "aliases.qdrant", .small = true});  // last: they name collections
    return out;
  }

  Result<void> dump(engine::Engine& engine, const Target& target, const Item& item, const Sink& out, std::vector<std::string>&, const Deadline& deadline) const override {
    DM_TRY(const auto qdrant, server(engine, target, deadline));
    const auto version = target.facts.find("version");
    RecordWriter writer(out, kKind);
    DM_CHECK(writer.write("about", fmt::format(R"({{"collection":{},"server":{}}})", json_of(item.name), json_of(version == target.facts.end() ? "" : version->second))));
    if (item.name == kAliases) {
      DM_TRY(const auto answer, result(*qdrant, {.target = "/aliases"}, deadline));
      DM_TRY(const auto members, json_members(answer));
      DM_TRY(const auto aliases, json_elements(member(members, "aliases")));
      for (const auto alias : aliases) DM_CHECK(writer.write("alias", alias));
      return writer.finish();
    }
    DM_TRY(const auto answer, result(*qdrant, {.target = path(item.name)}, deadline));
    DM_TRY(const auto about, json_members(answer));
    const auto config = member(about, "config");
    DM_TRY(const auto made, request_of(config));
    DM_CHECK(writer.write("config", made));
    if (const auto schema = member(about, "payload_schema"); !schema.empty() && schema != "null") {
      DM_TRY(const auto fields, json_members(schema));
      for (const auto& [field, value] : fields) {
        DM_TRY(const auto index, json_members(value));
        const auto params = member(index, "params");
        DM_CHECK(writer.write("index", fmt::format(R"({{"field_name":{},"field_schema":{}}})", json_of(field), params.empty() || params == "null" ? member(index, "data_type") : params)));
      }
    }
    // By number and name, page by page: what is written meanwhile may be part of it or not.
    DM_TRY(const auto page_size, page_of(config));
    for (std::string from;;) {
      auto body = fmt::format(R"({{"limit":{},"with_payload":true,"with_vector":true{}}})", page_size, from.empty() ? "" : R"(,"offset":)" + from);
      DM_TRY(const auto page, result(*qdrant, {.method = "POST", .target = path(item.name, "/points/scroll"), .body = std::move(body)}, deadline));
      DM_TRY(const auto members, json_members(page));
      DM_TRY(const auto points, json_elements(member(members, "points")));
      for (const auto point : points) {
        DM_TRY(const auto fields, json_members(point));
        if (!member(fields, "shard_key").empty() && member(fields, "shard_key") != "null") return fail(Errc::unsupported, "a collection that is divided by keys of its own is not saved");
        DM_CHECK(writer.write("point", fmt::format(R"({{"id":{},"payload":{},"vector":{}}})", member(fields, "id"), or_null(member(fields, "payload")), or_else(member(fields, "vector"), "{}"))));
      }
      const auto next = member(members, "next_page_offset");
      if (next.empty() || next == "null") break;
      if (next == from) return fail(Errc::corrupt, "Qdrant gives the same page again and again");
      from = next;
    }
    return writer.finish();
  }

  std::unique_ptr<DumpReader> reader(const Item&) const override { return std::make_unique<QdrantStream>(); }

  Result<engine::NewContainer> stand_in(const Target& target) const override {
    engine::NewContainer out;
    out.image = target.image_id;
    out.network = "none";
    out.env = {"QDRANT__TELEMETRY_DISABLED=true"};
    return out;
  }

  Result<void> await(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    auto own = target;
    own.facts["stand_in"] = "yes";
    DM_TRY(const auto qdrant, server(engine, own, deadline));
    return await_answer(engine, target.container, *qdrant, "/readyz", deadline);
  }

  Result<void> restore(engine::Engine& engine, const Target& target, const Item& item, const Source& in, const RestoreInto& into, const Deadline& deadline) const override {
    DM_TRY(const auto qdrant, server(engine, target, deadline));
    const auto name = into.name.empty() ? item.name : into.name;
    if (item.name == kAliases) return feed(*qdrant, {}, in, deadline);
    auto there = qdrant->ask({.target = path(name)}, deadline);
    if (!there && there.error().code != Errc::not_found) return fail(std::move(there).error());
    if (there && !into.replace) return fail(Errc::conflict, fmt::format("there is a collection '{}' already", name));
    std::vector<std::string> aliases;  // they go with the collection
    if (there) {
      DM_TRY(const auto said, result(*qdrant, {.target = "/aliases"}, deadline));
      DM_TRY(const auto members, json_members(said));
      DM_TRY(const auto list, json_elements(member(members, "aliases")));
      for (const auto one : list) {
        DM_TRY(const auto alias, json_members(one));
        if (member(alias, "collection_name") == json_of(name)) aliases.emplace_back(one);
      }
      DM_CHECK(qdrant->ask({.method = "DELETE", .target = path(name)}, deadline));
    }
    auto done = feed(*qdrant, name, in, deadline);
    for (const auto& alias : aliases)
      if (done) {
        if (auto back = qdrant->ask({.method = "POST", .target = "/collections/aliases", .body = fmt::format("{{\"actions\":[{{\"create_alias\":{}}}]}}", alias)}, deadline); !back)
          done = during("giving the collection its aliases back", Result<void>(fail(std::move(back).error())));
      }
    if (done) return {};
    auto error = std::move(done).error();
    if (auto dropped = qdrant->ask({.method = "DELETE", .target = path(name)}, Deadline::in(std::chrono::minutes(1))); !dropped && dropped.error().code != Errc::not_found)
      error.during.push_back(fmt::format("the half restored collection '{}' could not be deleted ({})", name, dropped.error().message));
    return fail(std::move(error));
  }

  Result<std::string> check(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto qdrant, server(engine, target, deadline));
    DM_TRY(const auto all, items(engine, target, deadline));
    for (const auto& item : all) {
      if (item.name == kAliases) continue;
      DM_TRY(const auto answer, result(*qdrant, {.target = path(item.name)}, deadline));
      DM_TRY(const auto about, json_members(answer));
      if (member(about, "status") == "\"red\"") return fail(Errc::corrupt, fmt::format("Qdrant says of collection '{}' that it is broken", item.name));
    }
    return fmt::format("Qdrant says that its {} collections are well", all.size() - 1);
  }

  /// A newer release has more to say of how a collection is made.
  Compare comparison(const Target& then, const Target& now) const override {
    const auto release = [](const Target& target) {
      const auto found = target.facts.find("version");
      return found == target.facts.end() ? std::string() : found->second.substr(0, found->second.rfind('.'));
    };
    return release(then) == release(now) ? Compare::everything : Compare::data;
  }

 private:
  static std::string_view or_else(std::string_view value, std::string_view other) { return value.empty() || value == "null" ? other : value; }
  static std::string_view or_null(std::string_view value) { return value.empty() ? "null" : value; }

  /// What makes a collection like one of this configuration.
  static Result<std::string> request_of(std::string_view config) {
    DM_TRY(const auto members, json_members(config));
    DM_TRY(const auto params, json_members(member(members, "params")));
    if (member(params, "sharding_method") == "\"custom\"") return fail(Errc::unsupported, "a collection that is divided by keys of its own is not saved");
    std::string out;
    const auto add = [&](std::string_view name, std::string_view value) {
      if (!value.empty() && value != "null") out += fmt::format("{}{}:{}", out.empty() ? "{" : ",", json_of(name), value);
    };
    for (const auto& [name, value] : params)
      if (name != "read_fan_out_factor" && name != "read_fan_out_delay_ms") add(name, value);
    for (const std::string_view name : {"hnsw_config", "wal_config", "quantization_config", "strict_mode_config", "metadata"}) add(name, member(members, name));
    add("optimizers_config", member(members, "optimizer_config"));
    return out.empty() ? "{}" : out + '}';
  }

  /// How many points to ask for at once: a collection in strict mode may allow fewer than ours.
  static Result<unsigned> page_of(std::string_view config) {
    unsigned out = 100, most = 0;
    DM_TRY(const auto members, json_members(config));
    const auto strict = member(members, "strict_mode_config");
    if (strict.empty() || strict == "null") return out;
    DM_TRY(const auto limits, json_members(strict));
    const auto limit = member(limits, "max_query_limit");
    if (member(limits, "enabled") == "true" && std::from_chars(limit.data(), limit.data() + limit.size(), most).ec == std::errc() && most > 0) out = std::min(out, most);
    return out;
  }

  static Result<void> feed(Inquiry& qdrant, const std::string& name, const Source& in, const Deadline& deadline) {
    constexpr std::size_t kBatch = 4U << 20U;  // a server takes 32 MiB at once
    std::string batch;
    const auto send = [&]() -> Result<void> {
      if (batch.empty()) return {};
      DM_CHECK(qdrant.ask({.method = "PUT", .target = path(name, "/points?wait=true"), .body = R"({"points":[)" + std::exchange(batch, {}) + "]}"}, deadline));
      return {};
    };
    std::vector<std::string> fields;
    std::string strict;
    const auto record = [&](std::string_view tag, std::string_view bytes) -> Result<void> {
      if (tag == "config") {
        // Its strict mode would refuse batches of ours, or stop them at a limit: it is set when all is there.
        DM_TRY(const auto members, json_members(bytes));
        std::string made;
        for (const auto& [key, value] : members) {
          if (key == "strict_mode_config") strict = value;
          made += fmt::format("{}{}:{}", made.empty() ? "{" : ",", json_of(key), key == "strict_mode_config" ? R"({"enabled":false})" : value);
        }
        DM_CHECK(qdrant.ask({.method = "PUT", .target = path(name), .body = made.empty() ? "{}" : made + '}'}, deadline));
      } else if (tag == "index") {
        fields.emplace_back(bytes);
      } else if (tag == "point") {
        if (!batch.empty()) batch += ',';
        batch += bytes;
        if (batch.size() >= kBatch) return send();
      } else if (tag == "alias") {
        DM_CHECK(qdrant.ask({.method = "POST", .target = "/collections/aliases", .body = fmt::format(R"({{"actions":[{{"create_alias":{}}}]}})", bytes)}, deadline));
      }
      return {};
    };
    DM_CHECK(each_record(kKind, in, record));
    DM_CHECK(send());
    for (auto& field : fields) DM_CHECK(qdrant.ask({.method = "PUT", .target = path(name, "/index?wait=true"), .body = std::move(field)}, deadline));
    if (!strict.empty()) DM_CHECK(during("setting the collection's strict mode", qdrant.ask({.method = "PATCH", .target = path(name), .body = fmt::format(R"({{"strict_mode_config":{}}})", strict)}, deadline)));
    return {};
  }
};

}  // namespace

const Driver& qdrant_driver() {
  static const Qdrant driver;
  return driver;
}

}  // namespace dm::backup
