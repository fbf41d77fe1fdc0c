#include "backup/tar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace dm::backup {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kMaxMeta = 8U << 20U;

void octal(char* field, std::size_t size, std::uint64_t value) {
  const auto text = fmt::format("{:0{}o}", value, size - 1);
  std::memcpy(field, text.data(), size - 1);
}

void put(char* field, std::size_t size, std::string_view text) { std::memcpy(field, text.data(), std::min(size, text.size())); }

std::string record(std::string_view key, std::string_view value) {
  const auto rest = key.size() + value.size() + 3;  // blank, '=', line end
  std::size_t size = rest + 1;
  while (std::to_string(size).size() + rest != size) size = std::to_string(size).size() + rest;
  return fmt::format("{} {}={}\n", size, key, value);
}

std::string block(std::string_view name, char type, const TarEntry& entry, std::uint64_t size) {
  std::string out(kBlock, '\0');
  char* const at = out.data();
  put(at, 100, name);
  octal(at + 100, 8, entry.mode & 07777U);
  octal(at + 108, 8, entry.uid > 07777777U ? 0 : entry.uid);
  octal(at + 116, 8, entry.gid > 07777777U ? 0 : entry.gid);
  octal(at + 124, 12, size > 077777777777ULL ? 0 : size);
  octal(at + 136, 12, entry.mtime < 0 ? 0 : static_cast<std::uint64_t>(entry.mtime));
  std::memset(at + 148, ' ', 8);
  at[156] = type;
  put(at + 157, 100, entry.link);
  std::memcpy(at + 257, "ustar\00000", 8);
  if (type == '3' || type == '4') {
    octal(at + 329, 8, entry.major);
    octal(at + 337, 8, entry.minor);
  }
  unsigned sum = 0;
  for (const char c : out) sum += static_cast<unsigned char>(c);
  const auto text = fmt::format("{:06o}", sum);
  std::memcpy(at + 148, text.data(), 6);
  at[154] = '\0';
  return out;
}

std::string padded(std::string text) {
  text.resize((text.size() + kBlock - 1) / kBlock * kBlock, '\0');
  return text;
}

/// Octal digits, or GNU's base 256.
bool number(std::string_view field, std::uint64_t& out) {
  out = 0;
  if (!field.empty() && (static_cast<unsigned char>(field[0]) & 0x80U) != 0) {
    for (std::size_t i = 0; i < field.size(); ++i) out = (out << 8U) | (static_cast<unsigned char>(field[i]) & (i == 0 ? 0x7FU : 0xFFU));
    return true;
  }
  for (const char c : field) {
    if (c == '\0' || c == ' ') continue;
    if (c < '0' || c > '7' || out > (~std::uint64_t{0} >> 3U)) return false;
    out = out * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

std::string_view text(std::string_view field) { return field.substr(0, std::min(field.find('\0'), field.size())); }

std::string clean(std::string_view path) {
  while (path.starts_with("./") || path.starts_with("/")) path.remove_prefix(path.starts_with("./") ? 2 : 1);
  while (path.ends_with('/')) path.remove_suffix(1);
  return path.empty() ? "." : std::string(path);
}

}  // namespace

std::string tar_header(const TarEntry& entry) {
  std::string pax;
  const auto name = entry.type == '5' && entry.path != "." ? entry.path + "/" : entry.path == "." ? "./" : entry.path;
  if (name.size() > 100) pax += record("path", name);
  if (entry.link.size() > 100) pax += record("linkpath", entry.link);
  if (entry.size > 077777777777ULL) pax += record("size", std::to_string(entry.size));
  if (entry.uid > 07777777U) pax += record("uid", std::to_string(entry.uid));
  if (entry.gid > 07777777U) pax += record("gid", std::to_string(entry.gid));
  if (entry.mtime < 0 || entry.mtime_ns != 0) pax += record("mtime", fmt::format("{}.{:09}", entry.mtime, entry.mtime_ns));
  if (entry.sparse) pax += record("DATAMANCY.sparse", "1");
  for (const auto& [key, value] : entry.xattrs) pax += record("SCHILY.xattr." + key, value);
  std::string out;
  if (!pax.empty()) {
    const auto size = pax.size();
    TarEntry extra;
    extra.mode = 0644;
    out += block("./PaxHeaders/" + name.substr(0, 80), 'x', extra, size) + padded(std::move(pax));
  }
  return out + block(name.substr(0, 100), entry.type, entry, entry.size);
}

std::string tar_end() { return std::string(2 * kBlock, '\0'); }

Result<void> TarReader::take(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (mode_) {
      case Mode::header: {
        if (block_.empty() && bytes.size() >= kBlock) {
          const auto whole = bytes.substr(0, kBlock);
          bytes.remove_prefix(kBlock);
          DM_CHECK(header(whole));
          break;
        }
        const auto want = std::min(kBlock - block_.size(), bytes.size());
        block_.append(bytes.substr(0, want));
        bytes.remove_prefix(want);
        if (block_.size() == kBlock) {
          const auto whole = std::exchange(block_, {});
          DM_CHECK(header(whole));
        }
        break;
      }
      case Mode::data:
      case Mode::meta: {
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
        if (mode_ == Mode::meta) meta_.append(bytes.substr(0, want));
        else if (want > 0 && on_data) DM_CHECK(on_data(bytes.substr(0, want)));
        left_ -= want;
        bytes.remove_prefix(want);
        if (left_ > 0) break;
        if (mode_ == Mode::meta) DM_CHECK(meta_done());
        else if (on_end) DM_CHECK(on_end());
        mode_ = padding_ > 0 ? Mode::padding : Mode::header;
        break;
      }
      case Mode::padding: {
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(padding_, bytes.size()));
        padding_ -= want;
        bytes.remove_prefix(want);
        if (padding_ == 0) mode_ = Mode::header;
        break;
      }
      case Mode::end: return {};  // what follows the end mark is padding of the writer's block size
    }
  }
  return {};
}

Result<void> TarReader::header(std::string_view block) {
  if (std::ranges::all_of(block, [](char c) { return c == '\0'; })) {
    if (++zero_blocks_ == 2) mode_ = Mode::end;
    return {};
  }
  if (zero_blocks_ > 0) return fail(Errc::corrupt, "a tar archive goes on after its end mark");
  std::uint64_t stated = 0;
  if (!number(block.substr(148, 8), stated)) return fail(Errc::corrupt, "this is no tar archive, or it is damaged: a header's checksum is no number");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  if (sum != stated) return fail(Errc::corrupt, fmt::format("this is no tar archive, or it is damaged: the header after entry {} fails its checksum", entries_));
  TarEntry entry;
  std::uint64_t mode = 0, mtime = 0, major = 0, minor = 0;
  if (!number(block.substr(100, 8), mode) || !number(block.substr(108, 8), entry.uid) || !number(block.substr(116, 8), entry.gid) || !number(block.substr(124, 12), entry.size) || !number(block.substr(136, 12), mtime))
    return fail(Errc::corrupt, "a tar header holds a number that is none");
  entry.type = block[156] == '\0' ? '0' : block[156];
  padding_ = (kBlock - entry.size % kBlock) % kBlock;
  left_ = entry.size;
  if (entry.type == 'x' || entry.type == 'g' || entry.type == 'L' || entry.type == 'K') {
    if (entry.size > kMaxMeta) return fail(Errc::corrupt, "a tar header is larger than 8 MiB");
    meta_type_ = entry.type;
    meta_.clear();
    mode_ = Mode::meta;
    if (left_ == 0) mode_ = Mode::header;
    return {};
  }
  entry.mode = static_cast<std::uint32_t>(mode);
  entry.mtime = static_cast<std::int64_t>(mtime);
  entry.link = text(block.substr(157, 100));
  std::string path(text(block.substr(0, 100)));
  if (block.substr(257, 6) == std::string_view("ustar\0", 6))
    if (const auto prefix = text(block.substr(345, 155)); !prefix.empty()) path = fmt::format("{}/{}", prefix, path);
  if (!long_name_.empty()) path = std::exchange(long_name_, {});
  if (!long_link_.empty()) entry.link = std::exchange(long_link_, {});
  if (entry.type == '3' || entry.type == '4') {
    (void)number(block.substr(329, 8), major);
    (void)number(block.substr(337, 8), minor);
    entry.major = static_cast<std::uint32_t>(major);
    entry.minor = static_cast<std::uint32_t>(minor);
  }
  const auto unsigned_of = [](const std::string& value, std::uint64_t& to) { return std::from_chars(value.data(), value.data() + value.size(), to).ec == std::errc(); };
  for (const auto& [key, value] : pax_) {
    if (key == "path") path = value;
    else if (key == "linkpath") entry.link = value;
    else if (key == "size") {
      if (!unsigned_of(value, entry.size)) return fail(Errc::corrupt, "a pax header has a size that is none");
      left_ = entry.size;
      padding_ = (kBlock - entry.size % kBlock) % kBlock;
    } else if (key == "uid") (void)unsigned_of(value, entry.uid);
    else if (key == "gid") (void)unsigned_of(value, entry.gid);
    else if (key == "mtime") {
      const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), entry.mtime);
      if (error == std::errc() && *stop == '.') {
        std::string digits(stop + 1, static_cast<std::size_t>(value.data() + value.size() - stop - 1));
        digits.resize(9, '0');
        std::uint64_t ns = 0;
        if (unsigned_of(digits, ns)) entry.mtime_ns = static_cast<std::uint32_t>(ns);
      }
    } else if (key == "DATAMANCY.sparse") entry.sparse = true;
    else if (key.starts_with("SCHILY.xattr.")) entry.xattrs[key.substr(13)] = value;
  }
  pax_.clear();
  entry.path = clean(path);
  if (entry.type != '0' && entry.type != '7') {
    entry.size = 0;
    left_ = 0;
    padding_ = 0;
  }
  ++entries_;
  if (on_entry) DM_CHECK(on_entry(entry));
  mode_ = left_ > 0 ? Mode::data : Mode::header;
  if (left_ == 0 && on_end) return on_end();
  return {};
}

Result<void> TarReader::meta_done() {
  if (meta_type_ == 'L') long_name_ = text(meta_);
  if (meta_type_ == 'K') long_link_ = text(meta_);
  if (meta_type_ != 'x') return {};
  for (std::string_view rest = meta_; !rest.empty();) {
    std::size_t size = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
    const auto digits = static_cast<std::size_t>(stop - rest.data());
    if (error != std::errc() || size <= digits + 1 || size > rest.size() || rest[digits] != ' ' || rest[size - 1] != '\n') return fail(Errc::corrupt, "a pax header cannot be read");
    const auto line = rest.substr(digits + 1, size - digits - 2);
    const auto cut = line.find('=');
    if (cut == std::string_view::npos) return fail(Errc::corrupt, "a pax header cannot be read");
    pax_[std::string(line.substr(0, cut))] = line.substr(cut + 1);
    rest.remove_prefix(size);
  }
  return {};
}

Result<void> TarReader::finish() const {
  if (mode_ != Mode::end) return fail(Errc::corrupt, fmt::format("the archive is cut off after {} entries: its end mark is missing", entries_));
  return {};
}

}  // namespace dm::backup
