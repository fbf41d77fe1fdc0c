/// What is known to bite between two versions. Pure.
#pragma once

#include <string>
#include <vector>

#include "product/product.hpp"
#include "upgrade/tags.hpp"

namespace dm::upgrade {

enum class Data : std::uint8_t {
  stays,      ///< the new version reads what the old one wrote, and the other way round: as far as is known
  migrates,   ///< the new version changes the data on its first start: the way back needs the data from before
  dump,       ///< the new version cannot read it: out of the old one by dump, into the new one by restore
};
std::string_view to_string(Data data);

struct Judgement {
  Step step = Step::same;
  Data data = Data::stays;
  bool known = false;                    ///< the product says something about this step
  std::vector<std::string> traps{};      ///< one sentence each
  std::string refusal{};                 ///< why it must not be done; "" = it may
};

/// From tag `from` to tag `to` of `product` (null = not known). A volume whose format nobody knows is taken to migrate at a major step.
Judgement judge(const product::Product* product, std::string_view from, std::string_view to, bool has_data);

}  // namespace dm::upgrade
