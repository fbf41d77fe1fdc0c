#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/dockerfiles.hpp"
#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {

extern constinit const Rule base_image_latest{
    .id = "DM0706",
    .name = "base-image-latest",
    .severity = Severity::low,
    .area = Area::operations,
    .summary = "an image is built on whatever its base is today",
    .rationale = "Two builds of the same commit give different images, and a build after a year may give one that does "
                 "not work.",
    .fix = "Name a version in `FROM`, best with a digest.",
    .checks = "40 47",
    .bad = R"(services:
  app:
    build: ./app
-- app/Dockerfile
FROM node  # <- DM0706
CMD ["/app"]
)",
    .good = R"(services:
  app:
    build: ./app
-- app/Dockerfile
FROM node:22.3
CMD ["/app"]
)",
    .look_alike = R"(services:
  app:
    build: ./app
-- app/Dockerfile
ARG BASE=node:22.3
FROM --platform=linux/amd64 golang:1.22 AS build
RUN make
FROM ${BASE}
COPY --from=build /app /app
FROM build AS test
FROM scratch
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& file : dockerfiles(input)) {
            std::set<std::string> stages{"scratch"};
            for (const auto& line : dockerfile_lines(input.project.texts.at(file.file).content)) {
              if (line.instruction != "FROM") continue;
              const auto parts = words(line.rest);
              const auto image = std::ranges::find_if(parts, [](const auto& word) { return !word.text.starts_with("--"); });
              if (image == parts.end()) continue;
              const bool stage = stages.contains(image->text);
              if (image + 1 < parts.end() && image + 2 < parts.end()) stages.insert((image + 2)->text);
              const auto name = product::split_image(image->text);
              if (stage || image->text.find('$') != std::string::npos || !name.digest.empty() || (!name.tag.empty() && name.tag != "latest")) continue;
              const auto from = static_cast<std::uint32_t>(line.begin + line.rest_at + image->at);
              report.add({file.file, {from, from + static_cast<std::uint32_t>(image->size)}}, file.service,
                         fmt::format("the image of '{}' is built on whatever {} is today", input.wiring.service(file.service).name, image->text));
            }
          }
        },
};

}  // namespace dm::audit::rules
