/// Any bytes as `.datamancy.yml` and as a baseline: an error or entries that all have a rule.
#include <cstdint>
#include <cstdlib>

#include "audit/suppress.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto exceptions = dm::audit::parse_exceptions(text, ".datamancy.yml"))
    for (const auto& exception : *exceptions)
      if (exception.rule.empty() || exception.reason.empty()) std::abort();
  (void)dm::audit::parse_baseline(text, "baseline.json");
  return 0;
}
