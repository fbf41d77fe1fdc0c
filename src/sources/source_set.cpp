#include "sources/source_set.hpp"

#include <fmt/format.h>

namespace dm::sources {

Result<FileId> SourceSet::open(const std::string& path, std::uint64_t limit) {
  if (const auto known = by_path_.find(path); known != by_path_.end()) return known->second;
  auto content = files_.read(path, limit);
  if (!content) {
    by_path_.emplace(path, Result<FileId>(fail(content.error())));
    return fail(content.error());
  }
  const FileId id = add(path, *std::move(content));
  sources_.back().mode = files_.stat(path).mode;
  by_path_.emplace(path, Result<FileId>(id));
  return id;
}

FileId SourceSet::add(std::string name, std::string content) {
  sources_.push_back({std::move(name), std::move(content), 0});
  lines_.emplace_back();
  return static_cast<FileId>(sources_.size());
}

FileId SourceSet::find(const std::string& path) const {
  const auto known = by_path_.find(path);
  return known != by_path_.end() && known->second ? *known->second : kNoFile;
}

std::string_view SourceSet::text(const Location& where) const {
  if (!where) return {};
  return std::string_view(at(where.file).content).substr(where.span.begin, where.span.size());
}

text::Position SourceSet::position(const Location& where) const {
  if (!where) return {};
  return lines(where.file).position(at(where.file).content, where.span.begin);
}

const text::LineIndex& SourceSet::lines(FileId id) const {
  auto& index = lines_.at(id - 1);
  if (!index) index = std::make_unique<text::LineIndex>(at(id).content);
  return *index;
}

std::string SourceSet::describe(const Location& where, std::string_view base) const {
  if (!where) return {};
  const auto place = position(where);
  return fmt::format("{}:{}:{}", relative_to(at(where.file).path, base), place.line, place.column);
}

std::string_view relative_to(std::string_view path, std::string_view base) {
  while (base.ends_with('/')) base.remove_suffix(1);
  if (path.size() > base.size() && path.starts_with(base) && path[base.size()] == '/') return path.substr(base.size() + 1);
  return path;
}

}  // namespace dm::sources
