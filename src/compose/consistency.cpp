#include "compose/consistency.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "compose/nearest.hpp"

namespace dm::compose {
namespace {

class Checker {
 public:
  explicit Checker(Context& context)
      : context_(context), project_(context.project), networks_(keys(project_.networks)), volumes_(keys(project_.volumes)), secrets_(keys(project_.secrets)),
        configs_(keys(project_.configs)) {}

  /// Compose checks these always.
  void sources() {
    resources(project_.configs, "config");
    resources(project_.secrets, "secret");
  }

  void all() {
    for (const Service& service : project_.services) {
      if (!service.enabled && !context_.options.lenient) continue;
      image(service);
      references(service);
      dependencies(service);
    }
    if (context_.options.unique_container_names) container_names();
    cycles();
  }

 private:
  using Keys = std::set<std::string_view>;
  template <class T>
  static Keys keys(const std::vector<T>& all) {
    Keys out;
    for (const T& one : all) out.insert(one.key);
    return out;
  }

  template <class T>
  static std::string near(std::string_view wanted, const std::vector<T>& all, std::string_view T::*name, std::string otherwise) {
    Nearest nearest(wanted);
    for (const T& one : all) nearest.offer(one.*name);
    return nearest.hint(std::move(otherwise));
  }

  void image(const Service& service) {
    build(service);
    if (service.image.value.empty() && service.build == nullptr && service.node->find("provider") == nullptr)
      context_.error(service.where, fmt::format("service '{}' has neither an image nor a build context specified", service.name), "add `image:` or `build:`");
  }

  void build(const Service& service) {
    if (service.build == nullptr || !service.build->is_mapping()) return;
    const Value* file = service.build->find("dockerfile");
    if (file != nullptr && service.build->find("dockerfile_inline") != nullptr)
      context_.error(file->where, fmt::format("service '{}' has both dockerfile and dockerfile_inline", service.name), "keep one");
    const Value* platforms = service.build->find("platforms");
    const Value* platform = service.node->find("platform");
    if (platforms != nullptr && platforms->is_sequence() && !platforms->items->empty() && platform != nullptr && platform->is_string() && !platform->text.empty()) {
      bool listed = false;
      for (const Value* item : *platforms->items) listed = listed || item->text == platform->text;
      if (!listed)
        context_.error(platform->where, fmt::format("build.platforms of service '{}' must include its platform '{}'", service.name, platform->text), "add it there");
    }
    if (const Value* uses = service.build->find("secrets"); uses != nullptr && uses->is_sequence())
      for (const Value* use : *uses->items) {
        const Value* source = use->find("source");
        bool found = source == nullptr;
        for (const Resource& resource : project_.secrets) found = found || resource.key == source->text;
        if (!found) context_.error(use->where, fmt::format("build of service '{}' refers to undefined secret {}", service.name, source->text), "define it under `secrets:`");
      }
    if (const Value* more = service.build->find("additional_contexts"); more != nullptr && more->is_mapping())
      for (const Entry& entry : *more->entries)
        if (entry.value->string().starts_with("service:")) {
          const auto target = entry.value->text.substr(8);
          const Service* other = project_.service(target);
          if (other == nullptr || (!other->enabled && !context_.options.lenient))
            context_.error(entry.key_where, fmt::format("service '{}' declares unknown service '{}' as an additional context", service.name, target), "check the name");
          else if (other->build == nullptr)
            context_.error(entry.key_where, fmt::format("service '{}' declares service '{}' as an additional context, which is not built", service.name, target),
                           fmt::format("give '{}' a `build:`, or name its image: docker-image://...", target));
        }
  }

  void references(const Service& service) {
    // The old and the new place of a limit may both be used only with one value.
    // Where there is a block of limits at all, a limit that is missing in it counts as 0.
    const auto conflict = [&](std::string_view old_key, const Value* block, std::string_view key) {
      const Value* here = service.node->find(old_key);
      if (here == nullptr || block == nullptr || amount(here) == 0) return;
      const Value* there = block->find(key);
      if (std::abs(amount(here) - amount(there)) < 1e-6 || (key == "replicas" && there == nullptr)) return;
      context_.error(here->where, fmt::format("service '{}' sets distinct values on '{}' and under deploy.resources", service.name, old_key), "keep one");
    };
    const Value* limits = service.node->at({"deploy", "resources", "limits"});
    conflict("pids_limit", limits, "pids");
    conflict("cpus", limits, "cpus");
    conflict("mem_limit", limits, "memory");
    conflict("mem_reservation", service.node->at({"deploy", "resources", "reservations"}), "memory");
    conflict("scale", service.node->find("deploy"), "replicas");
    if (const Value* models = service.node->find("models"); models != nullptr && models->is_mapping()) {
      const Value* known = project_.model->find("models");
      for (const Entry& use : *models->entries)
        if (known == nullptr || known->find_entry(use.key) == nullptr)
          context_.error(use.key_where, fmt::format("service '{}' refers to undefined model {}", service.name, use.key), "define it under `models:`");
    }
    if (const Value* watch = service.node->at({"develop", "watch"}); watch != nullptr && watch->is_sequence())
      for (const Value* item : *watch->items) {
        const Value* action = item->find("action");
        const Value* target = item->find("target");
        if (action != nullptr && action->string() != "rebuild" && action->string() != "restart" && (target == nullptr || target->text.empty()))
          context_.error(item->where, fmt::format("a watch of service '{}' needs a target", service.name), "add `target:`, or use the action rebuild");
      }
    if (service.network_mode && service.node->find("networks") != nullptr)
      context_.error(service.network_mode.where(), fmt::format("service '{}' declares mutually exclusive `network_mode` and `networks`", service.name), "keep one");
    for (const NetworkUse& use : service.networks)
      if (!networks_.contains(use.network))
        context_.error(use.where, fmt::format("service '{}' refers to undefined network {}", service.name, use.network),
                       near(use.network, project_.networks, &Network::key, fmt::format("add `{}:` under `networks:`", use.network)));
    std::set<std::string_view> tmpfs;
    for (const Mount& mount : service.mounts)
      if (mount.type == Mount::Type::tmpfs) tmpfs.insert(mount.target);
    if (!tmpfs.empty())
      for (const Mount& mount : service.mounts)
        if (mount.type != Mount::Type::tmpfs && tmpfs.contains(mount.target))
          context_.error(mount.where, fmt::format("target {} of service '{}' is a tmpfs too", mount.target, service.name), "keep one");
    for (const Mount& mount : service.mounts)
      if (mount.type == Mount::Type::volume && !mount.source.empty() && !volumes_.contains(mount.source))
        context_.error(mount.where, fmt::format("service '{}' refers to undefined volume {}", service.name, mount.source),
                       near(mount.source, project_.volumes, &Volume::key, fmt::format("add `{}:` under `volumes:`, or write ./{} for a folder", mount.source, mount.source)));
    const auto check = [&](const std::vector<FileUse>& uses, const std::vector<Resource>& known, const Keys& keys, std::string_view what) {
      for (const FileUse& use : uses) {
        if (!keys.contains(use.source))
          context_.error(use.where, fmt::format("service '{}' refers to undefined {} {}", service.name, what, use.source),
                         near(use.source, known, &Resource::key, fmt::format("define it under `{}s:`", what)));
      }
    };
    check(service.secrets, project_.secrets, secrets_, "secret");
    check(service.configs, project_.configs, configs_, "config");
  }

  /// The number of a limit, whatever form it is written in.
  static double amount(const Value* value) {
    if (value == nullptr) return 0;
    if (value->kind == Kind::integer) return static_cast<double>(value->integer);
    if (value->kind == Kind::real) return value->real;
    double number = 0;
    std::from_chars(value->text.data(), value->text.data() + value->text.size(), number);
    return number;
  }

  void dependencies(const Service& service) {
    for (const Dependency& dependency : service.depends_on) {
      const Service* target = project_.service(dependency.service);
      if (target == nullptr)
        context_.error(dependency.where, fmt::format("service '{}' depends on undefined service '{}'", service.name, dependency.service),
                       near(dependency.service, project_.services, &Service::name, "check the name"));
      else if (!target->enabled && dependency.required && service.enabled && !context_.options.lenient)
        context_.error(dependency.where, fmt::format("service '{}' depends on '{}', which is in no chosen profile", service.name, dependency.service),
                       "choose its profile too, or write `required: false`");
    }
  }

  void resources(const std::vector<Resource>& all, std::string_view what) {
    for (const Resource& resource : all) {
      const auto* content = resource.node->find("content");
      const auto given = (resource.node->find("file") != nullptr ? 1 : 0) + (resource.node->find("environment") != nullptr ? 1 : 0) + (content != nullptr ? 1 : 0);
      if (resource.external || given == 1) continue;
      context_.error(resource.where, fmt::format("{} '{}' must have exactly one of file, environment{}", what, resource.key, what == "config" ? ", content" : ""), "keep one");
    }
  }

  void container_names() {
    std::map<std::string_view, const Service*> names;
    for (const Service& service : project_.services) {
      if (!service.container_name || (!service.enabled && !context_.options.lenient)) continue;
      const auto [known, fresh] = names.emplace(service.container_name.value, &service);
      if (!fresh)
        context_.error(service.container_name.where(),
                       fmt::format("container name '{}' of service '{}' is already in use by '{}'", service.container_name.value, service.name, known->second->name), "rename one");
    }
  }

  /// Depth-first with colours: linear, whatever the depth (an explicit stack).
  void cycles() {
    enum class Colour : std::uint8_t { white, grey, black };
    std::vector<Colour> colour(project_.services.size(), Colour::white);
    for (std::size_t start = 0; start < project_.services.size(); ++start) {
      if (colour[start] != Colour::white) continue;
      std::vector<std::pair<std::size_t, std::size_t>> stack{{start, 0}};
      colour[start] = Colour::grey;
      while (!stack.empty()) {
        auto& [at, next] = stack.back();
        const Service& service = project_.services[at];
        if (next == service.depends_on.size()) {
          colour[at] = Colour::black;
          stack.pop_back();
          continue;
        }
        const Dependency& dependency = service.depends_on[next++];
        const auto target = project_.service_index.find(dependency.service);
        if (target == project_.service_index.end()) continue;
        if (colour[target->second] == Colour::grey) {
          std::string circle;
          bool inside = false;
          for (const auto& [id, unused] : stack) {
            inside = inside || id == target->second;
            if (inside) circle += fmt::format("{} -> ", project_.services[id].name);
          }
          context_.error(dependency.where, fmt::format("dependency cycle detected: {}{}", circle, dependency.service), "remove one of these dependencies");
          return;
        }
        if (colour[target->second] == Colour::white) {
          colour[target->second] = Colour::grey;
          stack.emplace_back(target->second, 0);
        }
      }
    }
  }

  Context& context_;
  Project& project_;
  const Keys networks_, volumes_, secrets_, configs_;  ///< thousands of services look into them
};

}  // namespace

void check_sources(Context& context) { Checker(context).sources(); }

void check_consistency(Context& context) { Checker(context).all(); }

}  // namespace dm::compose
