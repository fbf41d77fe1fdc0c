#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

struct Item {
  std::string source, target;
  text::Span where;  ///< of source and target in the file
};

/// `- source:/target[:mode]` on one line; the target begins at the last ":/", so that a default in `${...}` may hold one.
std::optional<Item> item_of(std::string_view line, std::uint32_t line_begin) {
  auto at = line.find_first_not_of(' ');
  if (at == std::string_view::npos || line[at] != '-') return std::nullopt;
  at = line.find_first_not_of(" \"'", at + 1);
  if (at == std::string_view::npos) return std::nullopt;
  auto end = std::min(line.find(" #", at), line.size());
  while (end > at && (line[end - 1] == ' ' || line[end - 1] == '"' || line[end - 1] == '\'' || line[end - 1] == '\r')) --end;
  const auto text = line.substr(at, end - at);
  const auto cut = text.rfind(":/");
  if (cut == std::string_view::npos || cut == 0) return std::nullopt;
  auto target = text.substr(cut + 1);
  target = target.substr(0, target.find(':'));
  if (target.find_first_of("${} ") != std::string_view::npos) return std::nullopt;
  std::string source(text.substr(0, cut));  // a Windows path may be written either way
  for (auto slash = source.find("\\\\"); slash != std::string::npos; slash = source.find("\\\\")) source.replace(slash, 2, "/");
  const text::Span where{line_begin + static_cast<std::uint32_t>(at), line_begin + static_cast<std::uint32_t>(end)};
  return Item{std::move(source), sources::clean_path(target), where};
}

}  // namespace

extern constinit const Rule mount_target_twice{
    .id = "DM0122",
    .name = "mount-target-twice",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "two mounts of a service have the same target",
    .rationale = "Compose says nothing and keeps the last one of the list (`docker compose config` shows which): what the "
                 "other was to bring is not in the container, or its data goes elsewhere.",
    .fix = "Remove the one that is not meant, or correct its target.",
    .checks = "124",
    .bad = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - uploads:/srv/data  # <- DM0122
      - ./config.yml:/etc/app.yml:ro
      - "cache:/srv/data/"
volumes: {uploads: , cache: }
-- config.yml
a: 1
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - uploads:/srv/data
      - ./config.yml:/etc/app.yml:ro
      - "cache:/srv/cache/"
volumes: {uploads: , cache: }
-- config.yml
a: 1
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - uploads:/srv/data
      - cache:/srv/data/cache
  same:
    image: example/app:1.0
    volumes:
      - uploads:/srv/data
      - uploads:/srv/data:ro
      # - cache:/srv/data
  other:
    image: example/app:1.0
    volumes:
      - cache:/srv/data
volumes: {uploads: , cache: }
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            // The model holds the last ones only: the list around each is read again from the file.
            std::set<std::uint32_t> told;
            for (const auto& winner : service.mounts) {
              if (!winner.where || winner.type == compose::Mount::Type::tmpfs) continue;
              const auto file = winner.where.file;
              const auto& lines = input.project.texts.lines(file);
              const std::string_view content = input.project.texts.at(file).content;
              const auto row = [&](std::size_t line) {
                const auto span = lines.line(line);
                return content.substr(span.begin, span.size());
              };
              auto number = lines.number(winner.where.span.begin);
              const auto last = item_of(row(number), lines.line(number).begin);
              if (!last || last->target != winner.target) continue;
              const auto indent = row(number).find('-');
              while (number > 0) {
                const auto line = row(--number);
                const auto first = line.find_first_not_of(' ');
                if (first == std::string_view::npos || line[first] == '#' || line[first] == '\r') continue;
                if (first < indent || (first == indent && line[first] != '-')) break;
                if (first != indent) continue;
                const auto other = item_of(line, lines.line(number).begin);
                if (!other || other->target != last->target || other->source == last->source || !told.insert(other->where.begin).second) continue;
                report.add({file, other->where}, id,
                           fmt::format("'{}' mounts {} at {}, where {} is mounted too: only the last counts", service.name, other->source, other->target, last->source));
              }
            }
          });
        },
};

}  // namespace dm::audit::rules
