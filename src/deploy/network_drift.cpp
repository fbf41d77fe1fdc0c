#include "deploy/network_drift.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "compose/labels.hpp"
#include "compose/network_hash.hpp"
#include "secrets/crypto.hpp"

namespace dm::deploy {
namespace {

bool truth(const compose::Value& node, std::string_view key) {
  const auto* value = node.find(key);
  return value != nullptr && value->kind == compose::Kind::boolean && value->boolean;
}

/// What can be seen of the difference; "" where nothing can.
std::string difference(const compose::Network& wanted, const engine::Network& there) {
  std::string out;
  const auto say = [&](std::string_view what) { out += fmt::format("{}{}", out.empty() ? "" : ", ", what); };
  const auto& node = *wanted.node;
  if (!wanted.driver.empty() && wanted.driver != there.driver) say("driver");
  if (truth(node, "internal") != there.internal) say("internal");
  if (truth(node, "attachable") != there.attachable) say("attachable");
  if (truth(node, "enable_ipv6") != there.ipv6) say("enable_ipv6");
  const auto differs = [](const compose::Value* map, const std::map<std::string, std::string>& have) {
    return map != nullptr && map->is_mapping() && std::ranges::any_of(*map->entries, [&](const compose::Entry& entry) {
             const auto found = have.find(std::string(entry.key));
             return found == have.end() || found->second != entry.value->text;
           });
  };
  if (differs(node.find("driver_opts"), there.options)) say("driver_opts");
  if (differs(node.find("labels"), there.labels)) say("labels");
  if (const auto* config = node.at({"ipam", "config"}); config != nullptr && config->is_sequence())
    for (const auto* pool : *config->items)
      if (const auto* subnet = pool->find("subnet"); subnet != nullptr && std::ranges::find(there.subnets, subnet->text) == there.subnets.end()) {
        say("subnets");
        break;
      }
  return out;
}

}  // namespace

std::map<std::string, std::string, std::less<>> changed_networks(const compose::Project& project, const std::vector<engine::Network>& there) {
  std::map<std::string, std::string, std::less<>> out, unseen;
  bool agree = false;  // on how a network is hashed: a Compose of another version may do it in another way
  for (const auto& network : project.networks) {
    if (network.external || network.node == nullptr) continue;
    const auto found = std::ranges::find(there, network.name, &engine::Network::name);
    if (found == there.end() || compose::label_of(found->labels, compose::label::kProject) != project.name) continue;
    const auto label = compose::label_of(found->labels, compose::label::kConfigHash);
    if (label.empty()) continue;
    if (label == secrets::hex(secrets::sha256(compose::hashed_text(project, network)))) {
      agree = true;
      continue;
    }
    auto how = difference(network, *found);
    (how.empty() ? unseen : out).emplace(network.key, how.empty() ? "its settings" : std::move(how));
  }
  if (agree) out.merge(unseen);
  return out;
}

}  // namespace dm::deploy
