/// Images that are had anew before an `up`, whether or not they are here.
#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "cli/deploying.hpp"
#include "compose/units.hpp"

namespace dm::cli {
namespace {

std::string_view policy_of(const compose::Service& service) {
  const auto* policy = service.node != nullptr ? service.node->find("pull_policy") : nullptr;
  return policy != nullptr ? policy->string() : std::string_view();
}

/// How old an image may get before it is asked for again: `daily`, `weekly`, `every_12h`, and `refresh` with `pull_refresh_after`.
std::optional<std::chrono::nanoseconds> refreshed_after(const compose::Service& service, std::string_view policy) {
  if (policy == "daily") return std::chrono::hours(24);
  if (policy == "weekly") return std::chrono::hours(24 * 7);
  if (policy.starts_with("every_")) return compose::parse_duration(policy.substr(6));
  const auto* after = policy == "refresh" ? service.node->find("pull_refresh_after") : nullptr;
  return after != nullptr ? compose::parse_duration(after->string()) : std::nullopt;
}

bool is_old(const Session& session, const compose::Service& service, std::string_view policy) {
  const auto after = refreshed_after(service, policy);
  if (!after) return false;
  const auto image = session.engine->image(deploy::image_of(session.project(), service), session.within(std::chrono::seconds(10)));
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return image && image->tagged > 0 && now - std::chrono::nanoseconds(image->tagged) > *after;
}

/// What Compose prints, line by line.
class Lines {
 public:
  explicit Lines(deploy::Progress& progress) : progress_(progress) {}
  Result<void> take(std::string_view piece) {
    rest_.append(piece);
    const auto whole = rest_.rfind('\n') + 1;  // 0 where there is none
    progress_.lines(std::string_view(rest_).substr(0, whole));
    rest_.erase(0, whole);
    progress_.tick();
    return {};
  }

 private:
  deploy::Progress& progress_;
  std::string rest_;
};

}  // namespace

Fetch wanted_images(const Session& session, const UpRequest& request) {
  Fetch out;
  const auto& asked = request.options.pull;
  for (const auto& service : session.project().services) {
    if (!service.enabled || !session.services.contains(service.name)) continue;
    const auto policy = policy_of(service);
    if (service.build != nullptr && (request.build || (policy == "build" && asked.empty()))) out.build.emplace_back(service.name);
    else if (service.build == nullptr && service.image && (asked == "always" || (asked.empty() && (policy == "always" || is_old(session, service, policy))))) out.pull.emplace_back(service.name);
  }
  return out;
}

Result<void> fetch_images(const Session& session, const Fetch& wanted, deploy::Progress& progress) {
  Lines lines(progress);
  const auto take = [&](std::string_view piece) { return lines.take(piece); };
  const auto limit = session.within(std::chrono::hours(2));
  if (!wanted.pull.empty()) {
    progress.stage(fmt::format("pulling {}", wanted.pull.size()));
    DM_CHECK(during("pulling images; no container was touched", session.compose->pull(wanted.pull, take, limit)));
  }
  if (!wanted.build.empty()) {
    progress.stage(fmt::format("building {}", wanted.build.size()));
    DM_CHECK(during("building images; no container was touched", session.compose->build(wanted.build, take, limit)));
  }
  return {};
}

}  // namespace dm::cli
