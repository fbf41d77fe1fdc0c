/// The primitives that age and SOPS need, on OpenSSL 3. Internal to the module. What OpenSSL itself refuses for lack of memory or a
/// missing algorithm is a `std::runtime_error`: a fault of the installation, not of a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "secrets/secret_string.hpp"

namespace dm::secrets {

/// Bytes from the system's generator.
SecretString random_secret(std::size_t size);
std::string random_bytes(std::size_t size);

/// HKDF-SHA-256 with 32 bytes of output.
SecretString hkdf(std::string_view key, std::string_view salt, std::string_view info);
std::string hmac_sha256(std::string_view key, std::string_view message);
/// scrypt with r = 8, p = 1; 32 bytes. `log_n` is at most 22 (4 GiB).
SecretString scrypt(std::string_view passphrase, std::string_view salt, unsigned log_n);
std::string sha256(std::string_view bytes);
std::string hex(std::string_view bytes, bool upper = false);

/// A SHA-512 that is fed piece by piece.
class Sha512 {
 public:
  Sha512();
  ~Sha512();
  Sha512(const Sha512&) = delete;
  Sha512& operator=(const Sha512&) = delete;
  void add(std::string_view bytes);
  std::string finish();

 private:
  void* context_;
};

/// ChaCha20-Poly1305 with a 12-byte nonce; the tag (16 bytes) follows the text. `open` gives nothing where the tag is wrong.
std::string chacha_seal(const SecretString& key, std::string_view nonce, std::string_view plain);
std::optional<SecretString> chacha_open(const SecretString& key, std::string_view nonce, std::string_view sealed);

/// AES-256-GCM with an IV of any length from 1 byte up.
struct GcmSealed {
  std::string data, tag;
};
GcmSealed gcm_seal(const SecretString& key, std::string_view iv, std::string_view aad, std::string_view plain);
std::optional<SecretString> gcm_open(const SecretString& key, std::string_view iv, std::string_view aad, std::string_view data, std::string_view tag);

/// Curve25519. Nothing where the result is all zero (a point of low order).
std::optional<SecretString> x25519(const SecretString& secret, std::string_view point);
/// The public key of a secret of 32 bytes.
std::string x25519_public(const SecretString& secret);

bool equal_constant_time(std::string_view a, std::string_view b);

/// Standard alphabet. `decode` takes only what `encode` writes: canonical, nothing between.
std::string base64(std::string_view bytes, bool padded);
std::optional<std::string> unbase64(std::string_view text, bool padded);

/// Bech32 without a length limit. The human-readable part comes back in lower case.
std::string bech32(std::string_view hrp, std::string_view bytes);
struct Bech32 {
  std::string hrp;
  SecretString bytes;
};
std::optional<Bech32> unbech32(std::string_view text);

}  // namespace dm::secrets
