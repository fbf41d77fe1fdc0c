#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "sensitive/sensitive.hpp"
#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {
namespace {

bool placeholder(std::string_view value) {
  std::string word;
  for (const char c : value)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (value.size() > 2 && value.front() == '<' && value.back() == '>') return true;
  for (const auto known : {"changeme", "changethis", "pleasechange", "pleasechangeme", "password", "passw0rd", "secret", "admin", "example",
                           "replaceme", "yourpassword", "yourpasswordhere", "mysecretpassword", "supersecret", "changeit", "123456", "12345678",
                           "insecure", "todo", "yoursecretkey", "yoursecretkeyhere", "changemeplease", "changemeinproduction"})
    if (word == known) return true;
  return false;
}

}  // namespace

constinit const Rule placeholder_secret{
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
)",
    .good = R"(services:
  app:
    image: example/app:1
    environment:
      ADMIN_PASSWORD: ${ADMIN_PASSWORD:?}
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    environment:
      ADMIN_PASSWORD: ${ADMIN_PASSWORD:?}
      PASSWORD_HINT: changeme
      TOKEN_MODE: ${TOKEN_MODE:-default}
-- .env.example
ADMIN_PASSWORD=changeme
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& variable : service.environment)
              if (sensitive::secret_name(variable.name) && placeholder(variable.value.value))
                report.add(variable.value.where() ? variable.value.where() : variable.where, id,
                           fmt::format("{} of '{}' has the value of an example", variable.name, service.name));
          });
        },
};

}  // namespace dm::audit::rules
