#include "backup/couchdb_stream.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "backup/json_text.hpp"

namespace dm::backup {

void CouchdbStream::about(const Members& members) {
  for (const auto& [name, value] : members)
    if (name == "partitioned" && value == "true") define("partitioned");
}

Result<void> CouchdbStream::record(std::string_view tag, std::string_view bytes) {
  if (tag == "doc") return document(bytes);
  if (tag != "security" && tag != "limit") return fail(unknown());
  DM_TRY(const auto text, json_canonical(bytes));
  define(fmt::format("{} {}", tag, text));
  return {};
}

Result<void> CouchdbStream::document(std::string_view text) {
  DM_TRY(auto members, json_members(text));
  std::ranges::sort(members);
  std::string id, content;
  for (const auto& [name, value] : members)
    if (name == "_id") id = json_string(value);
  for (const auto& [name, value] : members) {
    if (name == "_revisions") continue;
    content += name;
    content += '\0';
    if (name == "_attachments") {
      DM_TRY(auto files, json_members(value));
      std::ranges::sort(files);
      for (const auto& [file, about] : files) {
        // Only what it is and what it holds: the digest is that of its stored, perhaps compressed form.
        DM_TRY(const auto facts, json_members(about));
        std::string kind, data;
        bool there = false;
        for (const auto& [key, fact] : facts) {
          if (key == "content_type") kind = json_string(fact);
          if (key != "data") continue;
          if (fact.size() < 2 || fact.front() != '"') return fail(Errc::corrupt, "the content of an attachment is no text");
          data = fact.substr(1, fact.size() - 2);
          there = true;
        }
        if (!there) return fail(Errc::corrupt, fmt::format("the content of an attachment of '{}' is missing", id));
        const auto hash = hash128(data);
        attachments_.rows += 1;
        attachments_.bytes += data.size() / 4 * 3;
        attachments_.sum += hash;
        content += fmt::format("{} {} {}", file, kind, hash.hex());
      }
    } else {
      DM_TRY(const auto plain, json_canonical(value));
      content += plain;
    }
    content += '\0';
  }
  if (id.empty()) return fail(Errc::corrupt, "a document has no name");
  if (id.starts_with("_design/")) {
    define(content);
  } else {
    documents_.rows += 1;
    documents_.bytes += text.size();
    documents_.sum += hash128(content);
  }
  return {};
}

Result<void> CouchdbStream::end() {
  for (const auto& part : {attachments_, documents_})
    if (part.rows > 0) print_.parts.push_back(part);
  return {};
}

}  // namespace dm::backup
