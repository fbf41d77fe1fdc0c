/// Any bytes as a compose file: load and render must neither crash nor hang, and every place must lie inside its file.
#include <cstdint>
#include <cstdlib>

#include "compose/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dm::sources::MemoryFiles files;
  files.add("/p/compose.yaml", std::string(reinterpret_cast<const char*>(data), size));
  for (const bool lenient : {false, true}) {
    dm::compose::Options options;
    options.working_directory = "/p";
    options.lenient = lenient;
    options.environment.emplace("A", "a");
    const auto loaded = dm::compose::load(options, files);
    for (const auto& diagnostic : loaded.diagnostics) {
      if (!diagnostic.where) continue;
      const auto& text = loaded.project->texts.at(diagnostic.where.file).content;
      if (diagnostic.where.span.begin > diagnostic.where.span.end || diagnostic.where.span.end > text.size()) std::abort();
      (void)loaded.project->texts.describe(diagnostic.where, "/p");
    }
    if (loaded.ok) (void)dm::compose::to_json(*loaded.project);
  }
  return 0;
}
