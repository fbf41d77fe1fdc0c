#include "secrets/crypto.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace dm::secrets {
namespace {

void must(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(std::string("OpenSSL cannot do ") + what);
}
const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

struct Free {
  void operator()(EVP_KDF_CTX* c) const { EVP_KDF_CTX_free(c); }
  void operator()(EVP_CIPHER_CTX* c) const { EVP_CIPHER_CTX_free(c); }
  void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
  void operator()(EVP_PKEY_CTX* c) const { EVP_PKEY_CTX_free(c); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

// Fetched once: an implicit fetch at every call costs more than sealing a password. Kept until the end of the program.
EVP_KDF* kdf(const char* name) {
  EVP_KDF* fetched = EVP_KDF_fetch(nullptr, name, nullptr);
  must(fetched != nullptr, name);
  return fetched;
}
EVP_CIPHER* cipher(const char* name) {
  EVP_CIPHER* fetched = EVP_CIPHER_fetch(nullptr, name, nullptr);
  must(fetched != nullptr, name);
  return fetched;
}

EVP_CIPHER* chacha() {
  static EVP_CIPHER* const it = cipher("ChaCha20-Poly1305");
  return it;
}
EVP_CIPHER* gcm() {
  static EVP_CIPHER* const it = cipher("AES-256-GCM");
  return it;
}

/// One AEAD for both ciphers; gives the number of bytes written to `out`, or nothing where the tag is wrong.
bool aead(EVP_CIPHER* algorithm, bool seal, const SecretString& key, std::string_view iv, std::string_view aad, std::string_view in,
          unsigned char* out, unsigned char* tag) {
  must(key.size() == 32, "a key that has not 32 bytes");
  const Owned<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  const int direction = seal ? 1 : 0;
  must(context && EVP_CipherInit_ex2(context.get(), algorithm, nullptr, nullptr, direction, nullptr) == 1, "AEAD");
  must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN, static_cast<int>(iv.size()), nullptr) == 1, "an IV of this length");
  must(EVP_CipherInit_ex2(context.get(), nullptr, key.udata(), bytes_of(iv), direction, nullptr) == 1, "AEAD keys");
  int written = 0;
  if (!aad.empty()) must(EVP_CipherUpdate(context.get(), nullptr, &written, bytes_of(aad), static_cast<int>(aad.size())) == 1, "AAD");
  std::size_t done = 0;
  while (done < in.size()) {  // the interface counts in int
    const auto piece = std::min<std::size_t>(in.size() - done, 1U << 30U);
    must(EVP_CipherUpdate(context.get(), out + done, &written, bytes_of(in) + done, static_cast<int>(piece)) == 1, "AEAD");
    done += static_cast<std::size_t>(written);
  }
  if (!seal) must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1, "a tag");
  std::array<unsigned char, 32> rest{};
  if (EVP_CipherFinal_ex(context.get(), rest.data(), &written) != 1) {
    must(!seal, "AEAD");
    return false;
  }
  if (seal) must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1, "a tag");
  return true;
}

}  // namespace

void wipe(void* bytes, std::size_t size) noexcept {
  if (size > 0) OPENSSL_cleanse(bytes, size);
}
void wipe(std::string& text) noexcept {
  text.resize(text.capacity());
  wipe(text.data(), text.size());
  text.clear();
}
bool operator==(const SecretString& a, const SecretString& b) { return equal_constant_time(a.reveal(), b.reveal()); }

void forbid_dumps() noexcept {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

SecretString random_secret(std::size_t size) {
  auto out = SecretString::zeros(size);
  must(RAND_priv_bytes(out.udata(), static_cast<int>(size)) == 1, "random bytes");
  return out;
}
std::string random_bytes(std::size_t size) {
  std::string out(size, '\0');
  must(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size)) == 1, "random bytes");
  return out;
}

SecretString hkdf(std::string_view key, std::string_view salt, std::string_view info) {
  static EVP_KDF* const algorithm = kdf("HKDF");
  const Owned<EVP_KDF_CTX> context(EVP_KDF_CTX_new(algorithm));
  char digest[] = "SHA256";
  const auto octets = [](const char* name, std::string_view text) {
    // OpenSSL does not write through these, its interface only lacks the const; an empty value must not be a null pointer.
    static char nothing = 0;
    return OSSL_PARAM_construct_octet_string(name, text.empty() ? &nothing : const_cast<char*>(text.data()), text.size());
  };
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0), octets(OSSL_KDF_PARAM_KEY, key),
                                   octets(OSSL_KDF_PARAM_SALT, salt), octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  auto out = SecretString::zeros(32);
  must(context && EVP_KDF_derive(context.get(), out.udata(), out.size(), parameters) == 1, "HKDF");
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  must(algorithm != nullptr, "HMAC");
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(algorithm);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  std::string out(32, '\0');
  std::size_t size = 0;
  const bool fine = context != nullptr && EVP_MAC_init(context, bytes_of(key), key.size(), parameters) == 1 &&
                    EVP_MAC_update(context, bytes_of(message), message.size()) == 1 &&
                    EVP_MAC_final(context, reinterpret_cast<unsigned char*>(out.data()), &size, out.size()) == 1;
  EVP_MAC_CTX_free(context);
  must(fine, "HMAC");
  return out;
}

SecretString scrypt(std::string_view passphrase, std::string_view salt, unsigned log_n) {
  const std::uint64_t n = 1ULL << log_n;
  auto out = SecretString::zeros(32);
  must(EVP_PBE_scrypt(passphrase.data(), passphrase.size(), bytes_of(salt), salt.size(), n, 8, 1, n * 1024 + (1U << 20U), out.udata(), out.size()) == 1,
       "scrypt (is there memory enough?)");
  return out;
}

std::string sha256(std::string_view bytes) {
  std::string out(32, '\0');
  must(EVP_Q_digest(nullptr, "SHA256", nullptr, bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr) == 1, "SHA-256");
  return out;
}

std::string hex(std::string_view bytes, bool upper) {
  const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

Sha512::Sha512() : context_(EVP_MD_CTX_new()) {
  must(context_ != nullptr && EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha512(), nullptr) == 1, "SHA-512");
}
Sha512::~Sha512() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }
void Sha512::add(std::string_view bytes) {
  must(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size()) == 1, "SHA-512");
}
std::string Sha512::finish() {
  std::string out(64, '\0');
  must(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), reinterpret_cast<unsigned char*>(out.data()), nullptr) == 1, "SHA-512");
  return out;
}

std::string chacha_seal(const SecretString& key, std::string_view nonce, std::string_view plain) {
  std::string out(plain.size() + 16, '\0');
  auto* at = reinterpret_cast<unsigned char*>(out.data());
  aead(chacha(), true, key, nonce, {}, plain, at, at + plain.size());
  return out;
}
std::optional<SecretString> chacha_open(const SecretString& key, std::string_view nonce, std::string_view sealed) {
  if (sealed.size() < 16) return std::nullopt;
  auto out = SecretString::zeros(sealed.size() - 16);
  std::string tag(sealed.substr(out.size()));
  if (!aead(chacha(), false, key, nonce, {}, sealed.substr(0, out.size()), out.udata(), reinterpret_cast<unsigned char*>(tag.data()))) return std::nullopt;
  return out;
}

GcmSealed gcm_seal(const SecretString& key, std::string_view iv, std::string_view aad, std::string_view plain) {
  GcmSealed out{std::string(plain.size(), '\0'), std::string(16, '\0')};
  aead(gcm(), true, key, iv, aad, plain, reinterpret_cast<unsigned char*>(out.data.data()), reinterpret_cast<unsigned char*>(out.tag.data()));
  return out;
}
std::optional<SecretString> gcm_open(const SecretString& key, std::string_view iv, std::string_view aad, std::string_view data, std::string_view tag) {
  if (tag.size() != 16 || iv.empty() || iv.size() > 128) return std::nullopt;
  auto out = SecretString::zeros(data.size());
  std::string own_tag(tag);
  if (!aead(gcm(), false, key, iv, aad, data, out.udata(), reinterpret_cast<unsigned char*>(own_tag.data()))) return std::nullopt;
  return out;
}

std::optional<SecretString> x25519(const SecretString& secret, std::string_view point) {
  if (secret.size() != 32 || point.size() != 32) return std::nullopt;
  const Owned<EVP_PKEY> ours(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, secret.udata(), 32));
  const Owned<EVP_PKEY> theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, bytes_of(point), 32));
  must(ours && theirs, "X25519");
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(ours.get(), nullptr));
  auto out = SecretString::zeros(32);
  std::size_t size = 32;
  must(context && EVP_PKEY_derive_init(context.get()) == 1, "X25519");
  if (EVP_PKEY_derive_set_peer(context.get(), theirs.get()) != 1 || EVP_PKEY_derive(context.get(), out.udata(), &size) != 1) return std::nullopt;
  if (equal_constant_time(out.reveal(), std::string(32, '\0'))) return std::nullopt;
  return out;
}
std::string x25519_public(const SecretString& secret) {
  must(secret.size() == 32, "an X25519 key that has not 32 bytes");
  const Owned<EVP_PKEY> key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, secret.udata(), 32));
  std::string out(32, '\0');
  std::size_t size = 32;
  must(key && EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(out.data()), &size) == 1, "X25519");
  return out;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace dm::secrets
