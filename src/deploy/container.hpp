/// What is known of a project's containers on the engine: plain values, so that planning needs no engine.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "deploy/gate.hpp"

namespace dm::deploy {

struct Container {
  std::string id{}, name{};
  std::string service{};
  std::int64_t number = 1;
  bool one_off = false;            ///< made by `docker compose run`
  std::string image_id{};          ///< "sha256:..."
  std::string image{};             ///< as configured
  std::string config_hash{};       ///< as Compose labelled it
  std::string secret_marks{};      ///< label datamancy.secrets: which secrets it was made with
  std::string config_files{}, env_files{}, working_dir{}, compose_version{};
  std::string restart_policy{};    ///< "no", "always", "unless-stopped", "on-failure"
  Snapshot state{};
  std::int64_t started = 0;        ///< Unix nanoseconds: tells one run from the next
  std::int64_t created = 0;        ///< Unix seconds
  bool has_check = false;
  std::vector<std::string> check{};///< CMD or CMD-SHELL first
  milliseconds interval{0}, timeout{0}, start_period{0}, start_interval{0};
  std::int64_t retries = 0;
  std::vector<std::string> ports{};///< "127.0.0.1:8080->80/tcp"
};

/// Start period plus the time in which so many failures in a row are counted: after it the engine has a verdict.
inline milliseconds budget_of(milliseconds start_period, milliseconds interval, milliseconds timeout, std::int64_t retries) {
  if (interval <= milliseconds(0)) interval = milliseconds(30000);
  if (timeout <= milliseconds(0)) timeout = milliseconds(30000);
  if (retries <= 0) retries = 3;
  return start_period + (interval + timeout) * retries + interval + milliseconds(5000);
}

/// After so long a healthcheck has run once more.
inline milliseconds recheck_of(milliseconds interval, milliseconds timeout) {
  if (interval <= milliseconds(0)) interval = milliseconds(30000);
  if (timeout <= milliseconds(0)) timeout = milliseconds(30000);
  return interval + timeout + milliseconds(2000);
}

}  // namespace dm::deploy
