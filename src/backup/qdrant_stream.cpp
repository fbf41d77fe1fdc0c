#include "backup/qdrant_stream.hpp"

#include <fmt/format.h>

#include "backup/json_text.hpp"

namespace dm::backup {

QdrantStream::QdrantStream() : parser_("qdrant", [this](std::string_view tag, std::string_view bytes) { return record(tag, bytes); }) {}

Result<void> QdrantStream::record(std::string_view tag, std::string_view bytes) {
  if (about_ == (tag == "about")) return fail(Errc::corrupt, "a dump of Qdrant begins with what it is of, once");
  if (tag == "about") {
    about_ = true;
    DM_TRY(const auto members, json_members(bytes));
    for (const auto& [name, value] : members)
      if (name == "server") producer_ = fmt::format("Qdrant {}", json_string(value));
    return {};
  }
  DM_TRY(const auto text, json_canonical(bytes));
  if (tag == "point") {
    points_.rows += 1;
    points_.bytes += bytes.size();
    points_.sum += hash128(text);
    return {};
  }
  if (tag != "config" && tag != "index" && tag != "alias") return fail(Errc::corrupt, "it has a record of a kind that is not known here");
  schema_ += hash128(fmt::format("{} {}", tag, text));
  ++statements_;
  return {};
}

Result<Fingerprint> QdrantStream::finish() {
  DM_CHECK(parser_.finish());
  if (!about_) return fail(Errc::corrupt, "it says not what it is of");
  Fingerprint out;
  out.format = "qdrant";
  out.producer = producer_;
  out.schema = schema_;
  out.statements = statements_;
  if (points_.rows > 0) out.parts.push_back(points_);
  return out;
}

}  // namespace dm::backup
