#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule script_line_ends{
    .id = "DM0116",
    .name = "script-line-ends",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a mounted script has the line ends of Windows",
    .rationale = "The kernel looks for a program called `sh` with a carriage return at the end: `no such file or directory`, although the script is there. "
                 "Sourced instead of run, each value gets the carriage return. An editor or git (`core.autocrlf`) put it there.",
    .fix = "`sed -i 's/\\r$//' FILE`, and `*.sh text eol=lf` in .gitattributes.",
    .checks = "O7 116",
    .bad = "services:\n"
           "  db:\n"
           "    image: postgres:17\n"
           "    environment: {POSTGRES_PASSWORD: \"${POSTGRES_PASSWORD:?}\"}\n"
           "    volumes:\n"
           "      - ./init.sh:/docker-entrypoint-initdb.d/init.sh:ro\n"
           "-- init.sh 0755\n"
           "#!/bin/sh\r  # <- DM0116\n"
           "createdb wiki\r\n",
    .good = "services:\n"
            "  db:\n"
            "    image: postgres:17\n"
            "    volumes:\n"
            "      - ./init.sh:/docker-entrypoint-initdb.d/init.sh:ro\n"
            "-- init.sh 0755\n"
            "#!/bin/sh\n"
            "createdb wiki\n",
    .look_alike = "services:\n"
                  "  db:\n"
                  "    image: postgres:17\n"
                  "    volumes:\n"
                  "      - ./init.sql:/docker-entrypoint-initdb.d/init.sql:ro\n"
                  "      - ./note.sh:/docker-entrypoint-initdb.d/note.sh:ro\n"
                  "-- init.sql\n"
                  "CREATE DATABASE wiki;\r\n"
                  "-- note.sh 0755\n"
                  "#!/bin/sh\n"
                  "printf 'GET / HTTP/1.0\r\n\r\n'\n",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          std::set<sources::FileId> seen;
          for (const auto& config : input.wiring.config_files) {
            if (config.file == sources::kNoFile || config.format != "shell" || !seen.insert(config.file).second) continue;
            const std::string_view text = input.project.texts.at(config.file).content;
            const auto end = text.find('\n');
            if (!text.starts_with("#!") || end == std::string_view::npos || text[end - 1] != '\r') continue;
            report.add({config.file, {0, static_cast<std::uint32_t>(end - 1)}}, config.service,
                       fmt::format("{} has the line ends of Windows: '{}' cannot run it", sources::relative_to(config.path, input.project.folder),
                                   input.wiring.service(config.service).name));
          }
        },
};

}  // namespace dm::audit::rules
