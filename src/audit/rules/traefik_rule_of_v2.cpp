#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "audit/rules/helpers.hpp"
#include "base/words.hpp"
#include "formats/settings.hpp"

namespace dm::audit::rules {
namespace {

/// Version 3 or whatever is newest.
bool of_three(std::string_view image) {
  auto tag = product::split_image(image).tag;
  if (tag.empty() || tag == "latest") return true;
  if (tag.starts_with('v')) tag.remove_prefix(1);
  return tag == "3" || tag.starts_with("3.") || tag.starts_with("3-");
}

/// It is told to read rules as version 2 did, or its file of settings is not here to say so.
bool reads_v2(const Input& input, ServiceId id) {
  const auto& service = input.wiring.service(id);
  const auto says = [](std::string_view text) { return lowered(text).find("defaultrulesyntax") != std::string::npos; };
  if (std::ranges::any_of(service.command, [&](const auto& word) { return says(word.value); })) return true;
  if (service.env("TRAEFIK_CORE_DEFAULTRULESYNTAX") != nullptr) return true;
  for (const auto& mount : service.mounts) {
    const auto name = sources::file_name(mount.target);
    if (name != "traefik.yml" && name != "traefik.yaml" && name != "traefik.toml" && mount.target != "/etc/traefik") continue;
    const auto files = config_files_of(input, id);
    const auto found = std::ranges::find_if(files, [&](const auto& file) { return file.mount == &mount && file.file != sources::kNoFile; });
    if (found == files.end() || says(input.project.texts.at(found->file).content)) return true;
  }
  return false;
}

/// `{name:` after a backtick's begin: a regular expression with a name.
bool named_expression(std::string_view rule) {
  for (auto at = rule.find('{'); at != std::string_view::npos; at = rule.find('{', at + 1)) {
    auto end = at + 1;
    while (end < rule.size() && (std::isalnum(static_cast<unsigned char>(rule[end])) != 0 || rule[end] == '_' || rule[end] == '-')) ++end;
    if (end > at + 1 && end < rule.size() && rule[end] == ':' && std::isdigit(static_cast<unsigned char>(rule[at + 1])) == 0) return true;
  }
  return false;
}

/// Host(`a`, `b`): several values in one matcher that takes one.
bool several_values(std::string_view rule) {
  for (const std::string_view matcher : {"Host(", "HostRegexp(", "HostSNI(", "Path(", "PathPrefix(", "Method(", "ClientIP("}) {
    for (auto at = rule.find(matcher); at != std::string_view::npos; at = rule.find(matcher, at + 1)) {
      auto rest = rule.substr(at + matcher.size());
      rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
      if (rest.empty() || (rest[0] != '`' && rest[0] != '"' && rest[0] != '\'')) continue;
      const auto end = rest.find(rest[0], 1);
      if (end == std::string_view::npos) continue;
      rest.remove_prefix(end + 1);
      rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
      if (rest.starts_with(',')) return true;
    }
  }
  return false;
}

}  // namespace

extern constinit const Rule traefik_rule_of_v2{
    .id = "DM0918",
    .name = "traefik-rule-of-v2",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a rule of Traefik 2 that Traefik 3 reads in another way",
    .rationale = "Version 3 takes ``HostRegexp(`{host:.+}`)`` for a plain expression, which no name fits: the redirect to HTTPS that so many copied answers 404. It refuses a "
                 "matcher with several values (``Host(`a`, `b`)``) and those that it calls otherwise (`Headers`), and the router with it.",
    .fix = "Write ``HostRegexp(`.+`)``, ``Host(`a`) || Host(`b`)``, `Header`; or tell Traefik `--core.defaultRuleSyntax=v2`, one router `ruleSyntax=v2`. "
           "(https://doc.traefik.io/traefik/migration/v2-to-v3-details/)",
    .checks = "105",
    .bad = R"(services:
  edge:
    image: traefik:v3.3
    command: [--providers.docker=true, --entrypoints.web.address=:80]
    labels:
      - traefik.http.routers.all.rule=HostRegexp(`{host:.+}`)  # <- DM0918
      - traefik.http.routers.all.entrypoints=web
  shop:
    image: example/shop:1
    labels:
      traefik.http.routers.shop.rule: Host(`shop.example.org`, `www.example.org`)  # <- DM0918
)",
    .good = R"(services:
  edge:
    image: traefik:v3.3
    command: [--providers.docker=true, --entrypoints.web.address=:80]
    labels:
      - traefik.http.routers.all.rule=HostRegexp(`.+`)
  shop:
    image: example/shop:1
    labels:
      traefik.http.routers.shop.rule: Host(`shop.example.org`) || Host(`www.example.org`)
)",
    .look_alike = R"(services:
  edge:
    image: traefik:v3.3
    command: [--providers.docker=true]
    labels:
      - traefik.http.routers.all.rule=HostRegexp(`{host:.+}`)
      - traefik.http.routers.all.ruleSyntax=v2
      - traefik.http.routers.digits.rule=HostRegexp(`^[a-z]{2:3}.example.org$`)
      - traefik.http.routers.both.rule=Host(`a.example.org`) && PathPrefix(`/api`)
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          ServiceId traefik = wiring::kNone;
          bool three = true;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "traefik" || service.build != nullptr || !service.image) return;
            traefik = id;
            three = three && of_three(service.image.value) && !reads_v2(input, id);
          });
          if (traefik == wiring::kNone || !three) return;
          const auto judge = [&](Location where, ServiceId id, std::string_view router, std::string_view rule) {
            const bool many = several_values(rule), renamed = rule.find("Headers(") != std::string_view::npos || rule.find("HeadersRegexp(") != std::string_view::npos;
            if (!many && !renamed && !named_expression(rule)) return;
            auto& finding = report.add(where, id, fmt::format("'{}' is Traefik 3, which {} the rule of the router '{}': it is of version 2", input.wiring.service(traefik).name, many || renamed ? "refuses" : "matches nothing with", router));
            finding.evidence = many ? "one matcher has several values" : renamed ? "`Headers` is called `Header` now" : "`{name:expression}` is no regular expression there";
            if (!many && !renamed) finding.severity = Severity::medium;
          };
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& [name, value] : service.labels) {
              if (!name.starts_with("traefik.http.routers.") || !name.ends_with(".rule")) continue;
              const auto router = name.substr(21, name.size() - 21 - 5);
              const auto syntax = lowered(name.substr(0, name.size() - 5)) + ".rulesyntax";
              if (std::ranges::any_of(service.labels, [&](const auto& label) { return lowered(label.first) == syntax; })) continue;
              judge(value.where(), id, router, value.value);
            }
          });
          for (const auto& config : config_files_of(input, traefik)) {
            if (config.file == sources::kNoFile) continue;
            const auto& text = input.project.texts.at(config.file).content;
            const auto settings = formats::read_settings(formats::detect_format(config.path, text), text);
            if (!settings || text.find("ruleSyntax") != std::string::npos) continue;
            for (const auto& setting : *settings) {
              const std::string_view key = setting.key;
              if (!key.starts_with("http.routers.") || !key.ends_with(".rule")) continue;
              judge({config.file, setting.value_span}, traefik, key.substr(13, key.size() - 13 - 5), setting.value);
            }
          }
        },
};

}  // namespace dm::audit::rules
