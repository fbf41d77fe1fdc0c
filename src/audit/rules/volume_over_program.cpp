#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/docker_stage.hpp"
#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

/// Folders that the build fills with the whole program: `COPY . /app`, `COPY --from=build /app .`.
std::set<std::string> program_folders(const std::vector<DockerfileLine>& stage) {
  std::set<std::string> out;
  std::string folder = "/";
  for (const auto& line : stage) {
    auto parts = words(line.rest);
    if (line.instruction == "WORKDIR" && !parts.empty() && parts[0].text.find('$') == std::string::npos) folder = in_folder(parts[0].text, folder);
    if (line.instruction != "COPY" && line.instruction != "ADD") continue;
    const bool from = std::ranges::any_of(parts, [](const auto& word) { return word.text.starts_with("--from="); });
    std::erase_if(parts, [](const auto& word) { return word.text.starts_with("--"); });
    if (parts.size() != 2 || parts[1].text.find('$') != std::string::npos) continue;
    const auto source = std::string_view(parts[0].text);
    // Of another stage only what is called as it is here, so that it is a folder: /app to /app.
    const auto target = in_folder(parts[1].text, folder);
    if (from ? target == sources::clean_path(source) : source == "." || source == "./" || source == "src/" || source == "src") out.insert(target);
  }
  out.erase("/");
  return out;
}

}  // namespace

extern constinit const Rule volume_over_program{
    .id = "DM0709",
    .name = "volume-over-program",
    .severity = Severity::high,
    .area = Area::operations,
    .summary = "a volume lies over the program that the image brings",
    .rationale = "Docker fills a new volume from the image once. From then on the volume wins: a new image is built and deployed, and the service goes on with the files of the "
                 "first one, without a word.",
    .fix = "Mount the volume where data are (`/app/uploads`), not over the whole program. Where a web server needs the files, too, copy them in its image "
           "(`COPY --from=...`), or into the shared volume at each start.",
    .checks = "124",
    .bad = R"(services:
  php:
    build: .
    volumes:
      - code:/var/www/html  # <- DM0709
  web:
    image: nginx:1.27
    volumes: ["code:/var/www/html:ro"]
volumes: {code: }
-- Dockerfile
FROM php:8.4-fpm
WORKDIR /var/www/html
COPY . .
)",
    .good = R"(services:
  php:
    build: .
    volumes:
      - uploads:/var/www/html/uploads
volumes: {uploads: }
-- Dockerfile
FROM php:8.4-fpm
WORKDIR /var/www/html
COPY . .
)",
    .look_alike = R"(services:
  work:
    build: .
    volumes: [".:/app", "modules:/app/node_modules", "public:/app/public"]
  data:
    build: ./data
    volumes: ["data:/data", "state:/app"]
  copies:
    build: ./copies
    volumes: ["site:/site"]
volumes: {data: , modules: , public: , site: , state: }
-- Dockerfile
FROM node:22.11 AS build
WORKDIR /app
COPY . .
FROM node:22.11
WORKDIR /app
COPY --from=build /app/dist ./dist
COPY . /app
-- data/Dockerfile
FROM node:22.11
WORKDIR /app
COPY . /srv/program
-- copies/Dockerfile
FROM nginx:1.27
COPY . /srv/site
CMD ["sh", "-c", "cp -r /srv/site/. /site && exec nginx"]
)",
    .minutes = 30,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& built : built_services(input)) {
            const auto& service = input.wiring.service(built.service);
            if (std::ranges::none_of(service.mounts, [](const auto& mount) { return mount.type == compose::Mount::Type::volume && !mount.source.empty(); })) continue;
            const auto stage = stage_lines(dockerfile_lines(input.project.texts.at(built.file).content), build_target(service));
            if (!stage) continue;
            const auto folders = program_folders(*stage);
            for (const auto& mount : service.mounts) {
              if (mount.type != compose::Mount::Type::volume || mount.source.empty() || !folders.contains(std::string(mount.target))) continue;
              report.add(mount.where, built.service, fmt::format("'{}' mounts the volume '{}' over {}, where its image has the program: later images do not get through", service.name, mount.source, mount.target));
            }
          }
        },
};

}  // namespace dm::audit::rules
