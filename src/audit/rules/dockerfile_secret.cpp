#include <fmt/format.h>

#include <algorithm>

#include "audit/dockerfiles.hpp"
#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {

extern constinit const Rule dockerfile_secret{
    .id = "DM0705",
    .name = "dockerfile-secret",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a secret is built into an image",
    .rationale = "Layers keep everything: whoever gets the image reads the value from its history, and it stays there "
                 "after a later layer removes it.",
    .fix = "Give secrets at run time (`secrets:`), or to the build as `RUN --mount=type=secret`; keep `.env` out "
           "by `.dockerignore`.",
    .checks = "47 O37",
    .bad = R"(services:
  app:
    build: ./app
-- app/Dockerfile
FROM debian:12
ENV DB_PASSWORD=sunflower-42  # <- DM0705
CMD ["/app"]
)",
    .good = R"(services:
  app:
    build: ./app
-- app/Dockerfile
FROM debian:12
RUN --mount=type=secret,id=db cat /run/secrets/db >/dev/null
CMD ["/app"]
)",
    .look_alike = R"(services:
  app:
    build: ./app
-- app/Dockerfile
FROM debian:12
ARG NPM_TOKEN
ENV SIGNING_KEY=#{SIGNING_KEY} CI_TOKEN={{token}}
ENV DB_PASSWORD_FILE=/run/secrets/db DB_PASSWORD=${DB_PASSWORD} API_TOKEN="" SECRET_KEY_BASE=1
# ENV DB_PASSWORD=sunflower-42
COPY .env.example /app/
CMD ["/app"]
)",
    .minutes = 20,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& file : dockerfiles(input)) {
            const std::string_view text = input.project.texts.at(file.file).content;
            for (const auto& line : dockerfile_lines(text)) {
              const auto say = [&](std::size_t at, std::size_t size, std::string message) {
                const auto from = static_cast<std::uint32_t>(line.begin + at);
                report.add({file.file, {from, from + static_cast<std::uint32_t>(size)}}, file.service, std::move(message));
              };
              if (line.instruction == "COPY" || line.instruction == "ADD") {
                for (const auto& word : words(line.rest))
                  if (const auto name = sources::file_name(word.text); name == ".env" || name == "id_rsa" || name == "id_ed25519")
                    say(line.rest_at + word.at, word.size, fmt::format("the image of '{}' gets a copy of {}", input.wiring.service(file.service).name, name));
                continue;
              }
              if (line.instruction != "ENV" && line.instruction != "ARG") continue;
              const auto parts = words(line.rest);
              for (std::size_t i = 0; i < parts.size(); ++i) {
                const auto equals = parts[i].text.find('=');
                const auto name = parts[i].text.substr(0, equals);
                std::string value = equals != std::string::npos ? parts[i].text.substr(equals + 1) : i == 0 && parts.size() == 2 && line.instruction == "ENV" ? parts[1].text : "";
                if (!sensitive::secret_name(name) || value.size() < 3 || value.find('$') != std::string::npos || value.starts_with('/') || value == "true" || value == "false") continue;
                if (value.find("#{") != std::string::npos || value.find("{{") != std::string::npos) continue;  // filled in before the build
                say(line.rest_at + parts[i].at, parts[i].size, fmt::format("{} is built into the image of '{}' {}", name, input.wiring.service(file.service).name, sensitive::mask(value)));
              }
            }
          }
        },
};

}  // namespace dm::audit::rules
