/// SOPS files: one data key per file, every value sealed on its own, a MAC over all values in their order. Mutually readable with the
/// `sops` program. Pure: keys come in as bytes, texts go in and out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "secrets/pattern.hpp"
#include "secrets/secret_string.hpp"
#include "text/span.hpp"

namespace dm::secrets {

/// How a file writes its values. `binary` is JSON with one value that is the whole file.
enum class Store { dotenv, json, yaml, ini, binary };
std::string_view to_string(Store store);
/// What Compose can take for an env file once it is opened: lines NAME=value, sealed one by one or as a whole.
constexpr bool holds_variables(Store store) { return store == Store::dotenv || store == Store::binary; }

enum class LeafType { str, integer, floating, boolean, time, bytes, comment };
std::string_view to_string(LeafType type);

/// A value or a comment of a file, in file order. Nulls and empty collections are none.
struct Leaf {
  std::vector<std::string> path;   ///< map keys; positions in lists are no part of it
  LeafType type = LeafType::str;   ///< `comment` for what stands as a comment
  /// What the file has, with its store's escapes undone: "ENC[...]", or the plain value in the byte form that the MAC takes.
  SecretString text;
  text::Span where{};              ///< in the source, with quotes, without '#'; not used by dotenv
  std::size_t line = 0;            ///< 1-based
  bool in_flow = false;            ///< YAML: inside [...] or {...}, where a sealed text needs quotes
  bool in_list = false;            ///< YAML: a comment between the elements of a list
};

/// Which values a file seals. At most one rule; none stored means `unencrypted_suffix: _unencrypted`.
struct Rule {
  enum class Kind { unencrypted_suffix, encrypted_suffix, unencrypted_regex, encrypted_regex } kind = Kind::unencrypted_suffix;
  std::string text = "_unencrypted";
  std::optional<Pattern> pattern{};  ///< of the regex kinds
  bool seals(const std::vector<std::string>& path) const;
};
std::string_view to_string(Rule::Kind kind);
Result<Rule> make_rule(Rule::Kind kind, std::string text);

struct AgeKey {
  std::string recipient;
  std::string sealed;   ///< armored age file of the data key
};

/// The `sops` block. Everything that is not ours stays in `foreign` and is written back.
struct Metadata {
  std::vector<AgeKey> age;
  std::string last_modified;        ///< as the file has it
  std::string mac;                  ///< "ENC[...]"
  std::string version;
  std::optional<Rule> rule;
  bool mac_only_encrypted = false;
  std::vector<std::pair<std::string, std::string>> foreign;  ///< flattened names without "sops_"
  bool foreign_keys() const;        ///< other key types (pgp, kms, ...) can open the file too
};

struct Document {
  Store store = Store::dotenv;
  std::vector<Leaf> leaves;
  Metadata sops;
  bool has_sops = false;
  std::string source;               ///< of a JSON, YAML or INI file: edits are made in it
  bool from_plain = false;          ///< the source is a plain text, to which the `sops` block is added
};

/// A value in the clear.
struct OpenLeaf {
  SecretString plain;
  LeafType type = LeafType::str;
  bool sealed = false;              ///< it is sealed in the file
};
struct Opened {
  Document document;
  SecretString data_key;
  std::vector<OpenLeaf> values;     ///< one per leaf
};

/// By content, never by name: a sealed file of which store, or nothing.
std::optional<Store> sealed_store(std::string_view text);
/// What `sops` takes a file name for.
Store store_by_name(std::string_view name);

/// A sealed file. Errors: exit 12, with the line where there is one, never with a value.
Result<Document> parse_sealed(std::string_view text);
/// A plain text that is to be sealed. Errors: `invalid_input`, also where it holds sealed metadata already, or what SOPS would read otherwise.
Result<Document> parse_plain(std::string_view text, Store store);

/// A plain YAML, JSON or INI document without one of its values. Errors: `unsupported` where it shares its line or is an element of a list.
Result<Document> without_member(const Document& plain, std::size_t leaf);

/// Opens every value with the data key and checks the MAC. Errors: exit 12.
Result<Opened> open_values(Document document, SecretString data_key);

/// Seals `plain` (whose leaves are in the clear). Values that stand in `before` with the same path and text keep their sealed bytes,
/// so that differences stay small. `now` is RFC 3339 in UTC.
Document seal_values(Document plain, const SecretString& data_key, std::string_view now, const Opened* before);
/// The document with its values in the clear, ready for `seal_values` or `plain_text`.
Document plain_document(const Opened& opened);

/// dotenv and binary: the file. Others: the source with its values and its `sops` block replaced by those of the document, or the block added.
Result<std::string> sealed_text(const Document& document);
/// What a person edits and Compose reads. Values of YAML, JSON and INI stand in the source's places.
Result<SecretString> plain_text(const Opened& opened);

/// The parts, for tests and fuzzing.
struct SealedValue {
  std::string data, iv, tag, type;
};
std::optional<SealedValue> parse_sealed_value(std::string_view text);
std::string seal_value(const SecretString& key, std::string_view aad, std::string_view plain, LeafType type, std::string_view iv);
std::string aad_of(const std::vector<std::string>& path);
/// RFC 3339 as SOPS writes it again for the MAC: no fraction, Z for offset 0. Nothing where it is no such time.
std::optional<std::string> normal_time(std::string_view text);

/// Flattened metadata ("age__list_0__map_enc") to and from its type. Errors: exit 12.
Result<Metadata> read_metadata(const std::vector<std::pair<std::string, std::string>>& flat);
std::vector<std::pair<std::string, std::string>> write_metadata(const Metadata& metadata);

/// The version that we write: a released SOPS that reads everything of ours.
inline constexpr std::string_view kSopsVersion = "3.13.3";

/// Line numbers of a plain dotenv text where SOPS and Compose would read different names, with the reason. Empty = it can be sealed.
struct DotenvTrouble {
  std::size_t line = 0;
  std::string what;
};
std::vector<DotenvTrouble> dotenv_troubles(std::string_view text);
/// NAME=value as Compose reads `value` back: plain, single or double quotes as needed.
SecretString dotenv_value(std::string_view value);

namespace stores {  // one file each
Result<Document> read_dotenv(std::string_view text);
std::string write_dotenv(const Document& document);
Result<Document> read_json(std::string_view text);
Result<Document> read_plain_json(std::string_view text);
Result<std::string> write_json(const Document& document);
SecretString plain_json(const Opened& opened);
std::string write_binary(const Document& document);
Result<Document> read_yaml(std::string_view text);
Result<Document> read_plain_yaml(std::string_view text);
Result<std::string> write_yaml(const Document& document);
SecretString plain_yaml(const Opened& opened);
Result<Document> read_ini(std::string_view text);
Result<Document> read_plain_ini(std::string_view text);
Result<std::string> write_ini(const Document& document);
SecretString plain_ini(const Opened& opened);
}  // namespace stores

}  // namespace dm::secrets
