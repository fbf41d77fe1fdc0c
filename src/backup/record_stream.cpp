#include "backup/record_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "backup/json_text.hpp"

namespace dm::backup {
namespace {

constexpr std::size_t kLongest = 256U << 20U;
constexpr std::size_t kTitle = 100;

bool number(std::string_view digits, std::uint64_t& to) {
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), to);
  return error == std::errc() && stop == digits.data() + digits.size() && !digits.empty();
}

}  // namespace

RecordWriter::RecordWriter(Sink out, std::string_view kind) : out_(std::move(out)), head_(fmt::format("datamancy-dump 1 {}\n", kind)) {}

Result<void> RecordWriter::put(std::string_view bytes) {
  hash_.add(bytes);
  return out_(bytes);
}

Result<void> RecordWriter::write(std::string_view tag, std::string_view bytes) {
  if (bytes.size() >= kLongest) return fail(Errc::unsupported, fmt::format("a record of {} MiB: over 256 MiB in one piece are not saved", bytes.size() >> 20U));
  auto text = std::exchange(head_, {}) + fmt::format("{} {}\n", tag, bytes.size());
  text += bytes;
  text += '\n';
  ++count_;
  return put(text);
}

Result<void> RecordWriter::finish() {
  if (!head_.empty()) DM_CHECK(put(std::exchange(head_, {})));
  return out_(fmt::format("end {} {}\n", count_, hash_.take().hex()));
}

RecordParser::RecordParser(std::string_view kind, OnRecord each) : kind_(kind), each_(std::move(each)) {}

Result<void> RecordParser::line(std::string_view text) {
  if (want_ == Want::head) {
    if (text != fmt::format("datamancy-dump 1 {}", kind_)) return fail(Errc::corrupt, fmt::format("this is no dump of kind {} that is known here", kind_));
    want_ = Want::title;
  } else {
    const auto cut = text.find(' ');
    const auto tag = text.substr(0, cut);
    const auto rest = cut == std::string_view::npos ? std::string_view() : text.substr(cut + 1);
    std::uint64_t count = 0;
    if (tag == "end") {
      const auto second = rest.find(' ');
      if (second == std::string_view::npos || !number(rest.substr(0, second), count)) return fail(Errc::corrupt, "its end mark cannot be read");
      if (count != count_) return fail(Errc::corrupt, fmt::format("it has {} records, but was written with {}", count_, count));
      if (rest.substr(second + 1) != hash_.take().hex()) return fail(Errc::corrupt, "its checksum does not agree: it is damaged");
      want_ = Want::nothing;
      return {};
    }
    if (tag.empty() || !std::ranges::all_of(tag, [](char c) { return c >= 'a' && c <= 'z'; }) || !number(rest, count)) return fail(Errc::corrupt, "a record does not begin where it has to");
    if (count >= kLongest) return fail(Errc::corrupt, "a record is larger than 256 MiB");
    tag_ = tag;
    length_ = static_cast<std::size_t>(count) + 1;
    want_ = Want::body;
  }
  hash_.add(text);
  hash_.add("\n");
  return {};
}

Result<void> RecordParser::take(std::string_view bytes) {
  while (!bytes.empty()) {
    if (want_ == Want::nothing) return fail(Errc::corrupt, "something follows its end mark");
    if (want_ == Want::body) {
      const auto part = bytes.substr(0, length_ - held_.size());
      bytes.remove_prefix(part.size());
      std::string_view whole = part;
      if (!held_.empty() || part.size() < length_) {
        held_.append(part);
        whole = held_;
      }
      if (whole.size() < length_) continue;
      if (whole.back() != '\n') return fail(Errc::corrupt, "a record does not end where it has to");
      hash_.add(whole);
      ++count_;
      want_ = Want::title;
      DM_CHECK(each_(tag_, whole.substr(0, whole.size() - 1)));
      held_.clear();
      continue;
    }
    const auto end = bytes.find('\n');
    held_.append(bytes.substr(0, std::min(end, kTitle + 1)));
    if (held_.size() > kTitle) return fail(Errc::corrupt, want_ == Want::head ? "this is no dump that is known here" : "a record does not begin where it has to");
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 1);
    const auto text = std::exchange(held_, {});
    DM_CHECK(line(text));
  }
  return {};
}

Result<void> RecordParser::finish() const {
  if (want_ != Want::nothing) return fail(Errc::corrupt, "it has no end mark: it is not whole");
  return {};
}

RecordReader::RecordReader(std::string_view kind, std::string_view title) : title_(title), parser_(kind, [this](std::string_view tag, std::string_view bytes) { return each(tag, bytes); }) { print_.format = kind; }

Result<void> RecordReader::each(std::string_view tag, std::string_view bytes) {
  if (about_ == (tag == "about")) return fail(Errc::corrupt, fmt::format("a dump of {} begins with what it is of, once", title_));
  if (about_) return record(tag, bytes);
  about_ = true;
  DM_TRY(const auto members, json_members(bytes));
  for (const auto& [name, value] : members)
    if (name == "server") print_.producer = fmt::format("{} {}", title_, json_string(value));
  about(members);
  return {};
}

void RecordReader::define(std::string_view text) {
  print_.schema += hash128(text);
  ++print_.statements;
}

Result<Fingerprint> RecordReader::finish() {
  DM_CHECK(parser_.finish());
  if (!about_) return fail(Errc::corrupt, "it says not what it is of");
  DM_CHECK(end());
  return print_;
}

Result<void> each_record(std::string_view kind, const Source& in, const RecordParser::OnRecord& each) {
  RecordParser parser(kind, each);
  for (;;) {
    DM_TRY(const std::string piece, in());
    if (piece.empty()) return parser.finish();
    DM_CHECK(parser.take(piece));
  }
}

}  // namespace dm::backup
