/// Any bytes as a text with variables: no crash, segments in order that cover the result, and places inside the file.
#include <cstdint>
#include <cstdlib>

#include "compose/stages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dm::compose;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const dm::sources::MemoryFiles files;
  Project project(files);
  const Options options;
  std::vector<Diagnostic> diagnostics;
  Context context{options, project, diagnostics};
  const auto file = project.texts.add("compose.yaml", std::string(text));
  const VariableDefinition known{"value$A", {}};
  const Lookup lookup = [&](std::string_view name) { return name.starts_with('A') ? &known : nullptr; };
  std::string out;
  std::vector<Segment> segments;
  if (!interpolate_text(text, {file, {0, static_cast<std::uint32_t>(size)}}, lookup, context, out, &segments)) return 0;
  std::uint32_t at = 0;
  for (const auto& segment : segments) {
    if (segment.begin != at || segment.end < segment.begin || segment.where.span.end > size) std::abort();
    at = segment.end;
  }
  if (at != out.size()) std::abort();
  return 0;
}
