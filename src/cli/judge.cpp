#include "cli/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace dm::cli {

audit::Input Judged::input() const { return {*loaded.project, wiring, loaded.diagnostics, sources::disk(), *loaded.project}; }

int unknown(std::string_view verb, std::string_view word) {
  fmt::print(stderr, "datamancy: {} does not know '{}'; see 'datamancy {} --help'\n", verb, word, verb);
  return kUsage;
}

bool take_path(Args& args, std::string_view verb) {
  if (args.words.size() > 1 || (!args.words.empty() && args.words[0].starts_with('-'))) {
    unknown(verb, args.words.back());
    return false;
  }
  if (args.words.empty()) return true;
  const auto path = sources::clean_path(args.words[0], args.project.working_directory);
  if (sources::disk().stat(path).kind == sources::Kind::directory) {
    args.project.working_directory = path;
  } else {
    args.project.files.push_back(path);
  }
  return true;
}

bool judge(Args& args, Judged& out) {
  args.project.lenient = true;
  read_stdin(args.project);
  out.loaded = compose::load(args.project, sources::disk());
  if (!out.loaded.usable) {
    print_diagnostics(*out.loaded.project, out.loaded.diagnostics);
    return false;
  }
  out.wiring = wiring::wire(*out.loaded.project, out.products);
  out.findings = audit::audit(out.input());
  std::vector<compose::Diagnostic> nowhere;  // what has a place is a finding
  std::ranges::copy_if(out.loaded.diagnostics, std::back_inserter(nowhere), [](const auto& diagnostic) { return !diagnostic.where; });
  print_diagnostics(*out.loaded.project, nowhere);
  return true;
}

}  // namespace dm::cli
