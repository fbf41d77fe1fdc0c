/// Files of a project that hold secrets in the clear: sealed for the project's age keys before they reach the repository, so that who
/// opens the repository does not have them yet. One tar in one SOPS file: `sops -d FILE | tar x` opens it, too.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "backup/drivers/drivers.hpp"
#include "backup/tar.hpp"
#include "backup/tree.hpp"
#include "secrets/sealed.hpp"
#include "sources/files.hpp"

extern char** environ;  // NOLINT

namespace dm::backup {
namespace {

constexpr std::uint64_t kMost = 16U << 20U;  ///< of all files together, as for any sealed file

std::vector<std::string> lines(const Target& target, const char* name) {
  std::vector<std::string> out;
  const auto found = target.facts.find(name);
  if (found == target.facts.end()) return out;
  for (std::string_view rest = found->second; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (!line.empty()) out.emplace_back(line);
  }
  return out;
}

std::string fact(const Target& target, const char* name) {
  const auto found = target.facts.find(name);
  return found == target.facts.end() ? std::string() : found->second;
}

/// One part: the sealed bytes. What is in them shows only to who has the key.
class SealedReader final : public DumpReader {
 public:
  Result<void> take(std::string_view bytes) override {
    text_.append(bytes);
    return text_.size() <= 2 * kMost ? Result<void>() : fail(Errc::corrupt, "it is larger than any sealed file");
  }
  Result<Fingerprint> finish() override {
    if (!secrets::sealed_store(text_)) return fail(Errc::corrupt, "it is no sealed file");
    if (auto parsed = secrets::parse_sealed(text_); !parsed) return fail(Errc::corrupt, parsed.error().message);
    Fingerprint out;
    out.format = "sealed";
    out.parts = {{.name = "sealed", .rows = 1, .bytes = text_.size(), .sum = hash128(text_), .loose = false}};
    return out;
  }

 private:
  std::string text_;
};

class Sealed final : public Driver {
 public:
  std::string_view kind() const override { return "sealed"; }
  std::string_view title() const override { return "sealed files"; }
  Result<void> examine(engine::Engine&, Target&, const Deadline&) const override { return {}; }
  Result<std::vector<Item>> items(engine::Engine&, const Target&, const Deadline&) const override { return std::vector<Item>{{.name = "sealed", .file = "secrets.sops", .small = true}}; }

  Result<void> dump(engine::Engine&, const Target& target, const Item&, const Sink& out, std::vector<std::string>&, const Deadline&) const override {
    secrets::SecretString tar;
    for (const auto& name : lines(target, "files")) {
      const auto path = fact(target, "path") + "/" + name;
      DM_TRY(const std::string text, sources::disk().read(path, kMost));
      struct stat info {};
      if (::stat(path.c_str(), &info) != 0) return fail(errno_error("look at " + path, errno));
      TarEntry entry;
      entry.path = name;
      entry.mode = info.st_mode & 07777U;
      entry.uid = info.st_uid;
      entry.gid = info.st_gid;
      entry.size = text.size();
      entry.mtime = info.st_mtim.tv_sec;
      tar.append(tar_header(entry));
      tar.append(text);
      tar.append(std::string((512 - text.size() % 512) % 512, '\0'));
      if (tar.size() > kMost) return fail(Errc::invalid_input, "the files with secrets are larger than 16 MiB together");
    }
    tar.append(tar_end());
    secrets::SealingPlan plan;
    plan.recipients = lines(target, "recipients");
    DM_TRY(const std::string sealed, secrets::seal_text(tar.reveal(), secrets::Store::binary, plan));
    return out(sealed);
  }

  std::unique_ptr<DumpReader> reader(const Item&) const override { return std::make_unique<SealedReader>(); }
  Result<engine::NewContainer> stand_in(const Target&) const override { return fail(Errc::unsupported, "sealed files need no server"); }
  Result<void> await(engine::Engine&, const Target&, const Deadline&) const override { return {}; }

  /// Opens them with the keys of this machine and writes them below `into.name`, else where they came from.
  Result<void> restore(engine::Engine&, const Target& target, const Item&, const Source& in, const RestoreInto& into, const Deadline&) const override {
    std::string text;
    while (true) {
      DM_TRY(const std::string piece, in());
      if (piece.empty()) break;
      text += piece;
    }
    secrets::KeySources sources;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      const std::string_view line(*variable);
      if (const auto cut = line.find('='); cut != std::string_view::npos) sources.environment.emplace(line.substr(0, cut), line.substr(cut + 1));
    }
    sources.ask = [](std::string_view) -> Result<secrets::SecretString> { return fail(Errc::unavailable, "nobody is asked here"); };
    DM_TRY(auto keys, secrets::Keyring::load(std::move(sources)));
    DM_TRY(const auto opened, during("opening the sealed files of the project", secrets::open_sealed_text(text, keys)));
    DM_TRY(const auto plain, secrets::plain_text(opened));
    TreeUnpacker unpacker(into.name.empty() ? fact(target, "path") : into.name, "");
    DM_CHECK(unpacker.take(plain.reveal()));
    return unpacker.finish();
  }

  Result<std::string> check(engine::Engine&, const Target&, const Deadline&) const override { return fail(Errc::unsupported, "sealed files have no check of their own"); }
  Compare comparison(const Target&, const Target&) const override { return Compare::everything; }
};

}  // namespace

const Driver& sealed_driver() {
  static const Sealed driver;
  return driver;
}

}  // namespace dm::backup
