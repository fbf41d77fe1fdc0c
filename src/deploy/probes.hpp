/// Early readiness: services' own healthchecks, asked by us while they start.
#pragma once

#include <functional>
#include <map>
#include <semaphore>
#include <string>
#include <thread>

#include "deploy/container.hpp"
#include "engine/engine.hpp"

namespace dm::deploy {

/// The argv that the engine would run for a healthcheck; empty for NONE.
inline std::vector<std::string> argv_of_check(const std::vector<std::string>& test) {
  if (test.size() < 2) return {};
  if (test[0] == "CMD") return {test.begin() + 1, test.end()};
  if (test[0] == "CMD-SHELL") return {"/bin/sh", "-c", test[1]};
  return {};
}

class Probes {
 public:
  /// Both outlive the probes; `stop` ends all of them.
  Probes(engine::Engine& engine, const std::stop_token& stop) : engine_(engine), stop_(stop) {}

  /// Asks the check of `container` at once, then with a short back-off, and a second after each pass, until `end`. `told` is called on a thread of its own.
  void begin(const std::string& service, const Container& container, std::function<void(bool passed)> told) {
    using namespace std::chrono_literals;
    auto argv = argv_of_check(container.check);
    if (argv.empty()) return;
    const auto timeout = container.timeout > 0ms ? container.timeout : 30s;
    threads_[service] = std::jthread([this, id = container.id, argv = std::move(argv), timeout, told = std::move(told)](const std::stop_token& own) {
      auto pause = 100ms;
      while (!own.stop_requested() && !stop_.stop_requested()) {
        const bool passed = ask(id, argv, timeout);
        if (own.stop_requested()) return;
        told(passed);
        const auto wait = passed ? 1000ms : pause;
        if (!passed) pause = std::min(pause * 2, std::chrono::milliseconds(1000));
        for (auto waited = 0ms; waited < wait && !own.stop_requested(); waited += 20ms) std::this_thread::sleep_for(20ms);
      }
    });
  }
  void end(const std::string& service) {
    if (const auto found = threads_.find(service); found != threads_.end()) found->second.request_stop();
  }

 private:
  bool ask(const std::string& id, const std::vector<std::string>& argv, milliseconds timeout) {
    at_once_.acquire();
    engine::Exec exec;
    exec.argv = argv;
    exec.keep = 1U << 20U;
    const auto result = engine_.exec(id, exec, Deadline::in(timeout, stop_));
    at_once_.release();
    return result && result->exit_code == 0;
  }

  engine::Engine& engine_;
  const std::stop_token& stop_;
  std::counting_semaphore<8> at_once_{4};
  std::map<std::string, std::jthread, std::less<>> threads_;  // last: they end before what they use
};

}  // namespace dm::deploy
