#include "scaffold/generate.hpp"

#include <argon2.h>
#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>

#include "secrets/crypto.hpp"

namespace dm::scaffold {
namespace {

using secrets::SecretString;

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* thing) const { Free(thing); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_clear_free>>;

constexpr unsigned kIterations = 310000;          // Authelia's default for PBKDF2 with SHA-512
constexpr std::uint32_t kArgonMemory = 65540;     // KiB; Vaultwarden's "bitwarden" preset, with 3 passes and 4 lanes
constexpr std::uint32_t kArgonPasses = 3, kArgonLanes = 4;

/// Letters and digits without those that look alike.
SecretString password(std::size_t length) {
  constexpr std::string_view kAlphabet = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  SecretString out;
  out.reserve(length);
  while (out.size() < length) {
    const auto bytes = secrets::random_secret(64);
    for (const char c : bytes.reveal()) {
      const auto value = static_cast<unsigned char>(c);
      if (value >= 256 / kAlphabet.size() * kAlphabet.size() || out.size() == length) continue;  // none more often than another
      out.append(kAlphabet[value % kAlphabet.size()]);
    }
  }
  return out;
}

SecretString uuid() {
  auto bytes = secrets::random_secret(16);
  bytes.udata()[6] = static_cast<unsigned char>((bytes.udata()[6] & 0x0fU) | 0x40U);
  bytes.udata()[8] = static_cast<unsigned char>((bytes.udata()[8] & 0x3fU) | 0x80U);
  const auto hex = secrets::hex(bytes.reveal());
  return SecretString(fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4), hex.substr(20)));
}

std::string base64url(std::string_view bytes) {
  auto out = secrets::base64(bytes, true);
  for (auto& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

/// PKCS#8 in PEM, without the last line end.
Result<SecretString> pem(const EVP_PKEY* key) {
  const std::unique_ptr<BIO, Freed<BIO_free>> out(BIO_new(BIO_s_secmem()));
  if (!out || PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) return fail(Errc::failed, "OpenSSL could not write the key");
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &text);
  std::string_view view(text, static_cast<std::size_t>(size));
  while (view.ends_with('\n')) view.remove_suffix(1);
  return SecretString(view);
}

/// The private number of a new key on P-256, 32 bytes in base64url.
Result<SecretString> vapid() {
  const Key key(EVP_EC_gen("P-256"));
  BIGNUM* raw = nullptr;
  if (!key || EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &raw) != 1) return fail(Errc::failed, "OpenSSL could not make a P-256 key");
  const Number number(raw);
  auto bytes = SecretString::zeros(32);
  BN_bn2binpad(number.get(), bytes.udata(), 32);
  return SecretString::take(base64url(bytes.reveal()));
}

Result<SecretString> vapid_public(const SecretString& secret) {
  std::string text(secret.reveal());
  for (auto& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
  const auto bytes = secrets::unbase64(text, true);
  secrets::wipe(text);
  if (!bytes || bytes->size() != 32) return fail(Errc::invalid_input, "the private key is not 32 bytes in base64url");
  const std::unique_ptr<EC_GROUP, Freed<EC_GROUP_free>> group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
  const Number number(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes->data()), 32, nullptr));
  const std::unique_ptr<EC_POINT, Freed<EC_POINT_free>> point(group ? EC_POINT_new(group.get()) : nullptr);
  std::array<unsigned char, 65> out{};
  if (!point || EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, nullptr) != 1 ||
      EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, out.data(), out.size(), nullptr) != out.size())
    return fail(Errc::failed, "OpenSSL could not compute the public key");
  return SecretString(base64url({reinterpret_cast<const char*>(out.data()), out.size()}));
}

Result<SecretString> argon2_of(const SecretString& source) {
  const auto salt = secrets::random_bytes(32);
  std::array<char, 256> encoded{};
  const int code = argon2id_hash_encoded(kArgonPasses, kArgonMemory, kArgonLanes, source.reveal().data(), source.size(), salt.data(), salt.size(), 32, encoded.data(), encoded.size());
  if (code != ARGON2_OK) return fail(Errc::failed, fmt::format("Argon2: {}", argon2_error_message(code)));
  return SecretString(std::string_view(encoded.data()));
}

/// "$pbkdf2-sha512$ITERATIONS$SALT$KEY" with base64 that has '.' for '+' and no padding.
Result<SecretString> oidc_hash(const SecretString& source) {
  const auto salt = secrets::random_bytes(16);
  std::array<unsigned char, 64> key{};
  if (PKCS5_PBKDF2_HMAC(source.reveal().data(), static_cast<int>(source.size()), reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                        static_cast<int>(kIterations), EVP_sha512(), static_cast<int>(key.size()), key.data()) != 1)
    return fail(Errc::failed, "OpenSSL could not compute PBKDF2");
  const auto adapted = [](std::string_view bytes) {
    auto out = secrets::base64(bytes, false);
    for (auto& c : out) c = c == '+' ? '.' : c;
    return out;
  };
  return SecretString(fmt::format("$pbkdf2-sha512${}${}${}", kIterations, adapted(salt), adapted({reinterpret_cast<const char*>(key.data()), key.size()})));
}

Result<SecretString> bare(const Secret& secret) {
  using Generator = Secret::Generator;
  switch (secret.generator) {
    case Generator::password: return password(secret.size);
    case Generator::hex: {
      const auto bytes = secrets::random_secret(secret.size);
      return SecretString::take(secrets::hex(bytes.reveal()));
    }
    case Generator::base64: {
      const auto bytes = secrets::random_secret(secret.size);
      return SecretString::take(secrets::base64(bytes.reveal(), true));
    }
    case Generator::uuid: return uuid();
    case Generator::rsa: {
      const Key key(EVP_RSA_gen(static_cast<unsigned>(secret.size)));
      if (!key) return fail(Errc::failed, "OpenSSL could not make an RSA key");
      return pem(key.get());
    }
    case Generator::ed25519: {
      const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
      if (!key) return fail(Errc::failed, "OpenSSL could not make an Ed25519 key");
      return pem(key.get());
    }
    case Generator::vapid: return vapid();
    case Generator::given: return SecretString();
    case Generator::vapid_public: case Generator::argon2: case Generator::oidc_hash: break;
  }
  return fail(Errc::invalid_input, fmt::format("{} follows from {}", secret.name, secret.of));
}

}  // namespace

Result<SecretString> generate(const Secret& secret) {
  DM_TRY(auto value, bare(secret));
  if (secret.prefix.empty() || value.empty()) return value;
  SecretString out{std::string_view(secret.prefix)};
  out.append(value.reveal());
  return out;
}

Result<SecretString> derive(const Secret& secret, const SecretString& source) {
  if (source.empty()) return fail(Errc::invalid_input, fmt::format("{} is not set, so {} cannot be made of it", secret.of, secret.name));
  if (secret.generator == Secret::Generator::vapid_public) return vapid_public(source);
  if (secret.generator == Secret::Generator::argon2) return argon2_of(source);
  if (secret.generator == Secret::Generator::oidc_hash) return oidc_hash(source);
  return fail(Errc::invalid_input, fmt::format("{} follows from nothing", secret.name));
}

}  // namespace dm::scaffold
