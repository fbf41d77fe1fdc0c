#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// The image's major version, 0 where the tag does not begin with it.
int major_version(std::string_view image) {
  const auto tag = product::split_image(image).tag;
  int out = 0;
  std::from_chars(tag.data(), tag.data() + tag.size(), out);
  return out;
}

/// New roles get SCRAM passwords: the default from 14 on, unless told otherwise.
bool stores_scram(const compose::Service& server) {
  if (major_version(server.image.value) < 14) return false;
  const auto has = [](std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
  };
  for (const std::string_view name : {"POSTGRES_HOST_AUTH_METHOD", "POSTGRES_INITDB_ARGS"}) {
    const auto* found = server.env(name);
    if (found != nullptr && (has(found->value.value, "md5") || found->value.value == "trust")) return false;
  }
  return std::ranges::none_of(server.command, [&](const auto& word) {
    return has(word.value, "password_encryption") || has(word.value, "config_file");
  });
}

}  // namespace

extern constinit const Rule pooler_password_hash{
    .id = "DM0210",
    .name = "pooler-password-hash",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "the pooler cannot log in to PostgreSQL",
    .rationale = "With `md5`, the default of this image, the pooler keeps only a hash of the password. PostgreSQL "
                 "from 14 on asks for SCRAM, which needs more: every connection ends in `wrong password type`.",
    .fix = "Set `AUTH_TYPE: scram-sha-256`.",
    .checks = "O18",
    .bad = R"(services:
  pooler:
    image: edoburu/pgbouncer:1.21.0
    environment:  # <- DM0210
      DB_HOST: db
      DB_USER: app
      DB_PASSWORD: ${DB_PASSWORD:?}
  db:
    image: postgres:16
)",
    .good = R"(services:
  pooler:
    image: edoburu/pgbouncer:1.21.0
    environment:
      DB_HOST: db
      DB_USER: app
      DB_PASSWORD: ${DB_PASSWORD:?}
      AUTH_TYPE: scram-sha-256
  db:
    image: postgres:16
)",
    .look_alike = R"(services:
  old:
    image: edoburu/pgbouncer:1.21.0
    environment:
      DB_HOST: db
      DB_USER: app
      DB_PASSWORD: ${DB_PASSWORD:?}
      AUTH_TYPE: md5
  db:
    image: postgres:16
    environment: {POSTGRES_INITDB_ARGS: --auth-host=md5, POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
  own:
    image: edoburu/pgbouncer:1.21.0
    volumes: [./userlist.txt:/etc/pgbouncer/userlist.txt:ro]
    environment: {DB_HOST: db16, DB_USER: app}
  db16:
    image: postgres:16
-- userlist.txt
"app" "SCRAM-SHA-256$4096:x"
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "pgbouncer") return;
            const auto* type = service.env("AUTH_TYPE");
            if (type != nullptr && type->value.value != "md5") return;
            // Without these the image writes no list of users itself.
            if (service.env("DB_PASSWORD") == nullptr && service.env("DATABASE_URL") == nullptr) return;
            const auto own = [](const auto& mount) { return mount.target.starts_with("/etc/pgbouncer"); };
            if (std::ranges::any_of(service.mounts, own)) return;
            for (const auto& reference : input.wiring.references) {
              if (reference.from != id || reference.to == wiring::kNone || reference.to == id) continue;
              const auto* server = input.wiring.product_of[reference.to];
              if (server == nullptr || server->datastore != "postgres") continue;
              if (!stores_scram(input.wiring.service(reference.to))) continue;
              report.add(type != nullptr ? type->where : place(service, "environment"), id,
                         fmt::format("'{}' keeps an md5 hash, with which it cannot log in to '{}'", service.name,
                                     input.wiring.service(reference.to).name));
              return;
            }
          });
        },
};

}  // namespace dm::audit::rules
