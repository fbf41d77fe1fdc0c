#include "audit/dockerfiles.hpp"

#include <algorithm>
#include <cctype>

namespace dm::audit {
namespace {

constexpr std::uint64_t kLargestDockerfile = 1U << 20U;

/// The Dockerfile of a service, absolute; "" where it is remote or inline.
std::string dockerfile_of(const compose::Service& service, const std::string& folder) {
  if (service.build == nullptr) return {};
  const auto* context = service.build->is_string() ? service.build : service.build->find("context");
  const auto* file = service.build->is_string() ? nullptr : service.build->find("dockerfile");
  if (!service.build->is_string() && service.build->find("dockerfile_inline") != nullptr) return {};
  const auto where = context == nullptr ? std::string_view(".") : context->string();
  if (where.find("://") != std::string_view::npos || where.starts_with("git@") || where.starts_with("github.com/")) return {};
  return sources::clean_path(file == nullptr || file->string().empty() ? std::string_view("Dockerfile") : file->string(), sources::clean_path(where, folder));
}

}  // namespace

std::vector<ServiceDockerfile> built_services(const Input& input) {
  std::vector<ServiceDockerfile> out;
  for (ServiceId id = 0; id < input.project.services.size(); ++id) {
    const auto path = dockerfile_of(input.project.services[id], input.project.folder);
    if (path.empty()) continue;
    if (const auto file = input.texts_owner.texts.open(path, kLargestDockerfile)) out.push_back({id, *file});
  }
  return out;
}

std::vector<ServiceDockerfile> dockerfiles(const Input& input) {
  std::vector<ServiceDockerfile> out;
  for (const auto& one : built_services(input))
    if (std::ranges::find(out, one.file, &ServiceDockerfile::file) == out.end()) out.push_back(one);
  return out;
}

std::vector<DockerfileLine> dockerfile_lines(std::string_view text) {
  std::vector<DockerfileLine> out;
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('\n', at), text.size());
    std::string line(text.substr(at, end - at));
    const auto first = line.find_first_not_of(" \t\r");
    const bool comment = first == std::string::npos || line[first] == '#';
    while (!comment && end < text.size()) {  // joined lines; a comment between them is skipped by Docker
      const auto last = line.find_last_not_of(" \t\r");
      if (last == std::string::npos || line[last] != '\\') break;
      line[last] = ' ';
      const auto next = std::min(text.find('\n', end + 1), text.size());
      std::string more(text.substr(end + 1, next - end - 1));
      const auto begins = more.find_first_not_of(" \t\r");
      if (begins != std::string::npos && more[begins] == '#') std::fill(more.begin(), more.end(), ' '), more.empty() ? void() : void(more.back() = '\\');
      line += ' ' + more;
      end = next;
    }
    if (!comment) {
      const auto stop = std::min(line.find_first_of(" \t\r", first), line.size());
      DockerfileLine entry;
      entry.begin = at + first;
      entry.instruction = line.substr(first, stop - first);
      std::ranges::transform(entry.instruction, entry.instruction.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      entry.rest_at = stop - first;
      entry.rest = line.substr(stop);
      out.push_back(std::move(entry));
    }
    at = end + 1;
  }
  return out;
}

std::string_view build_target(const compose::Service& service) {
  if (service.build == nullptr || service.build->is_string()) return {};
  const auto* target = service.build->find("target");
  return target == nullptr ? std::string_view() : target->string();
}

std::vector<formats::DockerInstruction> image_instructions(const Input& input, const compose::Service& service) {
  if (service.build == nullptr) return {};
  const auto* inner = service.build->is_string() ? nullptr : service.build->find("dockerfile_inline");
  const auto stage = build_target(service);
  if (inner != nullptr) return formats::image_instructions(formats::parse_dockerfile(inner->string()), stage);
  const auto path = dockerfile_of(service, input.project.folder);
  if (path.empty()) return {};
  const auto file = input.texts_owner.texts.open(path, kLargestDockerfile);
  if (!file) return {};
  return formats::image_instructions(formats::parse_dockerfile(input.project.texts.at(*file).content), stage);
}

}  // namespace dm::audit
