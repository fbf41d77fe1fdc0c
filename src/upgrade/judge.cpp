#include "upgrade/judge.hpp"

#include <fmt/format.h>

namespace dm::upgrade {

std::string_view to_string(Data data) {
  switch (data) {
    case Data::stays: return "stays";
    case Data::migrates: return "migrates";
    case Data::dump: return "dump and restore";
  }
  return "";
}

Judgement judge(const product::Product* product, std::string_view from, std::string_view to, bool has_data) {
  Judgement out;
  const auto then = parse_tag(from), now = parse_tag(to);
  if (!then || !now) {
    out.step = from == to ? Step::same : Step::major;
    out.traps.push_back(fmt::format("'{}' says no version: how far the step is cannot be told", !then ? from : to));
  } else {
    out.step = step_of(*then, *now);
  }
  if (out.step == Step::same && from == to) return out;
  if (product != nullptr)
    for (const auto& fact : product->upgrades) {
      const bool applies = fact.step == "any" || (fact.step == "major" && out.step == Step::major) || (fact.step == "minor" && (out.step == Step::minor || out.step == Step::major)) ||
                           (fact.step == "older" && out.step == Step::older);
      if (!applies) continue;
      out.known = true;
      if (fact.data == "dump") out.data = Data::dump;
      if (fact.data == "migrates" && out.data == Data::stays) out.data = Data::migrates;
      out.traps.push_back(fact.why);
      if (fact.one_at_a_time && then && now && now->numbers[0] > then->numbers[0] + 1)
        out.refusal = fmt::format("one major version at a time: from {} to {} first", then->numbers[0], then->numbers[0] + 1);
    }
  if (out.step == Step::older && has_data && out.data == Data::stays) {
    out.data = Data::migrates;
    out.traps.emplace_back("an older version may not read what the present one has written");
  }
  if (!out.known && has_data && out.step == Step::major && out.data == Data::stays) {
    out.data = Data::migrates;
    out.traps.emplace_back("nothing is known about this step: its data is taken to change with it");
  }
  return out;
}

}  // namespace dm::upgrade
