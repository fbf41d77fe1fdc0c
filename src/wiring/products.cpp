#include <fmt/format.h>

#include <algorithm>

#include "formats/dockerfile.hpp"
#include "sensitive/sensitive.hpp"
#include "wiring/secret_environment.hpp"
#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

constexpr std::uint64_t kLargest = 1U << 20U;

std::string_view scalar(const compose::Value& node, std::string_view key) {
  const auto* value = node.find(key);
  return value != nullptr ? value->string() : std::string_view();
}

/// The image that the service's build starts from: a database with an extension added is still that database.
std::string built_upon(const Service& service, const Project& project) {
  const auto context = scalar(*service.build, "context");
  std::string text(scalar(*service.build, "dockerfile_inline"));
  if (text.empty()) {
    if (context.empty() || context.find("://") != std::string_view::npos) return {};
    const auto name = scalar(*service.build, "dockerfile");
    const auto path = sources::clean_path(name.empty() ? "Dockerfile" : name, context);
    auto read = project.texts.files().read(path, kLargest);
    if (!read) return {};
    text = *std::move(read);
  }
  std::map<std::string, std::string, std::less<>> arguments;
  if (const auto* args = service.build->find("args"); args != nullptr && args->is_mapping())
    for (const auto& entry : *args->entries)
      if (entry.value->is_string()) arguments.emplace(entry.key, entry.value->text);
  return formats::base_image(formats::parse_dockerfile(text), scalar(*service.build, "target"), arguments);
}

/// `x-datamancy: {product: postgres}` on a service: the id of a product, or an image that stands for it, where the image's own name tells
/// nothing (a mirror, an image of one's own).
const product::Product* named(const Service& service, const product::Catalogue& products) {
  const auto* own = service.node != nullptr ? service.node->at({"x-datamancy", "product"}) : nullptr;
  if (own == nullptr || own->string().empty()) return nullptr;
  const auto* product = products.by_id(own->string());
  return product != nullptr ? product : products.by_image(own->string());
}

}  // namespace

const product::Product* product_of(const Project& project, const Service& service, const product::Catalogue& products) {
  const auto* product = named(service, products);
  if (product == nullptr && service.image) product = products.by_image(service.image.value);
  if (product == nullptr && service.build != nullptr && service.build->is_mapping())
    if (const auto image = built_upon(service, project); !image.empty()) product = products.by_image(image);
  return product;
}

void find_products(Wiring& wiring) {
  for (const Service& service : wiring.project->services) wiring.product_of.push_back(product_of(*wiring.project, service, *wiring.products));
}

std::vector<SecretEnvironment> secrets_in_environment(const Service& service, const product::Product* product) {
  std::vector<SecretEnvironment> out;
  for (const auto& variable : service.environment) {
    if (!sensitive::secret_name(variable.name) || variable.value.value.empty() || variable.value.value.starts_with('/')) continue;
    out.push_back({&variable, product == nullptr ? nullptr : product->file_form(variable.name)});
  }
  return out;
}

}  // namespace dm::wiring
