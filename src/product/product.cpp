#include "product/product.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <map>
#include <memory>

#include "formats/yaml.hpp"
#include "product/embedded.hpp"

namespace dm::product {
namespace {

using formats::YamlNode;

std::string text_of(const YamlNode& node, std::string_view key) {
  const auto* value = node.find(key);
  return value != nullptr ? value->text : std::string();
}

std::vector<std::string> list_of(const YamlNode& node) {
  std::vector<std::string> out;
  for (const auto& item : node.items) out.push_back(item.text);
  return out;
}

template <class T>
std::optional<T> number_of(const YamlNode& node) {
  T value{};
  const auto& text = node.text;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

/// One row per key of a product file: how it is read.
struct Field {
  std::string_view key;
  bool (*read)(const YamlNode& node, Product& product);  // false = wrong kind
};

bool is_list(const YamlNode& node) { return node.kind == YamlNode::Kind::sequence; }

/// A mapping without other keys than these: a mistyped key would lose its fact silently.
bool has_only(const YamlNode& node, std::initializer_list<std::string_view> keys) {
  if (node.kind != YamlNode::Kind::mapping) return false;
  for (const auto& [key, value] : node.entries)
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) return false;
  return true;
}

template <auto member>
bool string_field(const YamlNode& node, Product& product) {
  product.*member = node.text;
  return node.kind == YamlNode::Kind::scalar;
}
template <auto member>
bool list_field(const YamlNode& node, Product& product) {
  for (const auto& item : node.items)
    if (item.kind != YamlNode::Kind::scalar) return false;
  product.*member = list_of(node);
  return is_list(node);
}
template <auto member>
bool flag_field(const YamlNode& node, Product& product) {
  product.*member = node.text == "true";
  return node.text == "true" || node.text == "false";
}

bool read_ports(const YamlNode& node, Product& product) {
  for (const auto& item : node.items) {
    if (!has_only(item, {"port", "protocol", "purpose", "changed_by"})) return false;
    PortFact fact;
    const auto* port = item.find("port");
    const auto number = port != nullptr ? number_of<std::uint16_t>(*port) : std::nullopt;
    if (!number) return false;
    fact.port = *number;
    if (auto protocol = text_of(item, "protocol"); !protocol.empty()) fact.protocol = std::move(protocol);
    fact.purpose = text_of(item, "purpose");
    fact.changed_by = text_of(item, "changed_by");
    product.ports.push_back(std::move(fact));
  }
  return is_list(node);
}

bool read_data(const YamlNode& node, Product& product) {
  for (const auto& item : node.items) {
    if (!has_only(item, {"path", "holds", "essential"}) || text_of(item, "path").empty()) return false;
    product.data.push_back({text_of(item, "path"), text_of(item, "holds"), text_of(item, "essential") != "false"});
  }
  return is_list(node);
}

bool read_health(const YamlNode& node, Product& product) {
  for (const auto& item : node.items) {
    if (!has_only(item, {"test", "read_only", "truthful", "start_period"})) return false;
    const auto* test = item.find("test");
    if (test == nullptr || !is_list(*test)) return false;
    product.health.push_back({list_of(*test), text_of(item, "read_only") != "false", text_of(item, "truthful") != "false", text_of(item, "start_period")});
  }
  return is_list(node);
}

/// `NAME` stands for NAME and NAME_FILE; images with another form say {variable: NAME, file_variable: NAME__FILE}.
bool read_file_variables(const YamlNode& node, Product& product) {
  for (const auto& item : node.items) {
    if (item.kind == YamlNode::Kind::scalar) {
      product.file_variables.push_back({item.text, item.text + "_FILE"});
      continue;
    }
    if (!has_only(item, {"variable", "file_variable"})) return false;
    product.file_variables.push_back({text_of(item, "variable"), text_of(item, "file_variable")});
    if (product.file_variables.back().variable.empty() || product.file_variables.back().file_variable.empty()) return false;
  }
  return is_list(node);
}

bool read_kernel(const YamlNode& node, Product& product) {
  for (const auto& item : node.items) {
    if (!has_only(item, {"setting", "at_least", "why"})) return false;
    const auto* least = item.find("at_least");
    const auto number = least != nullptr ? number_of<std::uint64_t>(*least) : std::nullopt;
    if (!number || text_of(item, "setting").empty()) return false;
    product.kernel.push_back({text_of(item, "setting"), *number, text_of(item, "why")});
  }
  return is_list(node);
}

bool read_upgrades(const YamlNode& node, Product& product) {
  for (const auto& item : node.items) {
    if (!has_only(item, {"step", "data", "one_at_a_time", "why"})) return false;
    UpgradeFact fact{text_of(item, "step"), text_of(item, "data"), text_of(item, "one_at_a_time") == "true", text_of(item, "why")};
    if ((fact.step != "major" && fact.step != "minor" && fact.step != "older" && fact.step != "any") || (!fact.data.empty() && fact.data != "dump" && fact.data != "migrates") || fact.why.empty()) return false;
    product.upgrades.push_back(std::move(fact));
  }
  return is_list(node);
}

bool read_quiesce(const YamlNode& node, Product& product) {
  if (!has_only(node, {"how", "why"})) return false;
  product.quiesce = text_of(node, "how");
  product.quiesce_why = text_of(node, "why");
  return (product.quiesce == "pause" || product.quiesce == "stop" || product.quiesce == "files-first") && !product.quiesce_why.empty();
}

constexpr Field kFields[] = {
    {"name", string_field<&Product::name>},
    {"images", list_field<&Product::images>},
    {"kind", string_field<&Product::kind>},
    {"datastore", string_field<&Product::datastore>},
    {"ports", read_ports},
    {"data", read_data},
    {"tools", list_field<&Product::tools>},
    {"missing_tools", list_field<&Product::missing_tools>},
    {"health", read_health},
    {"image_health", flag_field<&Product::image_health>},
    {"early_health", list_field<&Product::early_health>},
    {"kernel", read_kernel},
    {"vacuous_health", list_field<&Product::vacuous_health>},
    {"file_variables", read_file_variables},
    {"required_variables", list_field<&Product::required_variables>},
    {"secret_variables", list_field<&Product::secret_variables>},
    {"memory_mb", [](const YamlNode& node, Product& product) { return (product.memory_mb = number_of<std::uint32_t>(node)).has_value(); }},
    {"memory_idle_mb", [](const YamlNode& node, Product& product) { return (product.memory_idle_mb = number_of<std::uint32_t>(node)).has_value(); }},
    {"cpus", [](const YamlNode& node, Product& product) { return (product.cpus = number_of<double>(node)).has_value(); }},
    {"stop_grace_period", string_field<&Product::stop_grace_period>},
    {"needs_init", flag_field<&Product::needs_init>},
    {"keeps_root", flag_field<&Product::keeps_root>},
    {"no_sign_in", flag_field<&Product::no_sign_in>},
    {"backup_method", string_field<&Product::backup_method>},
    {"quiesce", read_quiesce},
    {"risk", string_field<&Product::risk>},
    {"versions_together", list_field<&Product::versions_together>},
    {"upgrades", read_upgrades},
    {"notes", list_field<&Product::notes>},
    {"sources", list_field<&Product::sources>},
};

/// The names on a file's `images: [a, b]` line, without parsing the rest.
std::vector<std::string> images_line(std::string_view yaml) {
  std::vector<std::string> out;
  auto at = yaml.starts_with("images: [") ? 0 : yaml.find("\nimages: [");
  if (at == std::string_view::npos) return out;
  const auto open = yaml.find('[', at);
  auto list = yaml.substr(open + 1, yaml.find(']', open) - open - 1);
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    auto name = list.substr(0, comma);
    while (name.starts_with(' ') || name.starts_with('"')) name.remove_prefix(1);
    while (name.ends_with(' ') || name.ends_with('"')) name.remove_suffix(1);
    if (!name.empty()) out.emplace_back(name);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return out;
}

}  // namespace

Result<Product> parse_product(std::string_view id, std::string_view yaml) {
  DM_TRY(const YamlNode root, formats::parse_yaml(yaml));
  Product product;
  product.id = id;
  for (const auto& [key, value] : root.entries) {
    const Field* field = nullptr;
    for (const Field& candidate : kFields)
      if (candidate.key == key) field = &candidate;
    if (field == nullptr) return fail(Errc::invalid_input, fmt::format("{}.yaml:{}: unknown key '{}'", id, value.line, key));
    if (!field->read(value, product)) return fail(Errc::invalid_input, fmt::format("{}.yaml:{}: '{}' has the wrong form", id, value.line, key));
  }
  if (product.images.empty()) return fail(Errc::invalid_input, fmt::format("{}.yaml: names no images", id));
  return product;
}

struct Catalogue::State {
  struct Item {
    std::string own;             // text of a user's file
    std::string_view text;
    std::unique_ptr<Product> parsed;
  };
  std::map<std::string, Item, std::less<>> items;                    // by id
  std::map<std::string, std::string, std::less<>> ids_by_image;      // repository -> id

  const Product* get(const std::string& id) {
    Item& item = items.at(id);
    if (!item.parsed) {
      auto product = parse_product(id, item.text);
      if (!product) return nullptr;  // a test proves that ours parse; a user's file was parsed when added
      item.parsed = std::make_unique<Product>(*std::move(product));
    }
    return item.parsed.get();
  }
  void index(const std::string& id, std::string_view text) {
    for (auto& image : images_line(text)) ids_by_image.insert_or_assign(std::move(image), id);
  }
};

Catalogue::Catalogue() : state_(new State) {
  for (const auto& file : embedded_files()) {
    const std::string id(file.name.substr(0, file.name.rfind('.')));
    state_->items[id].text = file.content;
    state_->index(id, file.content);
  }
}
Catalogue::~Catalogue() { delete state_; }
Catalogue::Catalogue(Catalogue&& other) noexcept : state_(other.state_) { other.state_ = nullptr; }

const Product* Catalogue::by_image(std::string_view image) const {
  const auto name = split_image(image);
  auto repository = name.repository;
  // Official images are copied to mirrors as PROJECT/library/NAME.
  if (const auto at = ("/" + std::string(repository)).rfind("/library/"); at != std::string::npos) repository.remove_prefix(at + 8);
  if (const auto found = state_->ids_by_image.find(repository); found != state_->ids_by_image.end()) return state_->get(found->second);
  return nullptr;
}

const Product* Catalogue::by_id(std::string_view id) const {
  return state_->items.find(id) != state_->items.end() ? state_->get(std::string(id)) : nullptr;
}

std::vector<std::string_view> Catalogue::ids() const {
  std::vector<std::string_view> out;
  for (const auto& [id, item] : state_->items) out.push_back(id);
  return out;
}

Result<void> Catalogue::add(std::string_view id, std::string yaml) {
  DM_TRY(Product product, parse_product(id, yaml));
  auto& item = state_->items[std::string(id)];
  item.own = std::move(yaml);
  item.text = item.own;
  item.parsed = std::make_unique<Product>(std::move(product));
  for (const auto& image : item.parsed->images) state_->ids_by_image.insert_or_assign(image, std::string(id));
  return {};
}

ImageName split_image(std::string_view image) {
  ImageName out;
  if (const auto at = image.find('@'); at != std::string_view::npos) {
    out.digest = image.substr(at + 1);
    image = image.substr(0, at);
  }
  if (const auto slash = image.find('/'); slash != std::string_view::npos) {
    const auto first = image.substr(0, slash);
    if (first.find('.') != std::string_view::npos || first.find(':') != std::string_view::npos || first == "localhost") {
      out.registry = first;
      image.remove_prefix(slash + 1);
    }
  }
  if (const auto colon = image.rfind(':'); colon != std::string_view::npos && image.find('/', colon) == std::string_view::npos) {
    out.tag = image.substr(colon + 1);
    image = image.substr(0, colon);
  }
  out.repository = image;
  return out;
}

}  // namespace dm::product
