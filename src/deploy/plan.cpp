#include "deploy/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.hpp"
#include "compose/units.hpp"
#include "secrets/runtime_files.hpp"

namespace dm::deploy {
namespace {

using compose::Project;
using compose::Service;
using Names = std::set<std::string, std::less<>>;

milliseconds ms(const std::optional<std::chrono::nanoseconds>& value) {
  return value ? std::chrono::duration_cast<milliseconds>(*value) : milliseconds(0);
}

Condition condition_of(std::string_view text) {
  if (text == "service_healthy") return Condition::healthy;
  if (text == "service_completed_successfully") return Condition::completed;
  return Condition::started;
}

/// Names that differ by little, for an error about an unknown one.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// The service that `mode` borrows from ("service:x"), or "".
std::string_view borrowed(const compose::Text& mode) {
  return mode.value.starts_with("service:") ? mode.value.substr(8) : std::string_view();
}

bool borrows_from(const Service& service, std::string_view other) {
  return shares_namespace(service, other) || std::ranges::any_of(service.volumes_from, [&](const auto& text) { return text.value.substr(0, text.value.find(':')) == other; });
}

/// Dependencies before dependents; the loader has refused cycles.
std::vector<const Service*> in_order(const Project& project, const Names& chosen) {
  std::vector<const Service*> out;
  Names seen;
  struct Frame { const Service* service; std::size_t next; };
  for (const auto& root : project.services) {
    if (!chosen.contains(root.name) || seen.contains(root.name)) continue;
    std::vector<Frame> stack{{&root, 0}};
    seen.emplace(root.name);
    while (!stack.empty()) {
      auto& frame = stack.back();
      if (frame.next < frame.service->depends_on.size()) {
        const auto& name = frame.service->depends_on[frame.next++].service;
        const auto* other = project.service(name);
        if (other != nullptr && chosen.contains(name) && seen.emplace(name).second) stack.push_back({other, 0});
        continue;
      }
      out.push_back(frame.service);
      stack.pop_back();
    }
  }
  return out;
}

std::string short_id(std::string_view id) {
  if (id.starts_with("sha256:")) id.remove_prefix(7);
  return std::string(id.substr(0, 12));
}

std::string joined(const std::vector<std::string>& items, std::size_t most = 3) {
  std::string out;
  for (std::size_t i = 0; i < items.size() && i < most; ++i) out += (i == 0 ? "" : ", ") + items[i];
  if (items.size() > most) out += fmt::format(" and {} more", items.size() - most);
  return out;
}

bool up_to_work(const Container& c) { return c.state.status == Snapshot::Status::running || c.state.status == Snapshot::Status::restarting; }

std::string_view marks_of(const Service& service) {
  for (const auto& [name, value] : service.labels)
    if (name == secrets::kMarks) return value.value;
  return {};
}

/// Secrets whose value is not the one that the container was made with. None where the container does not say.
std::vector<std::string> changed_secrets(std::string_view before, std::string_view now) {
  const auto old = secrets::read_marks(before);
  std::vector<std::string> out;
  if (old.empty()) return out;
  for (const auto& [name, mark] : secrets::read_marks(now))
    if (const auto found = old.find(name); found == old.end() || found->second != mark) out.push_back(name);
  return out;
}

/// Takes what is more than `wanted` out of `have`: the highest numbers, as Compose does; of the same number those that do not run, as a killed run may leave one.
std::vector<const Container*> take_surplus(std::vector<const Container*>& have, std::size_t wanted) {
  std::ranges::stable_sort(have, {}, [](const Container* one) { return std::pair(one->number, one->state.status != Snapshot::Status::running); });
  const auto first = have.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, have.size()));
  std::vector<const Container*> out(first, have.end());
  have.erase(first, have.end());
  return out;
}

/// What has to happen to one service, and why.
void decide(Step& step, const PlanInput& input, const Service& service, const std::vector<const Container*>& have) {
  const auto& project = *input.wiring.project;
  const auto hash = input.hashes.find(step.service);
  const auto image = input.images.find(image_of(project, service));
  const auto content = input.changed_content.find(step.service);
  if (have.empty()) {
    step.change = Change::create;
    step.why = "new";
    return;
  }
  if (input.force.contains(step.service)) {
    step.change = Change::recreate;
    step.forced = true;
    step.why = "asked for";
    return;
  }
  for (const auto* c : have)
    if (hash != input.hashes.end() && c->config_hash != hash->second) {
      step.change = Change::recreate;
      const auto secrets = changed_secrets(c->secret_marks, marks_of(service));
      step.why = secrets.empty() ? "its configuration changed" : fmt::format("secret{} {} changed", secrets.size() == 1 ? "" : "s", joined(secrets));
      return;
    }
  for (const auto* c : have)
    if (image != input.images.end() && !image->second.empty() && c->image_id != image->second) {
      step.change = Change::recreate;
      step.why = fmt::format("image {} is {} now, was {}", image->first, short_id(image->second), short_id(c->image_id));
      return;
    }
  for (const auto& use : service.networks)
    if (const auto network = input.changed_networks.find(use.network); network != input.changed_networks.end()) {
      step.change = Change::recreate;
      step.forced = true;
      step.why = fmt::format("network {} is made anew, since it differs from the files ({})", network->first, network->second);
      return;
    }
  if (content != input.changed_content.end() && !content->second.empty()) {
    step.change = Change::recreate;
    step.forced = true;
    step.why = fmt::format("content of {} changed", joined(content->second));
    return;
  }
  if (have.size() < step.containers) {
    step.change = Change::create;
    step.why = fmt::format("{} of {} containers", have.size(), step.containers);
    return;
  }
  if (step.job.one_shot && std::ranges::all_of(have, [](auto* c) { return c->state.status == Snapshot::Status::exited && c->state.exit_code == 0; })) {
    step.why = "done";
    return;
  }
  if (!std::ranges::all_of(have, [](auto* c) { return up_to_work(*c); })) {
    step.change = Change::start;
    const auto& s = (*std::ranges::find_if(have, [](auto* c) { return !up_to_work(*c); }))->state;
    step.why = s.status == Snapshot::Status::exited ? fmt::format("stopped, exit code {}", s.exit_code)
               : s.status == Snapshot::Status::paused ? "paused" : "created, never started";
    return;
  }
  if (!input.repair) return;
  for (const auto* c : have) {
    const bool loops = c->state.status == Snapshot::Status::restarting;
    if (!loops && c->state.health != Snapshot::Health::unhealthy) continue;
    step.change = Change::restart;
    step.why = loops ? fmt::format("keeps restarting, exit code {}", c->state.exit_code) : "unhealthy";
    return;
  }
}

}  // namespace

std::string_view to_string(Change change) {
  switch (change) {
    case Change::none: return "keep";
    case Change::create: return "create";
    case Change::recreate: return "recreate";
    case Change::start: return "start";
    case Change::restart: return "restart";
  }
  return "keep";
}

bool Plan::changes() const { return !surplus.empty() || std::ranges::any_of(steps, [](const auto& step) { return step.change != Change::none; }); }
std::size_t Plan::count(Change change) const {
  return static_cast<std::size_t>(std::ranges::count(steps, change, &Step::change));
}
const Step* Plan::step(std::string_view service) const {
  const auto found = std::ranges::find(steps, service, &Step::service);
  return found == steps.end() ? nullptr : &*found;
}

std::string image_of(const Project& project, const Service& service) {
  return service.image ? std::string(service.image.value) : fmt::format("{}-{}", project.name, service.name);
}

std::size_t replicas_of(const Service& service) {
  if (service.node == nullptr) return 1;
  const auto* scale = service.node->find("scale");
  if (scale == nullptr) scale = service.node->at({"deploy", "replicas"});
  if (scale == nullptr || scale->kind != compose::Kind::integer || scale->integer < 0) return 1;
  return static_cast<std::size_t>(scale->integer);
}

bool shares_namespace(const Service& service, std::string_view other) { return borrowed(service.network_mode) == other || borrowed(service.pid) == other || borrowed(service.ipc) == other; }

std::string started_by_compose(const Project& project, const Service& service) {
  const auto resource = [](const std::vector<compose::Resource>& list, std::string_view key) -> const compose::Resource* {
    const auto found = std::ranges::find(list, key, &compose::Resource::key);
    return found == list.end() ? nullptr : &*found;
  };
  for (const auto& use : service.configs)
    if (const auto* found = resource(project.configs, use.source); found != nullptr && found->node != nullptr)
      for (const auto* key : {"content", "environment"})
        if (found->node->find(key) != nullptr) return fmt::format("config {} is put in by Compose at the start", use.source);
  for (const auto& use : service.secrets)
    if (const auto* found = resource(project.secrets, use.source); found != nullptr && !found->environment.empty())
      return fmt::format("secret {} is put in by Compose at the start", use.source);
  if (service.node != nullptr)
    for (const auto* key : {"post_start", "pre_stop", "provider", "models"})
      if (service.node->find(key) != nullptr) return fmt::format("it has {}", key);
  return {};
}

bool early_allowed(const Service& service, const product::Product* product) {
  if (!service.healthcheck || service.healthcheck->disabled || service.healthcheck->test.size() < 2) return false;
  auto first = service.healthcheck->start_interval.value_or(std::chrono::seconds(0));
  if (first.count() == 0) first = service.healthcheck->interval.value_or(std::chrono::seconds(30));
  if (first <= std::chrono::seconds(2)) return false;
  if (service.node != nullptr)
    if (const auto* own = service.node->at({"x-datamancy", "early_readiness"}); own != nullptr && own->kind == compose::Kind::boolean) return own->boolean;
  if (product == nullptr) return false;
  std::string test;
  for (const auto& word : service.healthcheck->test) test += std::string(test.empty() ? "" : " ") + std::string(word.value);
  return std::ranges::any_of(product->early_health, [&](const auto& fragment) { return test.find(fragment) != std::string::npos; });
}

Result<Names> choose(const Project& project, const std::vector<std::string>& names, bool with_dependencies) {
  Names out;
  std::vector<const Service*> open;
  for (const auto& name : names) {
    const auto* service = project.service(name);
    if (service == nullptr) {
      std::string near;
      for (const auto& other : project.services)
        if (distance(name, other.name) <= 2) near += fmt::format("{}'{}'", near.empty() ? "; did you mean " : " or ", other.name);
      return fail(Errc::not_found, fmt::format("no service '{}' in project '{}'{}", name, project.name, near));
    }
    if (out.emplace(name).second) open.push_back(service);
  }
  if (names.empty())
    for (const auto& service : project.services)
      if (service.enabled) out.emplace(service.name);
  while (with_dependencies && !open.empty()) {
    const auto* service = open.back();
    open.pop_back();
    for (const auto& dependency : service->depends_on) {
      const auto* other = project.service(dependency.service);
      if (other != nullptr && other->enabled && out.emplace(other->name).second) open.push_back(other);
    }
  }
  return out;
}

std::vector<std::string> profiles_of(const Project& project, const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const auto& name : names)
    if (const auto* service = project.service(name); service != nullptr && !service->enabled)
      for (const auto& profile : service->profiles) out.emplace_back(profile.value);
  return out;
}

Plan plan(const PlanInput& input) {
  Plan out;
  const auto& project = *input.wiring.project;
  out.project = project.name;
  std::map<std::string_view, std::vector<const Container*>> have;
  for (const auto& container : input.containers) {
    if (container.one_off) continue;
    have[container.service].push_back(&container);
    if (project.service(container.service) != nullptr) continue;
    if (input.remove_orphans) out.surplus.push_back({container.id, container.name, container.service, "its service is not in the files"});
    else out.orphans.push_back(container.name);
  }
  const auto order = in_order(project, input.services);
  for (const auto* service : order) {
    Step step;
    step.service = service->name;
    step.containers = replicas_of(*service);
    auto& mine = have[service->name];
    for (const auto* container : take_surplus(mine, step.containers)) out.surplus.push_back({container->id, container->name, step.service, "more than its service wants"});
    if (step.containers == 0) continue;
    const auto id = input.wiring.id_of(service->name);
    const auto* product = id == wiring::kNone ? nullptr : input.wiring.product_of[id];
    auto& job = step.job;
    job.name = service->name;
    job.containers = step.containers;
    job.one_shot = id != wiring::kNone && input.wiring.one_shot[id];
    job.may_retry = service->restart.value.starts_with("on-failure");
    if (const auto& check = service->healthcheck; check && !check->disabled && check->test.size() > 1) {
      job.has_check = true;
      job.budget = budget_of(ms(check->start_period), ms(check->interval), ms(check->timeout), check->retries.value_or(0));
    } else if (check && check->disabled) {
      job.has_check = false;
    }
    job.early = input.early && early_allowed(*service, product);
    for (const auto& dependency : service->depends_on)
      if (input.services.contains(dependency.service) && project.service(dependency.service) != nullptr)
        job.needs.push_back({std::string(dependency.service), condition_of(dependency.condition), dependency.required});
    step.by_compose = started_by_compose(project, *service);
    for (const auto* container : mine) step.ids.push_back(container->id);
    decide(step, input, *service, mine);
    if (input.keep && step.change == Change::recreate && !input.force.contains(step.service)) {
      const bool works = std::ranges::all_of(mine, [](auto* c) { return up_to_work(*c); });
      step.change = works ? Change::none : Change::start;
      step.forced = false;
      step.why += "; kept, as asked";
    }
    for (const auto& before : out.steps) {
      if ((before.change == Change::restart || (before.change == Change::start && before.why != "paused")) && step.change == Change::none && !mine.empty() && !job.one_shot && shares_namespace(*service, before.service)) {
        step.change = Change::restart;
        step.why = fmt::format("lives in the network of {}, which is started anew", before.service);
      }
      if (before.change != Change::recreate) continue;
      if (borrows_from(*service, before.service) && step.change != Change::create && step.change != Change::recreate) {
        step.change = Change::recreate;
        step.forced = true;
        step.why = fmt::format("uses the network or volumes of {}, which is recreated", before.service);
      }
      if (step.change == Change::none && !mine.empty() && !job.one_shot)
        for (const auto& dependency : service->depends_on)
          if (dependency.restart && dependency.service == before.service) {
            step.change = Change::restart;
            step.why = fmt::format("follows {}, which is recreated", before.service);
          }
    }
    // A server that its restart policy has started again has a new network: who lived in the one before is cut off, and looks well.
    for (const auto& [other, list] : have)
      if (step.change == Change::none && !mine.empty() && !list.empty() && !job.one_shot && shares_namespace(*service, other) && mine.front()->started < list.front()->started) {
        step.change = Change::restart;
        step.why = fmt::format("{} was started after it, so that it is cut off from the network", other);
      }
    job.start = step.change != Change::none;
    out.steps.push_back(std::move(step));
  }
  for (const auto& [network, how] : input.changed_networks) {
    std::string left;
    for (const auto& service : project.services) {
      const auto* step = out.step(service.name);
      const bool on_it = std::ranges::find(service.networks, network, &compose::NetworkUse::network) != service.networks.end();
      const auto there = have.find(service.name);
      if (on_it && there != have.end() && !there->second.empty() && (step == nullptr || step->change != Change::recreate)) left += fmt::format("{}{}", left.empty() ? "" : ", ", service.name);
    }
    if (!left.empty() && out.changes())
      out.refusal = fmt::format("network {} differs from the files ({}) and has to be made anew, with everything that is on it; {} would be cut off: 'datamancy up --all' takes them all", network, how, left);
  }
  // The longest way to the end, for the order of starts; steps are in dependency order, so one pass backwards is enough.
  std::map<std::string_view, std::pair<milliseconds, std::string_view>> tail;
  for (auto step = out.steps.rbegin(); step != out.steps.rend(); ++step) {
    auto own = std::chrono::seconds(1) + milliseconds(0);
    if (const auto* service = project.service(step->service); step->job.has_check.value_or(false) && service->healthcheck)
      own += std::max(ms(service->healthcheck->interval), milliseconds(0)) + ms(service->healthcheck->start_period) / 2;
    step->job.chain = own + tail[step->service].first;
    for (const auto& need : step->job.needs)
      if (auto& best = tail[need.service]; step->job.chain > best.first) best = {step->job.chain, step->service};
  }
  const Step* at = nullptr;
  for (const auto& step : out.steps)
    if (at == nullptr || step.job.chain > at->job.chain) at = &step;
  while (at != nullptr) {
    out.longest_chain.push_back(at->service);
    const auto& next = tail[at->service].second;
    at = next.empty() ? nullptr : out.step(next);
  }
  return out;
}

std::string plan_text(const Plan& plan) {
  std::string text = fmt::format("{}: {} to create, {} to recreate, {} to start, {} to restart, {} as wanted\n", plan.project, plan.count(Change::create),
                                 plan.count(Change::recreate), plan.count(Change::start), plan.count(Change::restart), plan.count(Change::none));
  std::size_t width = 8;
  for (const auto& step : plan.steps) width = std::max(width, step.service.size());
  for (const auto& step : plan.steps) {
    std::string after;
    for (const auto& need : step.job.needs) after += fmt::format("{}{} {}", after.empty() ? "after " : ", ", need.service, to_string(need.condition));
    text += fmt::format("  {:{}}  {:8}  {}", step.service, width, to_string(step.change), step.why);
    if (step.change != Change::none && !after.empty()) text += fmt::format("{}{}", step.why.empty() ? "" : "; ", after);
    if (step.change != Change::none && !step.by_compose.empty()) text += fmt::format("; started by Compose: {}", step.by_compose);
    while (text.ends_with(' ')) text.pop_back();
    text += '\n';
  }
  for (const auto& one : plan.surplus) text += fmt::format("  {:{}}  remove    {}: {}\n", one.service, width, one.name, one.why);
  if (plan.longest_chain.size() > 1) {
    text += "longest chain: ";
    for (std::size_t i = 0; i < plan.longest_chain.size(); ++i) text += (i == 0 ? "" : " -> ") + plan.longest_chain[i];
    text += '\n';
  }
  if (!plan.refusal.empty()) text += fmt::format("refused: {}\n", plan.refusal);
  for (const auto& orphan : plan.orphans) text += fmt::format("note: {} belongs to this project, but its service is not in the files (--remove-orphans removes it)\n", orphan);
  return text;
}

std::string plan_json(const Plan& plan) {
  JsonWriter json;
  json.begin_object().key("version").value(std::int64_t{1}).key("project").value(plan.project).key("changes").value(plan.changes());
  json.key("steps").begin_array();
  for (const auto& step : plan.steps) {
    json.begin_object().key("service").value(step.service).key("change").value(to_string(step.change)).key("why").value(step.why);
    json.key("containers").value(static_cast<std::uint64_t>(step.containers)).key("one_shot").value(step.job.one_shot);
    json.key("early_readiness").value(step.job.early);
    if (!step.by_compose.empty()) json.key("started_by_compose").value(step.by_compose);
    json.key("after").begin_array();
    for (const auto& need : step.job.needs)
      json.begin_object().key("service").value(need.service).key("condition").value(to_string(need.condition)).key("required").value(need.required).end();
    json.end().end();
  }
  json.end().key("longest_chain").begin_array();
  for (const auto& name : plan.longest_chain) json.value(name);
  json.end().key("remove").begin_array();
  for (const auto& one : plan.surplus) json.value(one.name);
  json.end().key("orphans").begin_array();
  for (const auto& orphan : plan.orphans) json.value(orphan);
  json.end();
  if (!plan.refusal.empty()) json.key("refusal").value(plan.refusal);
  json.end();
  return json.take() + "\n";
}

}  // namespace dm::deploy
