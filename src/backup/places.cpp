#include "backup/places.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <random>

#include "backup/runner.hpp"

namespace dm::backup {
namespace {

std::string new_run_id(std::int64_t now) {
  std::random_device random;
  const std::time_t seconds = now;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z-{:08x}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, random());
}

/// A part of a path in the repository: no slash, nothing odd.
std::string path_part(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '%';
    out += plain ? c : '_';
  }
  return out == "." || out == ".." ? "_" : out;
}

std::string_view file_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

Places::Places(Repository& repository, std::string project, bool partial, const Deadline& deadline)
    : repository_(repository), project_(std::move(project)), partial_(partial), started_(unix_now()), deadline_(deadline) {
  run_ = new_run_id(started_);
}

std::string Places::path(std::string_view subject, std::string_view file) const { return fmt::format("/{}/{}/{}", path_part(project_), path_part(subject), path_part(file)); }

std::unique_ptr<Place> Places::open(std::string path, std::vector<std::string> tags) {
  if (partial_) tags.emplace_back(kOfAPart);
  StoreRequest request{.host = project_, .path = std::move(path), .tags = std::move(tags)};
  return std::make_unique<Place>([&repository = repository_, request = std::move(request), deadline = deadline_](const Source& in) { return repository.store(request, in, deadline); });
}

void Places::expect(const Manifest& last) {
  // Its first stream that has a snapshot of its own.
  const auto first = std::ranges::find_if(last.saved, [](const Saved& saved) { return !saved.inside; });
  if (first != last.saved.end() && first->subject == last.saved[0].subject && !first->snapshot.empty()) prepare(first->subject, file_of(first->path));
}

void Places::prepare(std::string_view subject, std::string_view file) {
  auto where = path(subject, file);
  if (!open_.contains(where)) open_[where] = open(where, {"run=" + run_, "subject=" + path_part(subject)});
}

std::unique_ptr<Place> Places::take(std::string_view subject, std::string_view file) {
  prepare(subject, file);
  return std::move(open_.extract(path(subject, file)).mapped());
}

std::unique_ptr<Place> Places::manifest() { return open(manifest_path(project_), {"run=" + run_, "manifest"}); }

void Places::only(std::string_view subject, const std::vector<std::string>& files) {
  std::vector<std::string> wanted;
  for (const auto& file : files) wanted.push_back(path(subject, file));
  std::erase_if(open_, [&](const auto& one) { return std::ranges::find(wanted, one.first) == wanted.end(); });
}

}  // namespace dm::backup
