#include "backup/fingerprint.hpp"

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/utf8.hpp"

namespace dm::backup {

std::string Hash128::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

Result<Hash128> Hash128::parse(std::string_view hex) {
  Hash128 out;
  const auto half = [&](std::string_view digits, std::uint64_t& to) {
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), to, 16);
    return error == std::errc() && stop == digits.data() + digits.size();
  };
  if (hex.size() != 32 || !half(hex.substr(0, 16), out.high) || !half(hex.substr(16), out.low)) return fail(Errc::invalid_input, "a checksum has 32 hexadecimal digits");
  return out;
}

Hash128 hash128(std::string_view bytes) {
  const auto hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

struct Hasher::State {
  XXH3_state_t xxh;
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::add(std::string_view bytes) {
  if (bytes.empty()) return;
  empty_ = false;
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

Hash128 Hasher::take() {
  const auto hash = XXH3_128bits_digest(&state_->xxh);
  XXH3_128bits_reset(&state_->xxh);
  empty_ = true;
  return {hash.high64, hash.low64};
}

std::uint64_t Fingerprint::rows() const {
  std::uint64_t sum = 0;
  for (const auto& part : parts) sum += part.rows;
  return sum;
}

std::uint64_t Fingerprint::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& part : parts) sum += part.bytes;
  return sum;
}

const Part* Fingerprint::part(std::string_view name) const {
  const auto found = std::ranges::find(parts, name, &Part::name);
  return found == parts.end() ? nullptr : &*found;
}

std::string Fingerprint::json() const {
  std::string out = R"({"format":)";
  json_quote(out, format);
  out += fmt::format(R"(,"schema":"{}","statements":{},"identity":"{}","producer":)", schema.hex(), statements, identity.hex());
  json_quote(out, producer);
  out += R"(,"parts":[)";
  for (const auto& part : parts) {
    if (&part != parts.data()) out += ',';
    out += R"({"name":)";
    json_quote(out, part.name);
    out += fmt::format(R"(,"rows":{},"bytes":{},"sum":"{}"{}}})", part.rows, part.bytes, part.sum.hex(), part.loose ? R"(,"loose":true)" : "");
  }
  return out + "]}";
}

Result<Fingerprint> Fingerprint::parse(std::string_view json) {
  try {
    const auto tree = nlohmann::json::parse(json);
    Fingerprint out;
    out.format = tree.at("format").get<std::string>();
    DM_TRY(out.schema, Hash128::parse(tree.at("schema").get<std::string>()));
    DM_TRY(out.identity, Hash128::parse(tree.at("identity").get<std::string>()));
    out.statements = tree.at("statements").get<std::uint64_t>();
    out.producer = tree.at("producer").get<std::string>();
    for (const auto& item : tree.at("parts")) {
      Part part;
      part.name = item.at("name").get<std::string>();
      part.rows = item.at("rows").get<std::uint64_t>();
      part.bytes = item.at("bytes").get<std::uint64_t>();
      part.loose = item.value("loose", false);
      DM_TRY(part.sum, Hash128::parse(item.at("sum").get<std::string>()));
      out.parts.push_back(std::move(part));
    }
    return out;
  } catch (const nlohmann::json::exception&) {
    return fail(Errc::corrupt, "the fingerprint cannot be read");
  }
}

std::vector<std::string> differences(const Fingerprint& then, const Fingerprint& now, Compare how, std::size_t limit) {
  std::vector<std::string> out;
  if (then.format != now.format) return {fmt::format("one is of kind {}, the other of kind {}", then.format, now.format)};
  std::size_t more = 0;
  const auto say = [&](std::string line) { out.size() < limit ? out.push_back(std::move(line)) : void(++more); };
  auto left = then.parts.begin();
  auto right = now.parts.begin();
  while (left != then.parts.end() || right != now.parts.end()) {
    const bool only_left = right == now.parts.end() || (left != then.parts.end() && left->name < right->name);
    const bool only_right = left == then.parts.end() || (right != now.parts.end() && right->name < left->name);
    if (only_left) {
      if (!left->loose) say(fmt::format("{}: missing ({} rows then)", left->name, left->rows));
      ++left;
    } else if (only_right) {
      if (!right->loose) say(fmt::format("{}: was not there then ({} rows now)", right->name, right->rows));
      ++right;
    } else {
      if (!left->loose && !right->loose) {
        if (left->rows != right->rows) say(fmt::format("{}: {} rows then, {} now", left->name, left->rows, right->rows));
        else if (left->sum != right->sum) say(fmt::format("{}: {} rows, but their content differs ({} then, {} now)", left->name, left->rows, left->sum.hex(), right->sum.hex()));
      }
      ++left;
      ++right;
    }
  }
  if (how != Compare::data) {
    if (then.statements != now.statements) say(fmt::format("schema: {} statements then, {} now", then.statements, now.statements));
    else if (then.schema != now.schema) say("schema: the same number of statements, but they differ");
    if (how == Compare::everything && then.identity != now.identity) say("the settings, owner or grants of the database differ");
  }
  if (more > 0) out.push_back(fmt::format("... and {} more", more));
  return out;
}

Fingerprint narrowed(Fingerprint now, const Fingerprint& then) {
  std::erase_if(now.parts, [&](const Part& part) { return then.part(part.name) == nullptr; });
  return now;
}

Part& Parts::operator[](std::string_view name) {
  if (last_ != nullptr && last_->name == name) return *last_;
  const auto at = std::ranges::lower_bound(parts_, name, {}, [](const auto& part) { return std::string_view(part->name); });
  if (at != parts_.end() && (*at)->name == name) return *(last_ = at->get());
  auto made = std::make_unique<Part>();
  made->name = name;
  last_ = made.get();
  parts_.insert(at, std::move(made));
  return *last_;
}

std::vector<Part> Parts::take() {
  std::vector<Part> out;
  out.reserve(parts_.size());
  for (auto& part : parts_) {
    part->name = printable(part->name);
    out.push_back(std::move(*part));
  }
  std::ranges::sort(out, {}, &Part::name);
  parts_.clear();
  last_ = nullptr;
  return out;
}

}  // namespace dm::backup
