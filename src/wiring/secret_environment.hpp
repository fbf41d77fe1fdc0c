/// Secrets that reach a container by its environment: judged alike by the audit, `secrets doctor` and the delivery.
#pragma once

#include <vector>

#include "wiring/wiring.hpp"

namespace dm::wiring {

/// The product of a service: by `x-datamancy: {product:}`, its image, or the image that its build starts from. Null = not known.
const product::Product* product_of(const Project& project, const Service& service, const product::Catalogue& products);

struct SecretEnvironment {
  const compose::EnvVar* variable = nullptr;
  const product::FileVariable* form = nullptr;  ///< how the image takes it from a file; null where it does not, or nothing is known about it
};
/// The variables of a service that are called like a secret and have a value, without those that name a file. `product` may be null. Points into both.
std::vector<SecretEnvironment> secrets_in_environment(const Service& service, const product::Product* product);

}  // namespace dm::wiring
