#include "secrets/age.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "secrets/crypto.hpp"

namespace dm::secrets {
namespace {

constexpr std::string_view kVersion = "age-encryption.org/v1\n";
constexpr std::string_view kX25519Info = "age-encryption.org/v1/X25519";
constexpr std::string_view kScryptSalt = "age-encryption.org/v1/scrypt";
constexpr std::size_t kChunk = 65536;
constexpr unsigned kMaxLogN = 22;
const std::string kZeroNonce(12, '\0');

auto header_error(std::string_view what) { return undecryptable(fmt::format("age header: {}", what)); }

bool visible(std::string_view word) {
  return !word.empty() && std::ranges::all_of(word, [](char c) { return c >= 0x21 && c <= 0x7e; });
}

/// The next line without its LF; nothing where there is no LF.
std::optional<std::string_view> take_line(std::string_view file, std::size_t& at) {
  const auto end = file.find('\n', at);
  if (end == std::string_view::npos) return std::nullopt;
  const auto line = file.substr(at, end - at);
  at = end + 1;
  return line;
}

Result<std::vector<std::string>> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (;;) {
    const auto cut = line.find(' ');
    const auto word = line.substr(0, cut);
    if (!visible(word)) return header_error("a stanza has an empty or unprintable argument");
    words.emplace_back(word);
    if (cut == std::string_view::npos) return words;
    line.remove_prefix(cut + 1);
  }
}

Result<std::string> body_of(std::string_view file, std::size_t& at) {
  std::string body;
  for (;;) {
    const auto line = take_line(file, at);
    if (!line || line->size() > 64) return header_error("the body of a stanza is malformed");
    const auto bytes = unbase64(*line, /*padded=*/false);
    if (!bytes) return header_error("the body of a stanza is no canonical base64");
    body += *bytes;
    if (line->size() < 64) return body;
  }
}

std::string stanza_text(std::string_view words, std::string_view body) {
  std::string out = fmt::format("-> {}\n", words);
  const auto text = base64(body, false);
  for (std::size_t i = 0; i <= text.size(); i += 64) out += text.substr(i, 64) + "\n";
  return out;
}

std::string nonce_of(std::uint64_t chunk, bool last) {
  std::string nonce(12, '\0');
  for (std::size_t i = 0; i < 8; ++i) nonce[10 - i] = static_cast<char>(chunk >> (8 * i) & 255U);
  nonce[11] = last ? '\1' : '\0';
  return nonce;
}

SecretString wrap_key(const SecretString& shared, std::string_view ephemeral_point, std::string_view recipient_point) {
  return hkdf(shared.reveal(), std::string(ephemeral_point) + std::string(recipient_point), kX25519Info);
}

std::string header_mac(const SecretString& file_key, std::string_view authenticated) {
  const auto key = hkdf(file_key.reveal(), {}, "header");
  return hmac_sha256(key.reveal(), authenticated);
}

enum class Fit { no, yes };

Result<Fit> try_x25519(const Stanza& stanza, const X25519Identity& identity, SecretString& file_key) {
  const auto point = stanza.words.size() == 2 ? unbase64(stanza.words[1], false) : std::nullopt;
  if (!point || point->size() != 32) return header_error("an X25519 stanza is malformed");
  if (stanza.body.size() != 32) return header_error("the body of an X25519 stanza has the wrong length");
  const auto shared = x25519(identity.secret, *point);
  if (!shared) return header_error("an X25519 stanza has a point of low order");
  auto key = chacha_open(wrap_key(*shared, *point, identity.point), kZeroNonce, stanza.body);
  if (!key) return Fit::no;
  file_key = std::move(*key);
  return Fit::yes;
}

Result<Fit> try_scrypt(const Stanza& stanza, const Passphrase& passphrase, SecretString& file_key) {
  const auto salt = stanza.words.size() == 3 ? unbase64(stanza.words[1], false) : std::nullopt;
  if (!salt || salt->size() != 16) return header_error("the scrypt stanza is malformed");
  const auto& factor = stanza.words[2];
  const bool decimal = factor[0] != '0' && std::ranges::all_of(factor, [](char c) { return c >= '0' && c <= '9'; });
  if (!decimal) return header_error("the scrypt work factor is no number");
  if (stanza.body.size() != 32) return header_error("the body of the scrypt stanza has the wrong length");
  const unsigned log_n = factor.size() > 2 ? 99U : static_cast<unsigned>(std::stoul(factor));
  if (log_n > kMaxLogN) return header_error(fmt::format("the scrypt work factor is above {}", kMaxLogN));
  const auto wrap = scrypt(passphrase.text.reveal(), std::string(kScryptSalt) + *salt, log_n);
  auto key = chacha_open(wrap, kZeroNonce, stanza.body);
  if (!key) return Fit::no;
  file_key = std::move(*key);
  return Fit::yes;
}

Result<SecretString> unwrap(const AgeHeader& header, std::span<const AgeIdentity> identities) {
  const bool by_passphrase = std::ranges::any_of(header.stanzas, [](const Stanza& s) { return s.words[0] == "scrypt"; });
  if (by_passphrase && header.stanzas.size() > 1) return header_error("a passphrase stanza stands beside others");
  SecretString file_key;
  for (const auto& stanza : header.stanzas) {
    for (const auto& identity : identities) {
      Fit fit = Fit::no;
      if (const auto* const* key = std::get_if<const X25519Identity*>(&identity)) {
        if (stanza.words[0] != "X25519") continue;
        DM_TRY(fit, try_x25519(stanza, **key, file_key));
      } else {
        if (stanza.words[0] != "scrypt") continue;
        DM_TRY(fit, try_scrypt(stanza, *std::get<const Passphrase*>(identity), file_key));
      }
      if (fit == Fit::no) continue;
      if (file_key.size() != 16) return header_error("the file key has the wrong length");
      return file_key;
    }
  }
  return fail_as(kNoKey, Errc::denied, by_passphrase ? "the passphrase does not fit" : "none of the keys fits");
}

Result<SecretString> open_payload(std::string_view payload, const SecretString& file_key) {
  if (payload.size() < 16) return undecryptable("age payload: cut short");
  const auto key = hkdf(file_key.reveal(), payload.substr(0, 16), "payload");
  payload.remove_prefix(16);
  SecretString plain;
  plain.reserve(payload.size());
  for (std::uint64_t chunk = 0;; ++chunk) {
    const bool last = payload.size() <= kChunk + 16;
    const auto sealed = payload.substr(0, kChunk + 16);
    payload.remove_prefix(sealed.size());
    const auto piece = chacha_open(key, nonce_of(chunk, last), sealed);
    if (!piece) return undecryptable("age payload: damaged or cut short");
    if (last && piece->empty() && chunk > 0) return undecryptable("age payload: an empty last chunk");
    plain.append(piece->reveal());
    if (last) return plain;
  }
}

void seal_payload(std::string& out, std::string_view plain, const SecretString& file_key, std::string_view nonce) {
  const auto key = hkdf(file_key.reveal(), nonce, "payload");
  out += nonce;
  for (std::uint64_t chunk = 0;; ++chunk) {
    const bool last = plain.size() <= kChunk;
    out += chacha_seal(key, nonce_of(chunk, last), plain.substr(0, kChunk));
    if (last) return;
    plain.remove_prefix(kChunk);
  }
}

std::string finish(std::string header, std::string_view plain, const SecretString& file_key, std::string_view nonce) {
  header += "---";
  const auto mac = header_mac(file_key, header);
  header += fmt::format(" {}\n", base64(mac, false));
  seal_payload(header, plain, file_key, nonce);
  return header;
}

std::string x25519_stanza(std::string_view recipient_point, const SecretString& ephemeral, const SecretString& file_key) {
  const auto point = x25519_public(ephemeral);
  const auto shared = x25519(ephemeral, recipient_point);
  if (!shared) return {};
  return stanza_text(fmt::format("X25519 {}", base64(point, false)), chacha_seal(wrap_key(*shared, point, recipient_point), kZeroNonce, file_key.reveal()));
}

}  // namespace

X25519Identity make_identity() {
  X25519Identity out{random_secret(32), {}};
  out.point = x25519_public(out.secret);
  return out;
}

Result<X25519Identity> parse_identity(std::string_view text) {
  auto decoded = unbech32(text);
  if (!decoded || decoded->hrp != "age-secret-key-" || decoded->bytes.size() != 32 || !text.starts_with("AGE-")) return fail(Errc::invalid_input, "no valid X25519 identity");
  X25519Identity out{std::move(decoded->bytes), {}};
  out.point = x25519_public(out.secret);
  return out;
}

std::string X25519Identity::recipient() const { return bech32("age", point); }

SecretString identity_text(const X25519Identity& identity) {
  auto text = bech32("age-secret-key-", identity.secret.reveal());
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return SecretString::take(std::move(text));
}

RecipientKind recipient_kind(std::string_view recipient) {
  if (recipient.starts_with("ssh-ed25519 ") || recipient.starts_with("ssh-rsa ")) return RecipientKind::ssh;
  if (!recipient.starts_with("age1")) return RecipientKind::unknown;
  if (recipient.starts_with("age1pq1")) return RecipientKind::post_quantum;
  if (std::ranges::count(recipient, '1') > 1) return RecipientKind::plugin;  // Bech32's alphabet has no 1
  const auto decoded = unbech32(recipient);
  return decoded && decoded->hrp == "age" && decoded->bytes.size() == 32 ? RecipientKind::x25519 : RecipientKind::unknown;
}

std::string_view to_string(RecipientKind kind) {
  switch (kind) {
    case RecipientKind::x25519: return "an age key";
    case RecipientKind::ssh: return "an ssh key";
    case RecipientKind::plugin: return "a plugin's key";
    case RecipientKind::post_quantum: return "a post-quantum key";
    case RecipientKind::unknown: return "no known kind of key";
  }
  return "";
}

Result<AgeHeader> parse_age_header(std::string_view file) {
  if (!file.starts_with(kVersion)) return header_error("not an age v1 file");
  AgeHeader out;
  std::size_t at = kVersion.size();
  for (;;) {
    const auto begin = at;
    const auto line = take_line(file, at);
    if (!line) return header_error("cut short");
    if (line->starts_with("---")) {
      if (line->size() != 47 || (*line)[3] != ' ') return header_error("the MAC line is malformed");
      const auto mac = unbase64(line->substr(4), false);
      if (!mac || mac->size() != 32) return header_error("the MAC is no canonical base64");
      if (out.stanzas.empty()) return header_error("no stanza");
      out.mac = *mac;
      out.authenticated = begin + 3;
      out.payload = at;
      return out;
    }
    if (!line->starts_with("-> ")) return header_error("a line is neither stanza nor MAC");
    if (out.stanzas.size() >= 10'000) return header_error("too many stanzas");
    DM_TRY(auto words, words_of(line->substr(3)));
    DM_TRY(auto body, body_of(file, at));
    out.stanzas.push_back({std::move(words), std::move(body)});
  }
}

Result<SecretString> age_open(std::string_view file, std::span<const AgeIdentity> identities) {
  std::string binary;
  if (!file.starts_with("age-encryption.org/")) {
    if (!looks_like_age(file)) return header_error("not an age file");
    DM_TRY(binary, unarmor(file));
    file = binary;
  }
  DM_TRY(const auto header, parse_age_header(file));
  DM_TRY(const auto file_key, unwrap(header, identities));
  const auto mac = header_mac(file_key, file.substr(0, header.authenticated));
  if (!equal_constant_time(mac, header.mac)) return header_error("its MAC does not fit: the file was changed");
  return open_payload(file.substr(header.payload), file_key);
}

std::string age_seal_with(std::string_view plain, std::string_view recipient_point, const AgeRandom& random) {
  return finish(std::string(kVersion) + x25519_stanza(recipient_point, random.ephemeral, random.file_key), plain, random.file_key, random.payload_nonce);
}

Result<std::string> age_seal(std::string_view plain, std::span<const std::string> recipients) {
  if (recipients.empty()) return fail(Errc::invalid_input, "no recipient to seal for");
  const auto file_key = random_secret(16);
  std::string header(kVersion);
  for (const auto& recipient : recipients) {
    const auto decoded = unbech32(recipient);
    if (recipient_kind(recipient) != RecipientKind::x25519 || !decoded) return fail(Errc::invalid_input, fmt::format("'{}' is no age recipient (age1...)", recipient));
    const auto stanza = x25519_stanza(decoded->bytes.reveal(), random_secret(32), file_key);
    if (stanza.empty()) return fail(Errc::invalid_input, fmt::format("'{}' is a key that protects nothing (a point of low order)", recipient));
    header += stanza;
  }
  return finish(std::move(header), plain, file_key, random_bytes(16));
}

std::string age_seal(std::string_view plain, const Passphrase& passphrase) {
  const auto file_key = random_secret(16);
  const auto salt = random_bytes(16);
  const auto wrap = scrypt(passphrase.text.reveal(), std::string(kScryptSalt) + salt, passphrase.log_n);
  auto header = std::string(kVersion) + stanza_text(fmt::format("scrypt {} {}", base64(salt, false), passphrase.log_n), chacha_seal(wrap, kZeroNonce, file_key.reveal()));
  return finish(std::move(header), plain, file_key, random_bytes(16));
}

}  // namespace dm::secrets
