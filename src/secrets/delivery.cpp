#include "secrets/delivery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/files.hpp"
#include "secrets/crypto.hpp"
#include "secrets/sealed.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::secrets {
namespace {

/// "0" to "99999" and booleans: what a typed field of Compose may need, and no secret.
bool harmless(std::string_view value) {
  const bool number = !value.empty() && value.size() <= 5 && value.find_first_not_of("0123456789") == std::string_view::npos;
  return number || value == "true" || value == "false";
}

/// Line for line as the sealed file has them, so that places fit.
std::string placeholders(const Document& document, const Opened* opened) {
  const auto rule = document.sops.rule.value_or(Rule{});
  std::string out;
  std::size_t line = 1;
  for (std::size_t i = 0; i < document.leaves.size(); ++i) {
    const auto& leaf = document.leaves[i];
    for (; line < leaf.line; ++line) out += '\n';
    if (leaf.type == LeafType::comment) continue;
    const auto& name = leaf.path.at(0);
    const auto value = opened != nullptr ? opened->values[i].plain.reveal() : std::string_view{};
    if (leaf.text.empty() || !rule.seals(leaf.path)) out += fmt::format("{}={}", name, leaf.text.reveal());
    else if (!sensitive::secret_name(name) && harmless(value)) out += fmt::format("{}={}", name, value);
    else out += fmt::format("{}=sealed.{}", name, name);
  }
  return out + "\n";
}

ProjectSecrets::File opened_file(const SealedFile& file, SecretString text) {
  ProjectSecrets::File out{file.path, std::move(text), placeholders(file.opened.document, &file.opened), {}};
  for (const auto& leaf : file.opened.document.leaves)
    if (leaf.type != LeafType::comment) out.names.push_back(leaf.path.at(0));
  return out;
}

Result<ProjectSecrets::File> open_env(const std::string& path, Keyring& keys, SecretString& data_keys) {
  DM_TRY(const auto file, open_sealed(path, keys));
  data_keys.append(file.opened.data_key.reveal());
  DM_TRY(auto text, plain_text(file.opened));
  return opened_file(file, std::move(text));
}

}  // namespace

bool ProjectSecrets::sealed(std::string_view name) const {
  return std::ranges::any_of(files, [&](const File& file) { return std::ranges::find(file.names, name) != file.names.end(); });
}

Result<ProjectSecrets> environment_for(const std::string& folder, const KeySources& sources) {
  ProjectSecrets out;
  const auto paths = sealed_env_files(sources::disk(), folder);
  if (paths.empty()) return out;
  DM_TRY(auto keys, Keyring::load(sources));
  SecretString data_keys;
  for (const auto& path : paths) {
    DM_TRY(auto file, open_env(path, keys, data_keys));
    out.files.push_back(std::move(file));
  }
  out.mark_key = hkdf(data_keys.reveal(), {}, "datamancy/secrets/mark");
  return out;
}

ProjectSecrets placeholders_for(const std::string& folder, KeySources sources) {
  ProjectSecrets out;
  const auto paths = sealed_env_files(sources::disk(), folder);
  if (paths.empty()) return out;
  sources.ask = {};
  auto keys = Keyring::load(std::move(sources));
  for (const auto& path : paths) {
    const auto text = sources::disk().read(path, kMaxSealed);
    auto document = text ? parse_sealed(*text) : Result<Document>(fail(text.error()));
    if (!document) continue;
    ProjectSecrets::File file{path, {}, {}, {}};
    for (const auto& leaf : document->leaves)
      if (leaf.type != LeafType::comment) file.names.push_back(leaf.path.at(0));
    const bool own = keys && std::ranges::any_of(document->sops.age, [](const AgeKey& key) { return recipient_kind(key.recipient) == RecipientKind::x25519; });
    auto opened = own ? open_sealed_text(*text, *keys) : Result<Opened>(fail(Errc::denied, "no key"));
    file.shown = placeholders(*document, opened ? &*opened : nullptr);
    out.files.push_back(std::move(file));
  }
  return out;
}

const ProjectSecrets::File* UnsealedFiles::find(std::string_view path) const {
  for (const auto& file : secrets_.files)
    if (file.path == path) return &file;
  return nullptr;
}

sources::Stat UnsealedFiles::stat(const std::string& path) const {
  if (const auto found = added_.find(path); found != added_.end()) {
    sources::Stat out;
    out.kind = sources::Kind::regular;
    out.size = found->second.size();
    return out;
  }
  auto out = under_.stat(path);
  if (const auto* file = find(path); file != nullptr) out.size = show_ == Show::values ? file->text.size() : file->shown.size();
  return out;
}

Result<std::string> UnsealedFiles::read(const std::string& path, std::uint64_t limit) const {
  if (const auto found = added_.find(path); found != added_.end()) return found->second;
  if (const auto* file = find(path); file != nullptr) return show_ == Show::values ? std::string(file->text.reveal()) : file->shown;
  return under_.read(path, limit);
}

void add_to(compose::Options& options, const ProjectSecrets& secrets, const std::string& folder) {
  if (!secrets.any()) return;
  options.env_files = compose::env_files(options, folder, sources::disk());
  for (const auto& file : secrets.files)
    if (std::ranges::find(options.env_files, file.path) == options.env_files.end()) options.env_files.push_back(file.path);
}

Result<ComposeFeed> compose_feed(const ProjectSecrets& secrets, const std::string& folder, const compose::Options& options, int first_descriptor) {
  ComposeFeed out;
  if (!secrets.any()) {
    for (const auto& file : options.env_files) out.arguments.insert(out.arguments.end(), {"--env-file", file});
    return out;
  }
  for (const auto& file : compose::env_files(options, folder, sources::disk())) {
    const bool sealed = std::ranges::any_of(secrets.files, [&](const auto& one) { return one.path == file; });
    if (!sealed) out.arguments.insert(out.arguments.end(), {"--env-file", file});
  }
  for (const auto& file : secrets.files) {
    // Compose reads the file up to three times by its name: a memory file can be opened again, a pipe could not.
    DM_TRY(auto memory, memory_file("env", file.text.reveal()));
    out.descriptors[first_descriptor] = memory.get();
    out.arguments.insert(out.arguments.end(), {"--env-file", fmt::format("/dev/fd/{}", first_descriptor++)});
    out.memory.push_back(std::move(memory));
  }
  return out;
}

Result<std::vector<std::pair<std::string, SecretString>>> variables_of(const ProjectSecrets& secrets, const std::map<std::string, std::string, std::less<>>& process_environment) {
  // The loader of Compose projects reads the texts, so that references and quotes mean what they mean there.
  sources::MemoryFiles files;
  files.add("/p/compose.yaml", "name: p\nservices: {}\n");
  compose::Options options;
  options.working_directory = "/p";
  options.files = {"/p/compose.yaml"};  // said, since COMPOSE_FILE of the user would choose others
  options.environment = process_environment;
  for (const auto& file : secrets.files)
    for (const auto& name : file.names) options.environment.erase(name);  // what is sealed wins over what is exported
  std::set<std::string, std::less<>> names;
  for (const auto& file : secrets.files) {
    const auto path = fmt::format("/p/{}.env", options.env_files.size());
    files.add(path, std::string(file.text.reveal()));
    options.env_files.push_back(path);
    names.insert(file.names.begin(), file.names.end());
  }
  options.lenient = true;
  const auto loaded = compose::load(options, files);
  for (const auto& diagnostic : loaded.diagnostics)
    if (diagnostic.severity == compose::Trouble::error)
      return fail(Errc::invalid_input, fmt::format("{}: {}", loaded.project->texts.describe(diagnostic.where, "/p"), diagnostic.message));
  std::vector<std::pair<std::string, SecretString>> out;
  for (const auto& name : names)
    if (const auto found = loaded.project->environment.find(name); found != loaded.project->environment.end()) out.emplace_back(name, SecretString(found->second.value));
  return out;
}

Scrubber::Scrubber(std::vector<std::pair<std::string, SecretString>> variables) : variables_(std::move(variables)) {
  std::erase_if(variables_, [](const auto& variable) { return variable.second.size() < 4 || harmless(variable.second.reveal()); });
  std::ranges::sort(variables_, [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
}

std::string Scrubber::clean(std::string_view text) const {
  std::string out(text);
  for (const auto& [name, value] : variables_) {
    const auto with = fmt::format("(sealed {})", name);
    for (auto at = out.find(value.reveal()); at != std::string::npos; at = out.find(value.reveal(), at + with.size())) out.replace(at, value.size(), with);
  }
  return out;
}

}  // namespace dm::secrets
