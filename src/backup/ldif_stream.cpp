#include "backup/ldif_stream.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dm::backup {

Result<void> LdifStream::end_entry() {
  if (lines_.empty()) return {};
  if (!lines_.front().starts_with("dn:")) return fail(Errc::corrupt, "this is no LDIF: an entry does not begin with its name");
  std::ranges::sort(lines_.begin() + 1, lines_.end());
  std::string text;
  for (const auto& one : lines_) {
    text += one;
    text += '\n';
  }
  part_.rows += 1;
  part_.bytes += text.size();
  part_.sum += hash128(text);
  lines_.clear();
  size_ = 0;
  return {};
}

Result<void> LdifStream::line(std::string_view text) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty()) return end_entry();
  if (text.starts_with('#')) {
    ended_ = lines_.empty() && text == kLdifEnd;
    return {};
  }
  ended_ = false;
  size_ += text.size();
  if (size_ > (64U << 20U)) return fail(Errc::corrupt, "an entry is larger than 64 MiB");
  if (text.starts_with(' ')) {
    if (lines_.empty()) return fail(Errc::corrupt, "this is no LDIF: it begins with a continued line");
    lines_.back().append(text.substr(1));
    return {};
  }
  if (lines_.empty() && text.starts_with("version:")) return {};
  if (text.find(':') == std::string_view::npos) return fail(Errc::corrupt, "this is no LDIF: a line has no colon");
  lines_.emplace_back(text);
  return {};
}

Result<void> LdifStream::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    if (end == std::string_view::npos) {
      cut_.append(bytes);
      if (cut_.size() > (64U << 20U)) return fail(Errc::corrupt, "a line is longer than 64 MiB");
      return {};
    }
    if (cut_.empty()) {
      DM_CHECK(line(bytes.substr(0, end)));
    } else {
      cut_.append(bytes.substr(0, end));
      DM_CHECK(line(cut_));
      cut_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
  return {};
}

Result<Fingerprint> LdifStream::finish() {
  // slapcat ends every entry with an empty line.
  if (!cut_.empty() || !lines_.empty()) return fail(Errc::corrupt, "the LDIF ends inside an entry");
  Fingerprint out;
  out.format = "ldif";
  part_.name = "entries";
  if (ended_) out.producer = "slapcat, datamancy";
  if (part_.rows > 0) out.parts.push_back(part_);
  return out;
}

}  // namespace dm::backup
