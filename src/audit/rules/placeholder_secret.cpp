#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "audit/rules/helpers.hpp"
#include "audit/rules/switched_off.hpp"
#include "formats/settings.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {
namespace {

/// `DB_PASSWORD_SECRET: db_password`: the name of a secret of the project, not a value.
bool names_secret(const Input& input, std::string_view value) {
  return std::ranges::any_of(input.project.secrets, [&](const auto& secret) { return secret.key == value; });
}

/// The variable of `.env` that the value is as a whole (`${DB_PASSWORD}`); "" where it is written here.
std::string_view taken_from(const compose::EnvVar& variable) {
  const auto* node = variable.value.node;
  if (node == nullptr || node->segments == nullptr || node->segments->size() != 1) return {};
  const auto& only = node->segments->front();
  return only.kind == compose::Segment::Kind::variable && only.defined ? only.variable : std::string_view();
}

}  // namespace

extern constinit const Rule placeholder_secret{
    .id = "DM0505",
    .name = "placeholder-secret",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a secret still has the value of an example",
    .rationale = "Values like `changeme` are the first that anybody tries; an installation that starts with them "
                 "stays with them.",
    .fix = "Generate a value for each secret, and write `${NAME:?}` without a default so that a missing one "
           "stops the start.",
    .checks = "136",
    .bad = R"(services:
  app:
    image: example/app:1
    environment:
      ADMIN_PASSWORD: ${ADMIN_PASSWORD:-changeme}  # <- DM0505
      DB_PASSWORD: your-database-password  # <- DM0505
      JWT_SECRET: random-password-3  # <- DM0505
      CACHE_PASSWORD: cachepassword1  # <- DM0505
      SHOP_USER: shop
      SHOP_PASSWORD: shop  # <- DM0505
    volumes: ["./app.yaml:/etc/app.yaml:ro"]
  relay:
    image: coturn/coturn:4.6
    volumes: ["./relay:/etc/coturn"]
  worker:
    image: example/app:1
    environment:
      CACHE_AUTH_PASSWORD: ${SHARED_PASSWORD}  # <- DM0505
      KEY_SECRET: MODIFY_ME  # <- DM0505
-- .env
SHARED_PASSWORD=replace-me
-- app.yaml
server: {port: 8080}
session:
  secret: change-me-please  # <- DM0505
  cookie: example
-- relay/turnserver.conf
listening-port=3478
static-auth-secret=<your secret>  # <- DM0505
)",
    .good = R"(services:
  app:
    image: example/app:1
    environment:
      ADMIN_PASSWORD: ${ADMIN_PASSWORD:?}
    volumes: ["./app.yaml:/etc/app.yaml:ro"]
-- app.yaml
server: {port: 8080}
session:
  secret_file: /run/secrets/session
  cookie: example
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    environment:
      ADMIN_PASSWORD: ${ADMIN_PASSWORD:?}
      PASSWORD_HINT: changeme
      TOKEN_MODE: ${TOKEN_MODE:-default}
      STOCK_USER: stock
      STOCK_PASSWORD: ${STOCK_PASSWORD:?}
      MAIL_USERNAME: ${MAIL_TOKEN}
      MAIL_PASSWORD: ${MAIL_TOKEN}
      SMTP_ENABLED: "false"
      SMTP_PASS: password
      USE_S3: "false"
      S3_SECRET_KEY: changeme
      STORE_SECRET: store_password
    volumes: ["./home.yaml:/config/home.yaml:ro"]
secrets: {store_password: {file: ./store.txt}}
-- store.txt
moonflower-45
-- home.yaml
mqtt_password: !env_var MQTT_HA_PASSWORD
api_secret: !secret api_secret
-- .env
MAIL_TOKEN=6f1c2b9e-77aa-4ad1-9d12-ab3c44556677
-- .env.example
ADMIN_PASSWORD=changeme
STOCK_PASSWORD=stock
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          struct Group {
            std::vector<Location> where;
            std::vector<ServiceId> services;
            std::string user;  ///< the variable of the same value
            std::vector<std::string_view> names;
          };
          std::map<std::pair<std::string_view, std::string_view>, Group> groups;  // one variable with one value is one mistake, by whatever names services get it
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto off = switched_off(service);
            for (const auto& variable : service.environment) {
              if (!sensitive::secret_name(variable.name)) continue;
              auto user = same_as_user(service, variable);
              if ((!placeholder(variable.value.value) && user.empty()) || belongs_to(off, variable.name) || names_secret(input, variable.value.value)) continue;
              const auto from = taken_from(variable);
              auto& group = groups[{from.empty() ? std::string_view(variable.name) : from, variable.value.value}];
              if (group.user.empty()) group.user = std::move(user);
              if (std::ranges::find(group.names, std::string_view(variable.name)) == group.names.end()) group.names.emplace_back(variable.name);
              const auto where = variable.value.where() ? variable.value.where() : variable.where;
              if (std::ranges::find(group.where, where) == group.where.end()) group.where.push_back(where);
              if (std::ranges::find(group.services, id) == group.services.end()) group.services.push_back(id);
            }
          });
          for (auto& [key, group] : groups) {
            const auto name = group.names.size() == 1 ? group.names.front() : key.first;
            auto message = group.user.empty() ? fmt::format("{} of {} has the value of an example", name, quoted_names(input, group.services))
                                              : fmt::format("{} of {} is the name of the user ({})", name, quoted_names(input, group.services), group.user);
            report.add_all(std::move(group.where), std::move(group.services), std::move(message));
          }
          std::set<sources::FileId> read;
          for (const auto& config : input.wiring.config_files) {
            const auto name = sources::file_name(config.path);
            if (config.file == sources::kNoFile || name.find("example") != std::string_view::npos || name.find("sample") != std::string_view::npos) continue;
            const auto& text = input.project.texts.at(config.file).content;
            using enum formats::Format;
            auto format = formats::detect_format(config.path, text);
            if (format == unknown && config.format == "ini") format = ini;  // `key=value` without a section, as coturn's
            if ((format != yaml && format != json && format != toml && format != ini && format != xml && format != env) || !read.insert(config.file).second) continue;
            const auto settings = formats::read_settings(format, text);
            if (!settings) continue;  // not ours to judge
            for (const auto& setting : *settings) {
              const auto key = std::string_view(setting.key).substr(setting.key.rfind('.') + 1);
              if (!sensitive::secret_name(key) || !placeholder(setting.value)) continue;
              // `!env_var NAME`, `!secret name`: a tag says that the value is somewhere else.
              if (format == yaml && text.substr(setting.value_span.begin, 1) == "!") continue;
              report.add({config.file, setting.value_span}, config.service,
                         fmt::format("{} in {} of '{}' has the value of an example", key, sources::relative_to(config.path, input.project.folder),
                                     input.wiring.service(config.service).name));
            }
          }
        },
};

}  // namespace dm::audit::rules
