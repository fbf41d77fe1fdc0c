#include "secrets/keyring.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>

#include "base/files.hpp"
#include "base/process.hpp"
#include "secrets/crypto.hpp"
#include "sources/files.hpp"

namespace dm::secrets {
namespace {

std::atomic<bool> opened_any = false;

constexpr auto kProgramTime = std::chrono::minutes(5);  // a plugin may wait for a touch

std::string variable(const KeySources& sources, std::string_view name) {
  const auto found = sources.environment.find(name);
  return found == sources.environment.end() ? std::string{} : found->second;
}

std::string default_key_file(const KeySources& sources) {
  if (const auto xdg = variable(sources, "XDG_CONFIG_HOME"); !xdg.empty()) return xdg + "/sops/age/keys.txt";
  const auto home = variable(sources, "HOME");
  return home.empty() ? std::string{} : home + "/.config/sops/age/keys.txt";
}

/// Reads a file of any small size whose bytes are wiped afterwards.
Result<SecretString> read_secret(const std::string& path) {
  DM_TRY(auto text, sources::disk().read(path, 1U << 20U));
  return SecretString::take(std::move(text));
}

/// Splits as a shell would, as far as quotes go: SOPS_AGE_KEY_CMD is no shell script.
std::vector<std::string> split_command(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  bool open = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
      else if (c == '\\' && quote == '"' && i + 1 < text.size()) word += text[++i];
      else word += c;
    } else if (c == '\'' || c == '"') quote = c, open = true;
    else if (c == '\\' && i + 1 < text.size()) word += text[++i], open = true;
    else if (c == ' ' || c == '\t' || c == '\n') {
      if (open) out.push_back(std::move(word));
      word.clear();
      open = false;
    } else word += c, open = true;
  }
  if (open) out.push_back(std::move(word));
  return out;
}

Sink into(SecretString& out) {
  return [&out](std::string_view bytes) -> Result<void> {
    if (out.size() + bytes.size() > (1U << 20U)) return fail(Errc::invalid_input, "more than 1 MiB where a key was expected");
    out.append(bytes);
    return {};
  };
}
Source once(std::string_view bytes) {
  return [text = std::string(bytes), given = false]() mutable -> Result<std::string> {
    if (given) return std::string{};
    given = true;
    return std::move(text);
  };
}

auto age_missing(std::string_view recipient_words) {
  return fail_as(kProgramMissing, Errc::unavailable,
                 fmt::format("{} is needed here, and for that the program 'age' must be on PATH (apt-get install age; 1.3 or later for post-quantum keys)", recipient_words));
}

}  // namespace

std::string key_file_path(const KeySources& sources) {
  const auto file = variable(sources, "SOPS_AGE_KEY_FILE");
  return file.empty() ? default_key_file(sources) : file;
}

Result<void> Keyring::add_text(std::string_view text, std::string_view name, bool spaces) {
  KeySource source{std::string(name), true, 0, false};
  if (looks_like_age(text)) {
    locked_.push_back({std::string(name), std::string(text)});
    source.protected_by_passphrase = true;
    looked_at_.push_back(std::move(source));
    return {};
  }
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find_first_of(spaces ? "\n " : "\n"), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (line.empty() || line[0] == '#') continue;
    if (line.starts_with("AGE-SECRET-KEY-PQ-1") || line.starts_with("AGE-PLUGIN-")) {
      external_.append(line);
      external_.append('\n');
    } else if (auto identity = parse_identity(line)) {
      identities_.push_back(std::move(*identity));
    } else {
      return fail_as(kNoKey, Errc::invalid_input, fmt::format("{}: line {} is no age identity (the line is not shown)", name, number));
    }
    ++source.identities;
  }
  looked_at_.push_back(std::move(source));
  return {};
}

Result<void> Keyring::add_file(const std::string& path, std::string_view name, bool must_exist) {
  const auto text = read_secret(path);
  if (text) return add_text(text->reveal(), name, false);
  if (must_exist || text.error().code != Errc::not_found) return fail(text.error());
  looked_at_.push_back({std::string(name), false, 0, false});
  return {};
}

Result<Keyring> Keyring::load(KeySources sources) {
  Keyring ring;
  ring.sources_ = std::move(sources);
  const auto& from = ring.sources_;
  if (const auto keys = variable(from, "SOPS_AGE_KEY"); !keys.empty()) DM_CHECK(ring.add_text(keys, "SOPS_AGE_KEY", true));
  if (const auto file = variable(from, "SOPS_AGE_KEY_FILE"); !file.empty()) {
    if (sources::disk().stat(file).kind == sources::Kind::missing)
      return fail_as(kNoKey, Errc::not_found, fmt::format("SOPS_AGE_KEY_FILE names '{}', and there is no such file; mend or unset it (then '{}' is looked at), or run 'datamancy secrets init', which makes it", file, default_key_file(from)));
    DM_CHECK(ring.add_file(file, file, true));
  }
  if (const auto folder = variable(from, "CREDENTIALS_DIRECTORY"); !folder.empty()) {
    const auto file = folder + "/datamancy-age-key";
    if (sources::disk().stat(file).kind == sources::Kind::regular) DM_CHECK(ring.add_file(file, file, true));
  }
  if (const auto text = variable(from, "SOPS_AGE_KEY_CMD"); !text.empty()) {
    SecretString keys;
    Command command{split_command(text)};
    if (command.argv.empty()) return fail(Errc::invalid_input, "SOPS_AGE_KEY_CMD is empty");
    const auto ran = run_fine(command, {.out = into(keys)}, Deadline::in(kProgramTime));
    if (!ran) return fail_as(ran.error().code == Errc::not_found ? kProgramMissing : kNoKey, ran.error().code, "SOPS_AGE_KEY_CMD: " + ran.error().message);
    DM_CHECK(ring.add_text(keys.reveal(), "SOPS_AGE_KEY_CMD", true));
  }
  if (!from.default_file) return ring;
  if (const auto file = default_key_file(from); !file.empty() && file != variable(from, "SOPS_AGE_KEY_FILE")) DM_CHECK(ring.add_file(file, file, false));
  std::vector<std::string> ssh;
  if (const auto file = variable(from, "SOPS_AGE_SSH_PRIVATE_KEY_FILE"); !file.empty()) ssh.push_back(file);
  if (const auto home = variable(from, "HOME"); !home.empty()) ssh.insert(ssh.end(), {home + "/.ssh/id_ed25519", home + "/.ssh/id_rsa"});
  for (const auto& file : ssh)
    if (sources::disk().stat(file).kind == sources::Kind::regular) ring.ssh_files_.push_back(file);
  return ring;
}

std::vector<std::string> Keyring::recipients() const {
  std::vector<std::string> out;
  for (const auto& identity : identities_) out.push_back(identity.recipient());
  return out;
}

Result<void> Keyring::unlock() {
  while (!locked_.empty()) {
    const auto locked = locked_.back();
    if (!sources_.ask) return fail_as(kNoKey, Errc::unavailable, fmt::format("{} is protected by a passphrase, and nobody is there to ask", locked.name));
    auto typed = sources_.ask(fmt::format("Passphrase of {}: ", locked.name));
    if (!typed) return fail_as(kNoKey, typed.error().code, fmt::format("{} is protected by a passphrase: {}", locked.name, typed.error().message));
    const Passphrase passphrase{std::move(*typed)};
    const AgeIdentity with[] = {&passphrase};
    DM_TRY(const auto text, during(fmt::format("opening {}", locked.name), age_open(locked.file, with)));
    if (looks_like_age(text.reveal())) return undecryptable(fmt::format("{} holds another protected file", locked.name));
    locked_.pop_back();
    std::erase_if(looked_at_, [&](const KeySource& source) { return source.name == locked.name; });
    DM_CHECK(add_text(text.reveal(), locked.name, false));
    looked_at_.back().protected_by_passphrase = true;
  }
  return {};
}

Result<SecretString> Keyring::by_program(const AgeKey& key) const {
  const auto kind = recipient_kind(key.recipient);
  if (!find_program("age")) return age_missing(to_string(kind));
  Command command{{"age", "--decrypt"}};
  Fd memory;
  if (kind == RecipientKind::ssh) {
    for (const auto& file : ssh_files_) command.argv.insert(command.argv.end(), {"--identity", file});
  } else {
    DM_TRY(memory, memory_file("identities", external_.reveal()));
    command.descriptors[3] = memory.get();
    command.argv.insert(command.argv.end(), {"--identity", "/dev/fd/3"});
  }
  SecretString out;
  const auto ran = run_process(command, {.in = once(key.sealed), .out = into(out)}, Deadline::in(kProgramTime));
  if (!ran) return fail(ran.error());
  if (ran->fine() && out.size() == 32) return out;
  if (ran->err.find("unknown identity type") != std::string::npos || ran->err.find("malformed secret key") != std::string::npos || ran->err.find("unknown recipient type") != std::string::npos)
    return fail_as(kProgramMissing, Errc::unsupported, fmt::format("the program 'age' on PATH is too old for {}; 1.3 or later is needed", to_string(kind)));
  return fail_as(kNoKey, Errc::denied, "no key of ours fits");
}

bool has_opened() { return opened_any.load(); }

Result<SecretString> Keyring::data_key(const Metadata& metadata) {
  auto out = find_data_key(metadata);
  if (out) opened_any = true;
  return out;
}

Result<SecretString> Keyring::find_data_key(const Metadata& metadata) {
  if (metadata.age.empty())
    return fail_as(kNoKey, Errc::unsupported, "it is sealed for no age key (only PGP or a key service); open it with 'sops'");
  std::optional<Error> trouble;
  for (int round = 0; round < 2; ++round) {
    std::vector<AgeIdentity> with;
    for (const auto& identity : identities_) with.emplace_back(&identity);
    for (const auto& key : metadata.age) {
      if (with.empty()) break;
      auto opened = age_open(key.sealed, with);
      if (opened) return std::move(*opened);
      if (opened.error().exit != kNoKey) trouble = opened.error();
    }
    if (locked_.empty() || round > 0) break;
    DM_CHECK(unlock());
  }
  for (const auto& key : metadata.age) {
    const auto kind = recipient_kind(key.recipient);
    const bool ssh = kind == RecipientKind::ssh && !ssh_files_.empty();
    const bool other = (kind == RecipientKind::plugin || kind == RecipientKind::post_quantum) && !external_.empty();
    if (!ssh && !other) continue;
    auto opened = by_program(key);
    if (opened) return opened;
    if (!trouble || opened.error().exit == kProgramMissing) trouble = opened.error();
  }
  if (trouble && trouble->exit != kNoKey) return fail(*trouble);
  std::string looked;
  for (const auto& source : looked_at_)
    looked += fmt::format("\n  {}: {}", source.name, !source.present ? "absent" : source.identities == 1 ? "1 key" : fmt::format("{} keys", source.identities));
  std::string wanted;
  for (const auto& key : metadata.age) wanted += "\n  " + key.recipient.substr(0, 80);
  return fail_as(kNoKey, Errc::denied,
                 fmt::format("no key fits; looked at:{}\nit is sealed for:{}\nbring one of these keys (SOPS_AGE_KEY_FILE, or the key file above), or have somebody who has one run 'datamancy secrets recipients add'",
                             looked.empty() ? "\n  nothing (HOME is not set)" : looked, wanted));
}

Result<std::string> wrap_data_key(const SecretString& data_key, std::string_view recipient) {
  const auto kind = recipient_kind(recipient);
  const std::string text(recipient);
  if (kind == RecipientKind::unknown) return fail(Errc::invalid_input, fmt::format("'{}' is no recipient: age1... or an ssh public key is expected", text.substr(0, 80)));
  if (kind == RecipientKind::x25519) {
    DM_TRY(const auto sealed, age_seal(data_key.reveal(), std::span(&text, 1)));
    return armor(sealed);
  }
  if (!find_program("age")) return age_missing(to_string(kind));
  const auto ran = run_process({{"age", "--encrypt", "--armor", "--recipient", text}}, {.in = once(data_key.reveal())}, Deadline::in(kProgramTime));
  if (!ran) return fail(ran.error());
  if (ran->fine() && looks_like_age(ran->out)) return ran->out;
  if (kind == RecipientKind::post_quantum)
    return fail_as(kProgramMissing, Errc::unsupported, "the program 'age' on PATH is too old for post-quantum keys; 1.3 or later is needed");
  return fail(Errc::failed, fmt::format("'age' refuses this recipient: {}", ran->err.substr(0, 300)));
}

Result<std::string> create_key_file(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) DM_CHECK(make_folders(path.substr(0, slash), 0700));
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail(errno == EEXIST ? Error{Errc::conflict, fmt::format("'{}' exists and is left as it is", path), {}} : errno_error(fmt::format("create '{}'", path), errno));
  const auto identity = make_identity();
  const auto recipient = identity.recipient();
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char created[40];
  std::strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &utc);
  SecretString text(fmt::format("# created: {}\n# public key: {}\n", created, recipient));
  const auto secret = identity_text(identity);
  text.append(secret.reveal());
  text.append('\n');
  auto wrote = write_all(file.get(), text.reveal());
  if (wrote && (::fchmod(file.get(), 0600) != 0 || ::fsync(file.get()) != 0)) wrote = fail(errno_error("write key file", errno));
  if (!wrote) {
    ::unlink(path.c_str());
    return fail(wrote.error());
  }
  if (const Fd folder(::open(slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); folder) ::fsync(folder.get());
  return recipient;
}

}  // namespace dm::secrets
