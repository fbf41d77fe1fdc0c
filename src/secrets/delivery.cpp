#include "secrets/delivery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/files.hpp"
#include "formats/dotenv.hpp"
#include "secrets/crypto.hpp"
#include "secrets/sealed.hpp"
#include "sensitive/sealed_whole.hpp"
#include "sensitive/sensitive.hpp"
#include "text/span.hpp"

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

/// The names of an env file that is sealed as a whole, and its lines with placeholders. Errors: `unsupported` where it is none, with the line.
Result<ProjectSecrets::File> whole_file(const std::string& path, SecretString text) {
  const auto parsed = formats::parse_dotenv(text.reveal(), [](std::string_view, const std::vector<formats::DotenvEntry>&, std::string& out) {
    out.clear();
    return true;
  });
  const text::LineIndex lines(text.reveal());
  if (!parsed.errors.empty())
    return fail_as(kCannotDecrypt, Errc::unsupported, fmt::format("what is sealed in '{}' is no env file: Compose cannot read line {}", path, lines.position(text.reveal(), parsed.errors[0].where.begin).line));
  ProjectSecrets::File out;
  std::size_t line = 1;
  for (const auto& entry : parsed.entries) {
    for (const auto at = lines.position(text.reveal(), entry.key_span.begin).line; line < at; ++line) out.shown += '\n';
    out.shown += fmt::format("{0}=sealed.{0}", entry.key);
    if (!out.has(entry.key)) out.names.push_back(entry.key);
  }
  out.shown += '\n';
  out.path = path;
  out.text = std::move(text);
  out.whole = true;
  return out;
}

Result<ProjectSecrets::File> opened_file(const SealedFile& file, SecretString text) {
  if (file.opened.document.store == Store::binary) return whole_file(file.path, std::move(text));
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

namespace {

/// Those of the folder, then those that were named and lie elsewhere.
std::vector<std::string> paths_of(const std::string& folder, const compose::Options& options) {
  auto out = sealed_env_files(sources::disk(), folder);
  for (const auto& path : compose::env_files(options, folder, sources::disk())) {
    const auto text = sources::disk().read(path, kMaxSealed);
    const auto store = text ? sealed_store(*text) : std::nullopt;
    if (store && holds_variables(*store) && std::ranges::find(out, path) == out.end()) out.push_back(path);
  }
  return out;
}

/// What services name, is sealed, and is not known yet.
std::vector<ServiceFile> unknown_service_files(const ProjectSecrets& secrets, const compose::Project& project) {
  auto out = sealed_service_files(project);
  std::erase_if(out, [&](const ServiceFile& file) { return secrets.file(file.path) != nullptr; });
  return out;
}

}  // namespace

std::vector<ServiceFile> sealed_service_files(const compose::Project& project) {
  std::vector<ServiceFile> out;
  for (const auto& service : project.services) {
    if (!service.enabled) continue;
    for (const auto& named : service.env_files) {
      auto path = sources::clean_path(named.value, project.folder);
      if (const auto known = std::ranges::find(out, path, &ServiceFile::path); known != out.end()) {
        known->services.emplace_back(service.name);
        continue;
      }
      const auto text = sources::disk().read(path, kMaxSealed);
      const auto store = text ? sealed_store(*text) : std::nullopt;
      if (store) out.push_back({std::move(path), *store, {std::string(service.name)}});
    }
  }
  return out;
}

std::string by_values_hint(std::string_view path) { return fmt::format("seal it by its values: datamancy secrets open '{}' | datamancy secrets seal - -o NEW.enc.env", path); }

std::string_view rotated_name(std::string_view name) {
  for (const auto end : {kNext, kPrevious})
    if (name.ends_with(end)) return name.substr(0, name.size() - end.size());
  return {};
}

const ProjectSecrets::File* ProjectSecrets::file(std::string_view path) const {
  for (const auto* list : {&files, &service_files})
    for (const auto& file : *list)
      if (file.path == path) return &file;
  return nullptr;
}

bool ProjectSecrets::sealed(std::string_view name) const {
  return std::ranges::any_of(files, [&](const File& file) { return file.has(name); });
}

Result<ProjectSecrets> only(const SealedFile& file) {
  if (!holds_variables(file.opened.document.store)) return fail(Errc::unsupported, fmt::format("'{}' is sealed as {}, which holds no variables for Compose", file.path, to_string(file.opened.document.store)));
  DM_TRY(auto text, plain_text(file.opened));
  DM_TRY(auto opened, opened_file(file, std::move(text)));
  ProjectSecrets out;
  out.files.push_back(std::move(opened));
  return out;
}

Result<ProjectSecrets> environment_for(const std::string& folder, const compose::Options& options, const KeySources& sources) {
  ProjectSecrets out;
  const auto paths = paths_of(folder, options);
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

namespace {

/// Adds each of the files that can be read, with placeholders.
void add_placeholders(const std::vector<std::string>& paths, KeySources sources, std::vector<ProjectSecrets::File>& out) {
  if (paths.empty()) return;
  sources.ask = {};
  auto keys = Keyring::load(std::move(sources));
  for (const auto& path : paths) {
    const auto text = sources::disk().read(path, kMaxSealed);
    auto document = text ? parse_sealed(*text) : Result<Document>(fail(text.error()));
    if (!document) continue;
    ProjectSecrets::File file{path, {}, std::string(sensitive::kSealedAsAWhole), {}};
    if (document->store != Store::binary)
      for (const auto& leaf : document->leaves)
        if (leaf.type != LeafType::comment) file.names.push_back(leaf.path.at(0));
    const bool own = keys && std::ranges::any_of(document->sops.age, [](const AgeKey& key) { return recipient_kind(key.recipient) == RecipientKind::x25519; });
    auto opened = own ? open_sealed_text(*text, *keys) : Result<Opened>(fail(Errc::denied, "no key"));
    if (document->store != Store::binary) file.shown = placeholders(*document, opened ? &*opened : nullptr);
    else if (auto plain = opened ? plain_text(*opened) : Result<SecretString>(fail(Errc::denied, "no key")); plain) {
      if (auto whole = whole_file(path, *std::move(plain))) file = *std::move(whole);
      file.text = {};
    }
    file.whole = document->store == Store::binary;
    out.push_back(std::move(file));
  }
}

}  // namespace

ProjectSecrets placeholders_for(const std::string& folder, const compose::Options& options, KeySources sources) {
  ProjectSecrets out;
  add_placeholders(paths_of(folder, options), std::move(sources), out.files);
  return out;
}

compose::Loaded load_with_placeholders(const compose::Options& options, ProjectSecrets& secrets, const UnsealedFiles& files, KeySources sources) {
  auto loaded = compose::load(options, files);
  std::vector<std::string> paths;
  for (auto& file : unknown_service_files(secrets, *loaded.project))
    if (holds_variables(file.store)) paths.push_back(std::move(file.path));
  const auto before = secrets.service_files.size();
  add_placeholders(paths, std::move(sources), secrets.service_files);
  return secrets.service_files.size() > before ? compose::load(options, files) : std::move(loaded);
}

Result<compose::Loaded> load_with_values(const compose::Options& options, ProjectSecrets& secrets, const UnsealedFiles& files, const KeySources& sources) {
  auto loaded = compose::load(options, files);
  const auto named = unknown_service_files(secrets, *loaded.project);
  if (named.empty()) return loaded;
  DM_TRY(auto keys, Keyring::load(sources));
  for (const auto& one : named) {
    if (!holds_variables(one.store))
      return fail_as(kCannotDecrypt, Errc::unsupported, fmt::format("'{}' stands under env_file of {} and is sealed as {}, which holds no variables for Compose: write its values as NAME=value into a file of its own ('datamancy secrets "
                                                                    "set NAME --in {}')", one.path, fmt::join(one.services, ", "), to_string(one.store), "NEW.enc.env"));
    SecretString data_key;
    DM_TRY(auto file, open_env(one.path, keys, data_key));
    file.mark_key = hkdf(data_key.reveal(), {}, "datamancy/secrets/mark");
    secrets.service_files.push_back(std::move(file));
  }
  return compose::load(options, files);
}

bool UnsealedFiles::secret(std::string_view path) const {
  if (const auto found = added_.find(path); found != added_.end()) return found->second.secret;
  return show_ == Show::values && secrets_.file(path) != nullptr;
}

sources::Stat UnsealedFiles::stat(const std::string& path) const {
  if (const auto found = added_.find(path); found != added_.end()) {
    sources::Stat out;
    out.kind = sources::Kind::regular;
    out.size = found->second.text.size();
    return out;
  }
  auto out = under_.stat(path);
  if (const auto* file = secrets_.file(path); file != nullptr) out.size = show_ == Show::values ? file->text.size() : file->shown.size();
  return out;
}

Result<std::string> UnsealedFiles::read(const std::string& path, std::uint64_t limit) const {
  if (const auto found = added_.find(path); found != added_.end()) return std::string(found->second.text.reveal());
  if (const auto* file = secrets_.file(path); file != nullptr) return show_ == Show::values ? std::string(file->text.reveal()) : file->shown;
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

namespace {

/// The variables that the last of `texts` sets, or where `all` any of them.
Result<void> read_variables(const std::vector<const ProjectSecrets::File*>& texts, bool all, const std::map<std::string, std::string, std::less<>>& process_environment,
                            std::vector<std::pair<std::string, SecretString>>& out) {
  // The loader of Compose projects reads the texts, so that references and quotes mean what they mean there.
  sources::MemoryFiles files;
  files.add("/p/compose.yaml", "name: p\nservices: {}\n");
  compose::Options options;
  options.working_directory = "/p";
  options.files = {"/p/compose.yaml"};  // said, since COMPOSE_FILE of the user would choose others
  options.environment = process_environment;
  std::set<std::string, std::less<>> names;
  for (const auto* file : texts) {
    for (const auto& name : file->names) options.environment.erase(name);  // what is sealed wins over what is exported
    const auto path = fmt::format("/p/{}.env", options.env_files.size());
    files.add(path, std::string(file->text.reveal()));
    options.env_files.push_back(path);
    if (all || file == texts.back()) names.insert(file->names.begin(), file->names.end());
  }
  options.lenient = true;
  const auto loaded = compose::load(options, files);
  for (const auto& diagnostic : loaded.diagnostics)
    if (diagnostic.severity == compose::Trouble::error)
      return fail(Errc::invalid_input, fmt::format("{}: {}", loaded.project->texts.describe(diagnostic.where, "/p"), diagnostic.message));
  for (const auto& name : names)
    if (const auto found = loaded.project->environment.find(name); found != loaded.project->environment.end()) out.emplace_back(name, SecretString(found->second.value));
  return {};
}

}  // namespace

Result<std::vector<std::pair<std::string, SecretString>>> variables_of(const ProjectSecrets& secrets, const std::map<std::string, std::string, std::less<>>& process_environment) {
  std::vector<std::pair<std::string, SecretString>> out;
  std::vector<const ProjectSecrets::File*> texts;
  for (const auto& file : secrets.files) texts.push_back(&file);
  if (!texts.empty()) DM_CHECK(read_variables(texts, true, process_environment, out));
  for (const auto& file : secrets.service_files) {
    texts.push_back(&file);
    DM_CHECK(read_variables(texts, false, process_environment, out));
    texts.pop_back();
  }
  return out;
}

Result<std::vector<std::pair<std::string, SecretString>>> variables_of(const ProjectSecrets& secrets, const ProjectSecrets::File& file, const std::map<std::string, std::string, std::less<>>& process_environment) {
  std::vector<std::pair<std::string, SecretString>> out;
  std::vector<const ProjectSecrets::File*> texts;
  for (const auto& one : secrets.files)
    if (&one != &file) texts.push_back(&one);
  texts.push_back(&file);
  DM_CHECK(read_variables(texts, false, process_environment, out));
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
