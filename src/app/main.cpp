#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "cli/verbs.hpp"

namespace {

/// Output that did not arrive (a full disk, a closed descriptor) is no success: not even an empty report counts as one.
int after_output(int exit) {
  errno = 0;
  const bool lost = std::fflush(stdout) != 0;
  if (!lost && std::ferror(stdout) == 0) return exit;
  if (exit != dm::cli::kClean && exit != dm::cli::kFindings) return exit;
  std::fprintf(stderr, "datamancy: cannot write to standard output%s%s\n", lost ? ": " : "", lost ? std::strerror(errno) : "");
  return dm::cli::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return after_output(dm::cli::run(argc, argv));
  } catch (const std::exception& bug) {
    if (std::ferror(stdout) != 0) return after_output(dm::cli::kClean);
    std::fprintf(stderr, "datamancy: internal error: %s\nplease report it with the command that you gave\n", bug.what());
    return dm::cli::kBug;
  }
}
