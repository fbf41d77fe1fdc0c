/// What go-yaml v3, which SOPS uses, takes a plain scalar for.
#pragma once

#include <string>
#include <string_view>

#include "secrets/sops.hpp"

namespace dm::secrets {

struct YamlTyped {
  bool null = false;
  LeafType type = LeafType::str;
  std::string text;   ///< the byte form that SOPS seals and feeds to the MAC
};
YamlTyped yaml_type(std::string_view scalar);

}  // namespace dm::secrets
