#include "deploy/bring_up.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "compose/labels.hpp"
#include "deploy/creation.hpp"
#include "deploy/look.hpp"
#include "deploy/mailbox.hpp"
#include "deploy/probes.hpp"
#include "deploy/workers.hpp"
#include "engine/event_feed.hpp"

namespace dm::deploy {
namespace {

using namespace std::chrono_literals;

struct Message {
  enum class Kind : std::uint8_t { event, seen, refused, checked, created, polled, lost, reconcile, ended } kind;
  std::string service{}, id{}, text{};
  bool flag = false;
  std::vector<Container> containers{};
  Clock::time_point asked{};             // when the engine was asked for `containers`
  std::optional<int> exit_code{};        // of a "die"
};

std::string attribute(const engine::Event& event, const char* name) {
  const auto found = event.attributes.find(name);
  return found == event.attributes.end() ? std::string() : found->second;
}

std::optional<int> exit_code(const engine::Event& event) {
  const auto text = attribute(event, "exitCode");
  int code = 0;
  return event.action == "die" && std::from_chars(text.data(), text.data() + text.size(), code).ec == std::errc() ? std::optional(code) : std::nullopt;
}

/// The engine's words about a failed start, without its prefixes.
std::string start_trouble(const std::string& message) {
  if (message.find("port is already allocated") != std::string::npos || message.find("address already in use") != std::string::npos)
    return fmt::format("cannot start: a port that it publishes is taken ({})", message);
  return "cannot start: " + message;
}

class Run {
 public:
  Run(engine::Engine& engine, const ComposeCli& compose, const Plan& plan, const UpOptions& options, Progress& progress, const Deadline& deadline)
      : engine_(engine), compose_(compose), plan_(plan), options_(options), progress_(progress), deadline_(deadline), gate_(jobs(plan), gate_options(options)),
        inside_(inside_stop_.get_token()), starters_(options.fan_out == 0 ? 2 : options.fan_out), lookers_(2) {
    for (const auto& step : plan.steps) steps_.emplace(step.service, &step);
  }
  ~Run() { inside_stop_.request_stop(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Result<UpOutcome> go(const std::vector<Container>& present) {
    begin_ = Clock::now();
    know_present(present);
    gate_.tick(Clock::now());
    if (!plan_.changes() && gate_.finished()) {  // nothing to do and nothing to wait for: nothing is watched or asked again
      report();
      outcome_.containers = present;
      return finish();
    }
    watch();
    const bool fresh = plan_.count(Change::recreate) == 0;
    const auto to_make = plan_.count(Change::create) + plan_.count(Change::recreate);
    const bool creates = to_make > 0 || !plan_.surplus.empty();
    if (creates) {
      progress_.stage(to_make > 0 ? fmt::format("creating {}", to_make) : fmt::format("removing {}", plan_.surplus.size()));
      create();
    }
    gate_open_ = !creates || fresh;  // a container that will be replaced must not be started: then all is created first
    creating_ = creates;
    auto poll_at = Clock::now() + 5s;
    while (true) {
      act();
      report();
      if (deadline_.stopped() && !outcome_.interrupted) {
        outcome_.interrupted = true;
        gate_.give_up("interrupted");
      }
      if (lost_since_ && Clock::now() - *lost_since_ > options_.away) gate_.give_up(fmt::format("{} has not answered for {} s", engine_.description(), std::chrono::duration<double>(options_.away).count()));
      if (outcome_.interrupted && !creating_ && starts_under_way_ == 0) break;
      if (!creating_ && gate_.finished() && starts_under_way_ == 0) break;
      const auto now = Clock::now();
      auto until = std::min({gate_.next_tick(now), now + 200ms, poll_at});
      for (auto& message : mail_.take(until)) handle(message);
      gate_.tick(Clock::now());
      if (Clock::now() >= poll_at) {
        poll();
        poll_at = Clock::now() + 5s;
      }
      progress_.tick();
    }
    report();
    return finish();
  }

 private:
  static std::vector<Job> jobs(const Plan& plan) {
    std::vector<Job> out;
    for (const auto& step : plan.steps) out.push_back(step.job);
    return out;
  }
  static Gate::Options gate_options(const UpOptions& options) {
    return {.settle = options.settle, .deadline = options.deadline, .deadline_text = options.deadline_text};
  }
  Deadline call(Clock::duration span) const { return Deadline::in(span, inside_); }

  /// Events of this project's containers, as hints: each makes us look. After a gap everything is looked at.
  void watch() {
    engine::EventQuery query;
    query.types = {"container"};
    query.labels = compose::of_project(plan_.project);
    feed_ = std::make_unique<engine::EventFeed>(engine_, std::move(query));
    watcher_ = std::jthread([this](const std::stop_token&) {
      while (!inside_.stop_requested()) {
        auto notice = feed_->next(Deadline(Clock::time_point::max(), inside_));
        if (!notice) continue;
        if (notice->kind == engine::Notice::Kind::event) {
          const auto& event = notice->event;
          if (event.action.starts_with("exec_") || compose::one_off(event.attributes)) continue;
          mail_.put({.kind = Message::Kind::event, .service = compose::service_of(event.attributes), .id = event.id, .text = event.action, .exit_code = exit_code(event)});
        } else {
          mail_.put({.kind = notice->kind == engine::Notice::Kind::lost ? Message::Kind::lost : Message::Kind::reconcile, .text = notice->why});
        }
      }
    });
  }

  /// The containers that exist before anything is touched.
  void know_present(const std::vector<Container>& containers) {
    for (const auto& one : plan_.surplus) replaced_.insert(one.id);
    for (const auto& container : containers) {
      if (container.one_off) continue;
      const auto found = steps_.find(container.service);
      if (found == steps_.end()) continue;
      const auto& step = *found->second;
      before_[container.id] = container.started;
      if (replaced_.contains(container.id)) continue;
      if (step.change == Change::recreate) {
        replaced_.insert(container.id);
        continue;
      }
      know(container);
      if (!step.job.start) gate_.seen(container.service, container.id, container.state, Clock::now());
    }
  }

  void know(const Container& container) {
    ids_[container.service].insert(container.id);
    if (known_.emplace(container.id, container.service).second) {
      gate_.learn(container.service, container.has_check,
                  container.has_check ? budget_of(container.start_period, container.interval, container.timeout, container.retries) : milliseconds(0),
                  recheck_of(container.interval, container.timeout), Clock::now());
      checks_[container.service] = container;
    }
  }

  void create() {
    creator_ = std::jthread([this](const std::stop_token&) {
      const auto progress = [this](std::string_view piece) -> Result<void> {
        const std::lock_guard lock(lines_mutex_);
        lines_.append(piece);
        return {};
      };
      auto created = create_containers(engine_, compose_, plan_, options_, progress, Deadline(options_.deadline, deadline_.stop()), inside_);
      mail_.put({.kind = Message::Kind::created, .text = std::move(created.trouble), .flag = created.fine, .containers = std::move(created.containers), .asked = created.asked});
    });
  }

  /// A container of which an event spoke is looked at by a worker.
  void look_at(const std::string& id, std::int64_t weight = 0) {
    if (!pending_.insert(id).second) {
      again_.insert(id);
      return;
    }
    lookers_.run(weight, [this, id] {
      Message message{.kind = Message::Kind::seen, .id = id, .asked = Clock::now()};
      const auto container = engine_.container(id, call(30s));
      if (container) {
        const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
        message.containers.push_back(read(*container, now));
      } else {
        message.flag = container.error().code == Errc::not_found;
        message.text = container.error().message;
      }
      mail_.put(std::move(message));
    });
  }

  void poll() {
    if (std::exchange(polling_, true)) {
      poll_again_ = true;
      return;
    }
    // On a worker of its own: an engine answers for a container that it is starting only once that is over, and the news of others must not wait for it.
    poller_.run(0, [this] {
      const auto asked = Clock::now();
      auto containers = look(engine_, plan_.project, call(30s));
      Message message{.kind = Message::Kind::polled, .flag = containers.has_value(), .asked = asked};
      if (containers) message.containers = *std::move(containers);
      mail_.put(std::move(message));
    });
  }

  /// What the engine said of a container. Answers overtake each other: one that was asked for before the last one counts no more.
  void feed(const Container& container, Clock::time_point asked) {
    if (const auto latest = asked_.find(container.id); latest != asked_.end() && asked < latest->second) return;
    const auto step = steps_.find(container.service);
    if (step == steps_.end() || container.one_off || replaced_.contains(container.id)) return;
    // A container that Compose is about to put in the place of an old one has a temporary name; its rename is an event, too.
    const bool fresh = !known_.contains(container.id);
    if (fresh && !gate_open_) return;  // and what was not taken in does not overrule what was asked before it
    asked_[container.id] = asked;
    know(container);
    if (fresh && !first_made_) first_made_ = Clock::now();
    if (container.state.status == Snapshot::Status::created && container.state.error.empty()) return;
    const auto before = before_.find(container.id);
    const bool as_before = before != before_.end() && before->second == container.started;
    const bool runs = container.state.status == Snapshot::Status::running;
    if (as_before && step->second->change == Change::restart) return;
    // How it had ended before the start that we asked for says nothing; a replica that went on running beside it counts.
    if (as_before && step->second->job.start && !runs) return;
    if (container.state.status == Snapshot::Status::created) return;  // the answer to the start says why
    const bool over = container.state.status == Snapshot::Status::exited || container.state.status == Snapshot::Status::dead;
    if (over && !(step->second->job.one_shot && container.state.exit_code == 0) && container.state.error.empty()) {
      ask_why(container, asked, as_before);
      return;
    }
    auto state = container.state;
    // One that was frozen is unhealthy until its check has run once more: it could not while nothing in it ran.
    if (as_before && runs && step->second->job.start && state.health == Snapshot::Health::unhealthy && Clock::now() - begin_ < recheck_of(container.interval, container.timeout))
      state.health = Snapshot::Health::starting;
    if (const auto last = last_exit_.find(container.id); runs && last != last_exit_.end()) state.last_exit = last->second;
    gate_.seen(container.service, container.id, state, Clock::now(), as_before);
  }

  /// A container that ended with its engine ended for no reason of its own: the engine is asked whether it still takes connections.
  void ask_why(const Container& container, Clock::time_point asked, bool as_before) {
    if (!ending_.insert(container.id).second) return;
    lookers_.run(0, [this, container, asked, as_before, was_away = was_lost_] {
      const bool lives = !was_away && engine_.ping(call(5s)).has_value();
      const auto* trouble = lives ? "" : "the engine went away";
      mail_.put({.kind = Message::Kind::ended, .text = trouble, .flag = as_before, .containers = {container}, .asked = asked});
    });
  }

  void handle(Message& message) {
    const auto now = Clock::now();
    switch (message.kind) {
      case Message::Kind::event:
        if (message.service.empty() || !steps_.contains(message.service) || replaced_.contains(message.id)) return;
        if (message.text == "destroy") {
          if (known_.contains(message.id)) gate_.seen(message.service, message.id, {.status = Snapshot::Status::gone}, now);
          return;
        }
        if (message.exit_code) last_exit_[message.id] = *message.exit_code;
        // Dependents wait for what these say; the many events of creation and start can wait.
        look_at(message.id, message.text.starts_with("health_status") || message.text == "die" ? 1 : 0);
        return;
      case Message::Kind::seen:
        pending_.erase(message.id);
        if (again_.erase(message.id) > 0) look_at(message.id);
        for (const auto& container : message.containers) feed(container, message.asked);
        if (message.flag)
          if (const auto known = known_.find(message.id); known != known_.end()) gate_.seen(known->second, message.id, {.status = Snapshot::Status::gone}, now);
        return;
      case Message::Kind::refused:
        --starts_under_way_;
        if (!message.text.empty()) gate_.refused(message.service, message.text, now);
        return;
      case Message::Kind::checked: gate_.checked(message.service, message.flag, now); return;
      case Message::Kind::created:
        creating_ = false;
        outcome_.create_seconds = std::chrono::duration<double>(now - begin_).count();
        gate_open_ = true;
        after_creation(message);
        return;
      case Message::Kind::polled:
        polling_ = false;
        if (std::exchange(poll_again_, false)) poll();
        for (const auto& container : message.containers) feed(container, message.asked);
        // What had ended while the engine was away is known by now; what ends later has a reason of its own.
        if (message.flag && back_since_ && message.asked >= *back_since_) was_lost_ = false;
        return;
      case Message::Kind::ended: {
        auto& container = message.containers.front();
        ending_.erase(container.id);
        if (asked_[container.id] > message.asked) return;
        if (was_lost_ || !message.text.empty())
          container.state.error = fmt::format("the engine at {} was stopped or restarted, and it ended with it", engine_.description());
        gate_.seen(container.service, container.id, container.state, now, message.flag);
        return;
      }
      case Message::Kind::reconcile:
        lost_since_.reset();
        back_since_ = now;
        poll();
        return;
      case Message::Kind::lost:
        was_lost_ = true;
        back_since_.reset();
        if (!lost_since_) lost_since_ = now;
        progress_.line(fmt::format("the engine's events are lost ({}); it is asked again", message.text));
        return;
    }
  }

  void after_creation(const Message& message) {
    if (!message.flag) outcome_.creation_error = message.text;
    for (const auto& container : message.containers) feed(container, message.asked);
    if (message.flag && !deadline_.stopped()) progress_.stage("starting");
    for (const auto& step : plan_.steps) {
      if (step.change != Change::create && step.change != Change::recreate) continue;
      const auto have = ids_[step.service].size();
      if (have >= step.containers) continue;
      gate_.refused(step.service, fmt::format("not created: {}", message.flag ? "Compose made no container for it" : message.text), Clock::now());
    }
  }

  /// Does what the gate asks.
  void act() {
    if (!gate_open_) return;
    for (const auto& action : gate_.take_actions()) {
      switch (action.kind) {
        case Action::Kind::start:
          wanted_.insert(action.service);
          break;
        case Action::Kind::probe: probe(action.service); break;
        case Action::Kind::end_probe: probes_.end(action.service); break;
      }
    }
    start_wanted();
  }

  /// Starts the services that the gate let go and that have all their containers. While Compose still creates, the ones with the longest chain
  /// behind them go first, however late they are made: a slot of the engine that another one took costs its whole start.
  void start_wanted() {
    if (wanted_.empty()) return;
    std::chrono::milliseconds longest_to_come{-1};
    if (creating_ && first_made_ && Clock::now() - *first_made_ < options_.patience)
      for (const auto& service : wanted_)
        if (const auto& step = *steps_.at(service); ids_[service].size() < step.containers) longest_to_come = std::max(longest_to_come, step.job.chain);
    const auto wanted = wanted_;
    for (const auto& service : wanted)
      if (const auto& step = *steps_.at(service); ids_[service].size() >= step.containers && step.job.chain >= longest_to_come) start(service);
  }

  void start(const std::string& service) {
    const auto& step = *steps_.at(service);
    const auto& ids = ids_[service];
    wanted_.erase(service);
    if (deadline_.stopped()) return;
    ++starts_under_way_;
    starters_.run(step.job.chain.count(), [this, service, &step, targets = std::vector<std::string>(ids.begin(), ids.end())] {
      std::string trouble;
      if (!step.by_compose.empty()) {
        const auto limit = Deadline::in(10min, deadline_.stop());
        if (const auto up = step.change == Change::restart ? compose_.restart_one(service, limit) : compose_.up_one(service, limit); !up) trouble = start_trouble(up.error().message);
      } else {
        for (const auto& id : targets) {
          const auto started = step.change == Change::restart ? engine_.restart(id, -1, call(10min)) : unfreeze_or_start(id);
          if (!started) {
            trouble = start_trouble(started.error().message);
            break;
          }
        }
      }
      if (trouble.empty())
        for (const auto& id : targets) mail_.put({.kind = Message::Kind::event, .service = service, .id = id, .text = "started by us"});
      mail_.put({.kind = Message::Kind::refused, .service = service, .text = trouble});
    });
  }

  Result<void> unfreeze_or_start(const std::string& id) {
    auto started = engine_.start(id, call(10min));
    if (!started && started.error().message.find("paused") != std::string::npos) return engine_.unpause(id, call(60s));
    return started;
  }

  /// Asks a service's own check until the gate has heard enough.
  void probe(const std::string& service) {
    probes_.begin(service, checks_[service], [this, service](bool passed) { mail_.put({.kind = Message::Kind::checked, .service = service, .flag = passed}); });
  }

  void report() {
    std::string lines;
    {
      const std::lock_guard lock(lines_mutex_);
      if (const auto end = lines_.rfind('\n'); end != std::string::npos) {
        lines = lines_.substr(0, end + 1);
        lines_.erase(0, end + 1);
      }
    }
    progress_.lines(lines);
    for (const auto& step : plan_.steps) {
      const auto& view = gate_.view(step.service);
      auto& last = told_[step.service];
      if (last.first == view.phase && last.second == view.why) continue;
      const bool quiet = !step.job.start && view.phase == Phase::ready;
      last = {view.phase, view.why};
      if (view.phase == Phase::failed) failures_.push_back(step.service);
      if (!quiet) progress_.changed(step.service, view);
    }
  }

  Result<UpOutcome> finish() {
    outcome_.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    conclude(outcome_, plan_, gate_, failures_, begin_, engine_);
    progress_.end();
    return std::move(outcome_);
  }

  engine::Engine& engine_;
  const ComposeCli& compose_;
  const Plan& plan_;
  const UpOptions& options_;
  Progress& progress_;
  const Deadline& deadline_;
  Gate gate_;
  UpOutcome outcome_;
  Clock::time_point begin_{};
  std::map<std::string, const Step*, std::less<>> steps_;
  std::map<std::string, std::set<std::string>, std::less<>> ids_;        // service -> containers to start and watch
  std::map<std::string, std::string, std::less<>> known_;                // container -> service
  std::map<std::string, std::int64_t, std::less<>> before_;              // container -> when it had started before this run
  std::map<std::string, int, std::less<>> last_exit_;                    // container -> how its last run ended
  std::set<std::string, std::less<>> replaced_, pending_, again_, wanted_, ending_;
  std::optional<Clock::time_point> first_made_;                          // when the first new container was seen
  std::optional<Clock::time_point> lost_since_;                          // without events of the engine
  std::optional<Clock::time_point> back_since_;                          // events come again
  bool was_lost_ = false;                                                // and not everything was looked at since
  std::map<std::string, Container, std::less<>> checks_;                 // service -> a container of it, for its healthcheck
  std::map<std::string, std::pair<Phase, std::string>, std::less<>> told_;
  std::vector<std::string> failures_;                                    // in the order in which they happened
  std::map<std::string, Clock::time_point, std::less<>> asked_;          // container -> when we asked for what is known of it
  bool gate_open_ = false, creating_ = false, polling_ = false, poll_again_ = false;
  std::size_t starts_under_way_ = 0;
  std::mutex lines_mutex_;
  std::string lines_;                                                    // what Compose printed
  Mailbox<Message> mail_;
  std::stop_source inside_stop_;
  std::stop_token inside_;
  // Threads last: they end before what they use.
  Workers starters_, lookers_, poller_{1};
  Probes probes_{engine_, inside_};
  std::unique_ptr<engine::EventFeed> feed_;
  std::jthread watcher_, creator_;
};

}  // namespace

Result<UpOutcome> bring_up(engine::Engine& engine, const ComposeCli& compose, const Plan& plan, const std::vector<Container>& present, const UpOptions& options,
                           Progress& progress, const Deadline& deadline) {
  return Run(engine, compose, plan, options, progress, deadline).go(present);
}

}  // namespace dm::deploy
