#include "upgrade/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "deploy/plan.hpp"

namespace dm::upgrade {
namespace {

/// The volume where the server of `service` keeps its data.
Result<std::string> volume_of_server(const Around& around, const std::string& service, const Deadline& deadline) {
  const auto* subject = around.inventory.find(service);
  DM_TRY(const auto container, around.engine.container(subject->target.container, deadline));
  const auto& path = subject->target.data_path;
  engine::Mount best;
  for (const auto& mount : container.mounts) {
    const bool holds = path == mount.target || (path.starts_with(mount.target) && path[mount.target.size()] == '/');
    if (holds && mount.type == "volume" && mount.target.size() > best.target.size()) best = mount;
  }
  if (best.name.empty()) return fail(Errc::unsupported, fmt::format("the data of '{}' ({}) is in no volume with a name: only those are changed here", service, path));
  return best.name;
}

/// The same, of one that a run leaves to its driver.
Result<std::string> volume_left_to_driver(const backup::Inventory& inventory, const std::string& service) {
  for (const auto& skipped : inventory.skipped)
    if (skipped.id.starts_with("volume:") && std::ranges::find(skipped.services, service) != skipped.services.end()) return skipped.id.substr(7);
  return fail(Errc::unsupported, fmt::format("the data of '{}' is in no volume with a name", service));
}

Result<std::string> newest_within(const Around& around, const std::string& from, const std::string& tag, const std::string& service, const Deadline& deadline) {
  DM_TRY(const auto image, parse_image(from));
  const auto now = parse_tag(tag);
  if (!now) return fail(Errc::invalid_input, fmt::format("'{}' is no version: say which one by --to TAG", tag));
  DM_TRY(const auto tags, during("looking for a newer one (--to TAG says which)", around.registry.tags(image, deadline.at_most(std::chrono::minutes(1)))));
  auto found = candidates(*now, tags).within;
  if (found.empty()) return fail(Errc::not_found, fmt::format("there is no newer {} within its version; 'datamancy outdated {}' lists others, --to TAG takes one", from, service));
  return found;
}

}  // namespace

Result<Plan> make_plan(const Around& around, const std::string& name, std::string to, const Deadline& deadline) {
  const auto* service = around.project.service(name);
  if (service == nullptr) return fail(Errc::not_found, fmt::format("no service '{}'", name));
  Plan plan{.service = name, .from = deploy::image_of(around.project, *service)};
  const auto parts = product::split_image(plan.from);
  if (!parts.digest.empty()) return fail(Errc::unsupported, fmt::format("'{}' is pinned to a digest: put the new digest into the file, then 'datamancy up'", name));
  const auto id = around.wiring.id_of(name);
  const std::string tag = parts.tag.empty() ? "latest" : std::string(parts.tag);
  if (to.empty()) {
    DM_TRY(to, newest_within(around, plan.from, tag, name, deadline));
  }
  const auto repository = parts.tag.empty() ? plan.from : plan.from.substr(0, plan.from.size() - parts.tag.size() - 1);
  plan.image = to.find('/') != std::string::npos || to.find(':') != std::string::npos ? to : repository + ":" + to;
  plan.pull_always = plan.image == plan.from;
  for (const auto& subject : around.inventory.subjects) {
    if (subject.what == backup::Subject::What::project || std::ranges::find(subject.services, name) == subject.services.end()) continue;
    plan.own.push_back(subject.id);
    if (subject.what == backup::Subject::What::datastore) plan.datastore = true;
    else plan.trees.push_back(subject.id);
  }
  for (const auto other : around.wiring.dependencies[id]) {
    const std::string needed(around.project.services[other].name);
    const auto* subject = around.inventory.find(needed);
    if (subject == nullptr || subject->what != backup::Subject::What::datastore) continue;
    plan.needed.push_back(needed);
    if (around.wiring.dependents[other].size() != 1) plan.shared.push_back(needed);
  }
  // A copy of a known image under another name is known by what runs in it.
  const auto* product = around.wiring.product_of[id];
  if (const auto* subject = around.inventory.find(name); product == nullptr && subject != nullptr) product = around.products.by_id(subject->target.kind);
  plan.judgement = judge(product, tag, product::split_image(plan.image).tag, !plan.own.empty() || !plan.needed.empty());
  if (plan.judgement.data == Data::dump && !plan.datastore) plan.judgement.refusal = "its data has to go through a dump, and there is no driver for it";
  if (plan.judgement.data == Data::dump && plan.judgement.refusal.empty()) {
    DM_TRY(plan.volume, volume_of_server(around, name, deadline));
  }
  if (plan.judgement.data == Data::migrates && plan.datastore) {
    DM_TRY(plan.data_volume, volume_left_to_driver(around.inventory, name));
  }
  for (const auto client : around.wiring.blast_radius(id)) plan.clients.emplace_back(around.project.services[client].name);
  if (product != nullptr && plan.judgement.data != Data::stays) plan.hints = product->notes;
  if (plan.from != plan.image) {
    DM_TRY(plan.edit, edit_image(around.project, *service, plan.image));
  }
  return plan;
}

std::string text(const Plan& plan) {
  const auto& judgement = plan.judgement;
  auto out = fmt::format("{}: {} -> {} ({} step; data: {})\n", plan.service, plan.from, plan.image, to_string(judgement.step), to_string(judgement.data));
  for (const auto& trap : judgement.traps) out += fmt::format("  trap: {}\n", trap);
  for (const auto& hint : plan.hints) out += fmt::format("  known: {}\n", hint);
  int number = 0;
  const auto step = [&](const std::string& words) { out += fmt::format("  {}. {}\n", ++number, words); };
  step("pull " + plan.image);
  if (judgement.data != Data::stays && !plan.clients.empty()) step(fmt::format("stop {}{}", fmt::join(plan.clients, ", "), judgement.data == Data::dump ? ", and take the server off its networks" : ""));
  auto saved = plan.own;
  saved.insert(saved.end(), plan.needed.begin(), plan.needed.end());
  if (!saved.empty()) step(fmt::format("back up {}, verified and read back", fmt::join(saved, ", ")));
  if (judgement.data == Data::dump) step(fmt::format("keep the data of {} aside, start the new server empty, restore, compare every fingerprint", plan.volume));
  if (!plan.edit.path.empty()) step(fmt::format("{}: image {}", plan.edit.place, plan.image));
  step(fmt::format("start it, wait until it and what needs it are stable; else back to {}{}", plan.from, judgement.data == Data::stays ? "" : ", with the data of before"));
  return out;
}

}  // namespace dm::upgrade
