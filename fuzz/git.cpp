/// Any bytes as a git index and as a .gitignore: no crash, no path out of nothing.
#include <cstdint>
#include <cstdlib>

#include "sources/git.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto paths = dm::sources::git_index_paths(text))
    for (const auto& path : *paths)
      if (path.size() > size) std::abort();

  // The first line is the path to ask about, the rest the ignore file.
  const auto line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  dm::sources::MemoryFiles files;
  files.add("/p/.git/HEAD", "ref: refs/heads/main\n");
  files.add("/p/.gitignore", std::string(text.substr(line + 1)));
  (void)dm::sources::git_ignores(files, "/p", "/p/" + std::string(text.substr(0, line)));
  return 0;
}
