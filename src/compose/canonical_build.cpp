#include "compose/details.hpp"
#include "compose/forms.hpp"

namespace dm::compose {

void canonical_build(Value& node, Forms& forms, Context& context) {
  Arena& arena = context.project.arena;
  Value* value = node.find("build");
  if (value == nullptr) return;
  if (value->is_string()) {
    Value* map = arena.make(Kind::mapping, value->where);
    map->entries->push_back({"context", {}, value});
    set(node, "build", map);
    value = map;
  }
  if (!value->is_mapping()) return;
  if (value->find("context") == nullptr) value->entries->push_back({"context", {}, arena.string(".")});
  if (context.options.normalize && value->find("dockerfile") == nullptr && value->find("dockerfile_inline") == nullptr)
    value->entries->push_back({"dockerfile", {}, arena.string("Dockerfile")});
  forms.key_values(*value, "args", "=", /*environment=*/true, /*inherits=*/context.options.normalize);
  if (Value* args = value->find("args"); args != nullptr && args->is_mapping() && context.options.normalize)
    std::erase_if(*args->entries, [](const Entry& item) { return item.value->is_null(); });
  forms.key_values(*value, "labels", "=", false);
  forms.key_values(*value, "additional_contexts", "=", false);
  forms.file_uses(*value, "secrets", /*targets=*/false);
  forms.extra_hosts(*value);
  forms.bytes(*value, "shm_size");
  forms.ulimits(*value);
  forms.text_of(*value, "provenance");
  forms.text_of(*value, "sbom");
}

void canonical_deploy(Value& node, Forms& forms, Context& context) {
  Arena& arena = context.project.arena;
  Value* value = node.find("deploy");
  if (value != nullptr && value->is_null()) erase(node, "deploy");
  if (value == nullptr || !value->is_mapping()) return;
  forms.key_values(*value, "labels", "=", false);
  for (const auto key : {"placement", "resources"})
    if (value->find(key) == nullptr) value->entries->push_back({key, {}, arena.make(Kind::mapping)});
  for (const auto key : {"update_config", "rollback_config"})
    if (Value* config = value->find(key); config != nullptr) forms.duration(*config, "delay"), forms.duration(*config, "monitor");
  if (Value* policy = value->find("restart_policy"); policy != nullptr) forms.duration(*policy, "delay"), forms.duration(*policy, "window");
  Value* resources = value->find("resources");
  for (const auto key : {"limits", "reservations"}) {
    Value* part = resources != nullptr ? resources->find(key) : nullptr;
    if (part == nullptr || !part->is_mapping()) continue;
    forms.bytes(*part, "memory");
    device_requests(part->find("devices"), context);
    if (Value* cpus = part->find("cpus"); cpus != nullptr && cpus->is_string()) forms.real_text(*cpus);
  }
}

}  // namespace dm::compose
