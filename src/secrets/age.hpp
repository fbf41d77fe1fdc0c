/// The age v1 file format (https://c2sp.org/age): X25519 and passphrase stanzas, armor, the STREAM payload. Whole files in memory,
/// all or nothing: no plaintext leaves before every byte was verified.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "secrets/secret_string.hpp"

namespace dm::secrets {

/// An X25519 identity: 32 secret bytes, AGE-SECRET-KEY-1...
struct X25519Identity {
  SecretString secret;
  std::string point;         ///< the public key, 32 bytes
  std::string recipient() const;  ///< "age1..."
};
X25519Identity make_identity();
/// "AGE-SECRET-KEY-1...". Errors: `invalid_input`, never with the text.
Result<X25519Identity> parse_identity(std::string_view text);
SecretString identity_text(const X25519Identity& identity);

/// What a recipient's text names.
enum class RecipientKind { x25519, ssh, plugin, post_quantum, unknown };
RecipientKind recipient_kind(std::string_view recipient);
/// The words for a person: "an ssh key", "a post-quantum key".
std::string_view to_string(RecipientKind kind);

struct Passphrase {
  SecretString text;
  unsigned log_n = 18;       ///< work factor when sealing; 10 to 22
};

using AgeIdentity = std::variant<const X25519Identity*, const Passphrase*>;

/// Binary or armored. Errors: exit 11 where no identity fits, 12 where the file is damaged or not as the format demands.
Result<SecretString> age_open(std::string_view file, std::span<const AgeIdentity> identities);

/// Seals for X25519 recipients ("age1..."). Errors: `invalid_input` for what is no X25519 recipient, or for none.
Result<std::string> age_seal(std::string_view plain, std::span<const std::string> recipients);
/// Seals with a passphrase alone (the format forbids to mix).
std::string age_seal(std::string_view plain, const Passphrase& passphrase);

/// True where the bytes claim to be an age file, binary or armored.
bool looks_like_age(std::string_view bytes);
std::string armor(std::string_view age_file);
/// Errors: exit 12.
Result<std::string> unarmor(std::string_view text);

struct Stanza {
  std::vector<std::string> words;  ///< type and arguments
  std::string body;
};
struct AgeHeader {
  std::vector<Stanza> stanzas;
  std::string mac;
  std::size_t authenticated = 0;   ///< bytes that the MAC covers
  std::size_t payload = 0;         ///< where the payload begins
};
/// Errors: exit 12. Exposed for tests, fuzzing and `secrets doctor`.
Result<AgeHeader> parse_age_header(std::string_view file);

/// Everything random of one file, so that the known answer can be tested.
struct AgeRandom {
  SecretString file_key;       ///< 16 bytes
  SecretString ephemeral;      ///< 32 bytes
  std::string payload_nonce;   ///< 16 bytes
};
std::string age_seal_with(std::string_view plain, std::string_view recipient_point, const AgeRandom& random);

}  // namespace dm::secrets
