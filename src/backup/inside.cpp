#include "backup/inside.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dm::backup {

std::string last_words(std::string_view err) {
  while (!err.empty() && (err.back() == '\n' || err.back() == ' ' || err.back() == '\r')) err.remove_suffix(1);
  std::string out(err.size() > 500 ? err.substr(err.size() - 500) : err);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return out;
}

Result<engine::ExecResult> run_inside(engine::Engine& engine, const std::string& container, Inside what, const Deadline& deadline) {
  engine::Exec exec;
  if (!what.script.empty()) exec.argv = {"sh", "-c", std::string(what.script), "sh"};
  exec.argv.insert(exec.argv.end(), what.words.begin(), what.words.end());
  exec.env = std::move(what.env);
  exec.user = std::move(what.user);
  exec.in = std::move(what.in);
  exec.out = std::move(what.out);
  exec.over = std::move(what.over);
  exec.guard = true;
  const std::string name = what.name.empty() ? what.words.empty() ? "sh" : what.words.front() : std::string(what.name);
  DM_TRY(engine::ExecResult result, during(fmt::format("running '{}' in the container", name), engine.exec(container, exec, deadline)));
  if (!result.fine()) {
    const auto words = last_words(result.err);
    return fail(Errc::failed, fmt::format("'{}' in the container ended with {}{}{}", name, result.exit_code, words.empty() ? "" : ": ", words));
  }
  if (!result.certain) return fail(Errc::corrupt, fmt::format("the output of '{}' in the container may have lost its end", name));
  return result;
}

}  // namespace dm::backup
