#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

#include "audit/rules/env_file_known.hpp"
#include "audit/rules/helpers.hpp"
#include "formats/dotenv.hpp"

namespace dm::audit::rules {
namespace {

enum class Given : std::uint8_t { yes, empty, no };

/// A value that comes from outside (`NAME` alone, `${NAME}`) counts: other rules say what is wrong with that.
Given given(const compose::Service& service, std::string_view name) {
  const auto* variable = service.env(name);
  if (variable == nullptr) return Given::no;
  const auto& value = *variable->value.node;
  return value.is_null() || !is_literal(value) || !variable->value.value.empty() ? Given::yes : Given::empty;
}

/// An env file that is not there yet: its example tells; where it has none, nothing is known.
bool example_has(const Input& input, const std::string& path, const std::vector<std::string_view>& names) {
  const auto example = example_of(input, path);
  if (example.empty()) return true;
  const auto text = input.files.read(sources::clean_path(example, input.project.folder), 1U << 20U);
  if (!text) return true;
  const auto entries = formats::parse_dotenv_raw(*text).entries;
  return std::ranges::any_of(entries, [&](const auto& entry) { return std::ranges::find(names, entry.key) != names.end(); });
}

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const auto end = std::min(list.find('|'), list.size());
    out.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

/// Another compose file of the folder, which was not loaded, speaks of the service and of the variable (compose.prod.yml).
bool given_beside(const std::string& beside, const compose::Service& service, const std::vector<std::string_view>& names) {
  return beside.find(fmt::format("{}:", service.name)) != std::string::npos &&
         std::ranges::any_of(names, [&](std::string_view name) { return beside.find(name) != std::string::npos; });
}

/// Images of PostgreSQL from before February 2020 start without a password and let everybody in: https://github.com/docker-library/postgres/pull/658.
bool old_enough_to_start(const product::Product& product, std::string_view image) {
  if (product.id != "postgres") return false;
  std::array<int, 3> version{-1, -1, -1};
  auto tag = product::split_image(image).tag;
  for (auto& part : version) {
    const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), part);
    if (error != std::errc()) break;
    tag.remove_prefix(static_cast<std::size_t>(end - tag.data()));
    if (tag.empty() || tag.front() != '.') break;
    tag.remove_prefix(1);
  }
  const auto [major, minor, patch] = version;
  if (major > 12 || major < 0 || minor < 0) return false;
  if (major == 9) return minor < 4 || (patch >= 0 && ((minor == 4 && patch < 26) || (minor == 5 && patch < 21) || (minor == 6 && patch < 17)));
  return major < 9 || (major == 10 && minor < 12) || (major == 11 && minor < 7) || (major == 12 && minor < 2);
}

/// The image's own start script runs its server: nothing else was put in its place.
bool starts_as_made(const compose::Service& service) {
  if (service.build != nullptr || service.entrypoint_node != nullptr || !service.volumes_from.empty()) return false;
  if (service.command.empty()) return true;
  const auto first = service.command.front().value;
  return first.starts_with('-') || first == "postgres" || first == "mysqld" || first == "mariadbd";
}

/// Whatever is newest, or a version named after a year from 2025 on.
bool newest(std::string_view image) {
  const auto tag = product::split_image(image).tag;
  return tag.empty() || tag == "latest" || tag.starts_with("25.") || tag.starts_with("26.") || tag.starts_with("2.1.") || tag.starts_with("2.2.");
}

}  // namespace

extern constinit const Rule image_variable_missing{
    .id = "DM0115",
    .name = "image-variable-missing",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "the image refuses to start without a variable that is not set",
    .rationale = "The start script of a database image makes the first user from its variables. Where the password is missing or blank it "
                 "says so and exits; with `restart: always` for ever. On a data folder that is already filled it does not ask, so the stack that "
                 "runs today cannot be set up again elsewhere.",
    .fix = "Set the variable, with a guard: `${NAME:?}`.",
    .checks = "119",
    .bad = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ""  # <- DM0115
    volumes: ["pg:/var/lib/postgresql/data"]
  shop:  # <- DM0115
    image: mariadb:11.4
    environment: {MARIADB_DATABASE: shop, MARIADB_USER: shop, MARIADB_PASSWORD: "${SHOP_PASSWORD:?}"}
    volumes: ["my:/var/lib/mysql"]
  old:  # <- DM0115
    image: postgres:10.5-alpine
  wiki:  # <- DM0115
    image: lscr.io/linuxserver/bookstack:latest
    environment: {APP_URL: "https://wiki.example.org", DB_HOST: shop}
    volumes: ["wiki:/config"]
volumes: {pg: , my: , wiki: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
    volumes: ["pg:/var/lib/postgresql/data"]
  shop:
    image: mariadb:11.4
    environment: {MARIADB_ROOT_PASSWORD: "${ROOT_PASSWORD:?}", MARIADB_USER: shop}
    volumes: ["my:/var/lib/mysql"]
  base:
    image: postgres:17
    volumes: ["base:/var/lib/postgresql/data"]
volumes: {pg: , my: , base: }
-- compose.prod.yaml
services:
  base:
    environment: {POSTGRES_PASSWORD: "${BASE_PASSWORD:?}"}
)",
    .look_alike = R"(services:
  open:
    image: postgres:17
    environment: {POSTGRES_HOST_AUTH_METHOD: trust}
  old:
    image: postgres:9.6.6-alpine
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pg}
  begun:
    image: lscr.io/linuxserver/bookstack:latest
    volumes: ["./wiki:/config"]
  before:
    image: lscr.io/linuxserver/bookstack:22.11.1
    volumes: ["before:/config"]
  file:
    image: postgres:17
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pg}
  later:
    image: postgres:17
    env_file: [db.env]
  through:
    image: mysql:8.4
    environment: [MYSQL_ROOT_PASSWORD]
  random:
    image: mariadb:11.4
    environment: {MARIADB_RANDOM_ROOT_PASSWORD: "1"}
  client:
    image: postgres:17
    command: psql -h open -c "SELECT 1"
volumes: {before: }
-- wiki/www/.env
APP_KEY=base64:Zm9yIHRoZSBleGFtcGxlIG9ubHk=
-- db.env.example
POSTGRES_PASSWORD=
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          std::optional<std::string> beside;
          const auto look = [&](ServiceId id, const product::Product& product, Severity severity) {
            const auto& service = input.wiring.service(id);
            if (!starts_as_made(service)) return;
            for (const auto& line : product.required_variables) {
              const auto names = split(line);
              if (std::ranges::any_of(names, [&](std::string_view name) { return given(service, name) == Given::yes; })) continue;
              const bool later = std::ranges::any_of(service.env_files, [&](const compose::Text& file) {
                const bool missing = input.files.stat(std::string(file.value)).kind == sources::Kind::missing;
                return missing ? example_has(input, std::string(file.value), names) : env_file_unknown(input, file.value);
              });
              if (later) continue;
              if (!beside) beside = texts_beside(input);
              const auto empty = std::ranges::find_if(names, [&](std::string_view name) { return given(service, name) == Given::empty; });
              const auto* blank = empty == names.end() ? nullptr : service.env(*empty);
              if (blank == nullptr && given_beside(*beside, service, names)) continue;
              const auto where = blank == nullptr ? service.where : blank->value.where() ? blank->value.where() : blank->where;
              if (blank == nullptr && old_enough_to_start(product, service.image.value)) {
                report.add(where, id, fmt::format("'{}' starts without a password and lets everybody in", service.name),
                           "images of PostgreSQL from before February 2020 do not ask for one")
                    .severity = Severity::high;
                continue;
              }
              auto& finding = report.add(where, id,
                                         fmt::format("'{}' does not start on an empty data folder: {} is {}", service.name,
                                                     blank != nullptr ? blank->name : names.front(), blank != nullptr ? "blank" : "not set"));
              finding.severity = severity;
              constexpr std::size_t kMost = 4;
              const std::span shown(names.begin(), std::min(kMost, names.size()));
              finding.evidence = fmt::format("the image of {} wants {}{}{}", product.name, names.size() > 1 ? "one of " : "", fmt::join(shown, ", "),
                                             names.size() > kMost ? ", ..." : "");
              // The image reads no other spelling, so a near one explains it.
              const auto stem = names.front().substr(0, names.front().find('_') + 1);
              const auto near_one = [&](std::string_view name) { return name.ends_with("_PASS") || name.ends_with("_PWD") || name.ends_with("_PASSWD"); };
              for (const auto& variable : service.environment)
                if (variable.name.starts_with(stem) && near_one(variable.name))
                  finding.evidence += fmt::format("; it does not read {}", variable.name);
            }
          };
          for (const auto& store : input.wiring.datastores) look(store.service, *store.product, Severity::critical);
          // Of the others one of this year is meant: their older versions made such a value themselves.
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || !product->datastore.empty() || product->required_variables.empty() || !newest(service.image.value)) return;
            const auto* mount = product->data.empty() ? nullptr : mount_of(service, product->data.front().path);
            if (mount != nullptr && mount->type == compose::Mount::Type::bind && !input.files.list(std::string(mount->source)).empty()) return;  // it has begun
            look(id, *product, Severity::high);
          });
        },
};

}  // namespace dm::audit::rules
