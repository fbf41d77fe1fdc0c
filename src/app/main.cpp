#include <cstdio>
#include <exception>

#include "cli/verbs.hpp"

int main(int argc, char** argv) {
  try {
    return dm::cli::run(argc, argv);
  } catch (const std::exception& bug) {
    std::fprintf(stderr, "datamancy: internal error: %s\nplease report it with the command that you gave\n", bug.what());
    return dm::cli::kBug;
  }
}
