#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/rules/helpers.hpp"
#include "formats/nginx.hpp"

namespace dm::audit::rules {
namespace {

/// What the official images bring: pages of their own.
bool in_image(std::string_view path) {
  for (const std::string_view known : {"/usr/share/nginx", "/etc/nginx", "/var/log/nginx", "/var/cache/nginx", "/tmp", "/dev", "/proc", "/run", "/var/run"})
    if (path.starts_with(known)) return true;
  return path == "/" || path == "/var/www" || path == "/var" || path == "/usr" || path == "/srv";
}

bool mounted(const compose::Service& service, const std::string& path) {
  if (mount_of(service, path) != nullptr) return true;
  const auto below = path + "/";  // `root /srv` with a volume at /srv/static
  if (std::ranges::any_of(service.mounts, [&](const auto& mount) { return mount.target.starts_with(below); })) return true;
  const auto given = [&](const auto& use) { return use.target.starts_with(path); };
  return std::ranges::any_of(service.configs, given) || std::ranges::any_of(service.secrets, given);
}

struct Served {
  std::string location, path;
  text::Span where;
};

/// Folders that a location hands out by itself: it neither passes the request on nor answers without a file.
void collect(const std::vector<formats::NginxDirective>& directives, std::vector<Served>& out) {
  for (const auto& one : directives) {
    if (!one.has_block) continue;
    collect(one.block, out);
    if (one.name.text != "location" || one.arguments.empty()) continue;
    const formats::NginxDirective* folder = nullptr;
    bool passes = false;
    for (const auto& inner : one.block) {
      const auto& name = inner.name.text;
      if ((name == "alias" || name == "root") && !inner.arguments.empty()) folder = &inner;
      passes = passes || name.ends_with("_pass") || name == "return" || name == "rewrite" || name == "deny" || name == "internal" || name == "include" || inner.has_block;
      if (name == "try_files" && !inner.arguments.empty() && (inner.arguments.back().text.starts_with("@") || inner.arguments.back().text.starts_with("/index.php"))) passes = true;
    }
    if (folder == nullptr || passes) continue;
    auto path = folder->arguments[0].text;
    if (!path.starts_with('/') || path.find('$') != std::string::npos) continue;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    out.push_back({one.arguments.back().text, path, folder->where});
  }
}

}  // namespace

extern constinit const Rule web_folder_missing{
    .id = "DM0128",
    .name = "web-folder-missing",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "nginx hands out a folder that its container does not have",
    .rationale = "The path is one of the container, and nothing is mounted there: every request of the location ends with 404. Pages come without their styles, uploads are not "
                 "found, or certificates cannot be renewed.",
    .fix = "Mount the folder or volume at the path that the configuration names, or write the path where it is mounted.",
    .checks = "115",
    .bad = R"(services:
  web:
    image: nginx:1.27
    volumes:
      - ./nginx.conf:/etc/nginx/conf.d/default.conf:ro
      - static:/var/www/static:ro
volumes: {static: }
-- nginx.conf
server {
  listen 80;
  location /static/ {
    alias /static/;  # <- DM0128
    expires 30d;
  }
  location / { proxy_pass http://app:8000; }
}
)",
    .good = R"(services:
  web:
    image: nginx:1.27
    volumes:
      - ./nginx.conf:/etc/nginx/conf.d/default.conf:ro
      - static:/var/www/static:ro
volumes: {static: }
-- nginx.conf
server {
  listen 80;
  location /static/ {
    alias /var/www/static/;
    expires 30d;
  }
  location / { proxy_pass http://app:8000; }
}
)",
    .look_alike = R"(services:
  web:
    image: nginx:1.27
    volumes:
      - ./nginx.conf:/etc/nginx/conf.d/default.conf:ro
      - media:/srv/site/media:ro
  own:
    build: .
    volumes: ["./own.conf:/etc/nginx/conf.d/default.conf:ro"]
volumes: {media: }
-- Dockerfile
FROM nginx:1.27
COPY pages /pages
-- own.conf
server {
  location / { root /pages; }
}
-- nginx.conf
server {
  listen 80;
  root /var/www/html/public;
  location / { root /usr/share/nginx/html; try_files $uri /index.html; }
  location /media/ { alias /srv/site/media/; }
  location /files/ { root /srv/site; }
  location ~ \.php$ { root /var/www/html; fastcgi_pass php:9000; }
  location /old/ { root /old; return 301 /; }
  location /app/ { root /app; try_files $uri @app; }
  location @app { proxy_pass http://app:8000; }
  location /host/ { alias /srv/$host/; }
}
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "nginx" || service.build != nullptr || service.entrypoint_node != nullptr || !service.volumes_from.empty()) return;
            std::set<sources::FileId> read;
            for (const auto& config : config_files_of(input, id)) {
              if (config.mount == nullptr || config.file == sources::kNoFile || config.format != "nginx" || !config.mount->target.starts_with("/etc/nginx") || !read.insert(config.file).second) continue;
              const auto parsed = formats::parse_nginx(input.project.texts.at(config.file).content);
              if (!parsed) continue;
              std::vector<Served> served;
              collect(*parsed, served);
              for (const auto& one : served) {
                if (in_image(one.path) || mounted(service, one.path)) continue;
                report.add({config.file, one.where}, id, fmt::format("'{}' hands out {} from {}, where nothing is mounted", service.name, one.location, one.path));
              }
            }
          });
        },
};

}  // namespace dm::audit::rules
