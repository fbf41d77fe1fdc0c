#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "audit/docker_stage.hpp"
#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

constexpr std::string_view kHealthFlags[] = {"interval", "timeout", "start-period", "start-interval", "retries"};

}  // namespace

extern constinit const Rule dockerfile_does_not_build{
    .id = "DM0129",
    .name = "dockerfile-does-not-build",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a build that ends with an error",
    .rationale = "The builder knows no such stage, or no such flag, and stops. Where an older image is still there, the service runs on with that one, and nobody sees "
                 "that changes no longer arrive.",
    .fix = "`target:` names a stage of the Dockerfile (`FROM ... AS name`); flags are spelled with a hyphen: `--start-period=30s`.",
    .checks = "47 O31",
    .bad = R"(services:
  api:
    build:
      context: .
      target: production  # <- DM0129
  web:
    build: ./web
-- Dockerfile
FROM node:22.11
CMD ["node", "server.js"]
-- web/Dockerfile
FROM nginx:1.27
HEALTHCHECK --interval=10s --start_period=30s CMD wget -qO- http://127.0.0.1/  # <- DM0129
)",
    .good = R"(services:
  api:
    build:
      context: .
      target: production
  web:
    build: ./web
-- Dockerfile
FROM node:22.11 AS production
CMD ["node", "server.js"]
-- web/Dockerfile
FROM nginx:1.27
HEALTHCHECK --interval=10s --start-period=30s CMD wget -qO- http://127.0.0.1/
)",
    .look_alike = R"(services:
  api:
    build: {context: ., target: Production}
  first:
    build: {context: ., target: "0"}
  elsewhere:
    build: {context: "https://git.example.org/app.git", target: production}
  open:
    build: {context: ., target: "${STAGE:-build}"}
-- Dockerfile
FROM node:22.11 AS build
RUN npm ci
FROM build as production
HEALTHCHECK NONE
HEALTHCHECK --start-interval=1s --retries=3 CMD wget --quiet --tries=1 http://127.0.0.1/
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          std::set<sources::FileId> seen;
          struct Lost {
            std::vector<Location> where;
            std::vector<ServiceId> services;
          };
          std::map<std::pair<sources::FileId, std::string_view>, Lost> lost;  // one Dockerfile without the stage is one mistake
          for (const auto& built : built_services(input)) {
            const auto& service = input.wiring.service(built.service);
            const auto& text = input.project.texts.at(built.file);
            const auto lines = dockerfile_lines(text.content);
            const bool here_document = text.content.find("<<") != std::string::npos;  // its lines look like instructions
            const auto target = build_target(service);
            if (!target.empty() && !here_document && std::ranges::any_of(lines, [](const auto& line) { return line.instruction == "FROM"; }) && !stage_lines(lines, target)) {
              const auto* node = service.build->find("target");
              auto& one = lost[{built.file, target}];
              one.where.push_back(node->where ? node->where : place(service, "build"));
              one.services.push_back(built.service);
            }
            if (here_document || !seen.insert(built.file).second) continue;
            for (const auto& line : lines) {
              if (line.instruction != "HEALTHCHECK") continue;
              for (const auto& word : words(line.rest)) {
                if (!word.text.starts_with("--")) break;  // CMD: what follows are the check's own
                const auto flag = std::string_view(word.text).substr(2, word.text.find('=') - 2);
                if (std::ranges::find(kHealthFlags, flag) != std::end(kHealthFlags)) continue;
                const auto from = static_cast<std::uint32_t>(line.begin + line.rest_at + word.at);
                report.add({built.file, {from, from + static_cast<std::uint32_t>(word.size)}}, built.service, fmt::format("the build of '{}' fails: HEALTHCHECK has no flag --{}", service.name, flag));
              }
            }
          }
          for (auto& [key, one] : lost) {
            auto message = fmt::format("{} {} built up to the stage '{}', which {} does not have", quoted_names(input, one.services), one.services.size() == 1 ? "is" : "are", key.second, sources::relative_to(input.project.texts.at(key.first).path, input.project.folder));
            report.add_all(std::move(one.where), std::move(one.services), std::move(message));
          }
        },
};

}  // namespace dm::audit::rules
