#include "deploy/borrowed_hash.hpp"

#include <algorithm>

#include "compose/load.hpp"
#include "secrets/crypto.hpp"

namespace dm::deploy {
namespace {

/// Puts ids in the place of services for as long as it lives.
class Resolved {
 public:
  Resolved(compose::Project& project, const compose::Service& service, const std::vector<Labelled>& containers) : project_(project) {
    auto& node = const_cast<compose::Value&>(*service.node);  // the project is the caller's, and not const
    const auto id_of = [&](std::string_view name) {
      const auto found = std::ranges::find(containers, name, &Labelled::service);
      return found == containers.end() ? std::string_view() : found->id;
    };
    for (const auto* key : {"network_mode", "pid", "ipc"})
      if (auto* value = node.find(key); value != nullptr && value->string().starts_with("service:"))
        if (const auto id = id_of(value->string().substr(8)); !id.empty()) put(*value, "container:" + std::string(id));
    if (auto* list = node.find("volumes_from"); list != nullptr && list->is_sequence())
      for (auto* value : *list->items) {
        const auto text = value->string();
        if (text.starts_with("container:")) put(*value, std::string(text.substr(10, text.find(':', 10) - 10)));
        else if (const auto id = id_of(text.substr(0, text.find(':'))); !id.empty()) put(*value, std::string(id));
      }
  }
  ~Resolved() {
    for (auto& [value, text] : before_) value->text = text;
  }
  Resolved(const Resolved&) = delete;
  Resolved& operator=(const Resolved&) = delete;
  bool any() const { return !before_.empty(); }

 private:
  void put(compose::Value& value, const std::string& text) {
    before_.emplace_back(&value, value.text);
    value.text = project_.arena.keep(text);
  }
  compose::Project& project_;
  std::vector<std::pair<compose::Value*, std::string_view>> before_;
};

}  // namespace

void settle_borrowed(std::map<std::string, std::string>& hashes, compose::Project& project, const std::vector<Labelled>& containers) {
  for (const auto& service : project.services) {
    const auto known = hashes.find(std::string(service.name));
    if (!service.enabled || service.node == nullptr || known == hashes.end()) continue;
    const Resolved resolved(project, service, containers);
    if (!resolved.any()) continue;
    const auto own = secrets::hex(secrets::sha256(compose::hashed_text(project, service)));
    if (std::ranges::any_of(containers, [&](const Labelled& one) { return one.service == service.name && one.config_hash == own; })) known->second = own;
  }
}

}  // namespace dm::deploy
