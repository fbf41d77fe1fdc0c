#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "compose/consistency.hpp"
#include "compose/environment.hpp"
#include "compose/nearest.hpp"
#include "compose/stages.hpp"

namespace dm::compose {
namespace {

using sources::Kind;

constexpr int kMaxIncludes = 64;  // include of include ...; cycles are found by name before
constexpr std::size_t kMaxExtends = 1000;  // extends of extends ...; each is a call

/// What `!reset` marked, before merging, and what it removes from.
void remove_reset(Value& value) {  // NOLINT(misc-no-recursion): bounded by the parser
  if (value.is_mapping()) {
    std::erase_if(*value.entries, [](const Entry& entry) { return entry.value->tag == Tag::reset; });
    for (Entry& entry : *value.entries) remove_reset(*entry.value);
  } else if (value.is_sequence()) {
    for (Value* item : *value.items) remove_reset(*item);
  }
}

/// Removes from `base` what `over` marks with `!reset`.
void apply_reset(Value& base, const Value& over) {  // NOLINT(misc-no-recursion)
  if (!base.is_mapping() || !over.is_mapping()) return;
  for (const Entry& entry : *over.entries) {
    if (entry.value->tag == Tag::reset) erase(base, entry.key);
    else if (Value* below = base.find(entry.key); below != nullptr) apply_reset(*below, *entry.value);
  }
}

/// `- NAME` in an included file takes its value from that include's own env files too.
void inherit_environment(Value& root, const Lookup& lookup, Project& project) {
  Value* services = root.find("services");
  if (services == nullptr || !services->is_mapping()) return;
  for (Entry& service : *services->entries) {
    Value* list = service.value->find("environment");
    if (list == nullptr || !list->is_sequence()) continue;
    for (Value* item : *list->items)
      if (const auto* found = item->is_string() ? lookup(item->text) : nullptr; found != nullptr)
        item->text = project.arena.keep(fmt::format("{}={}", item->text, found->value));
  }
}

/// Takes away what was said from `before` on of a place that has an error already.
void say_once(std::vector<Diagnostic>& all, std::size_t before) {
  std::set<std::pair<FileId, std::uint32_t>> places;
  for (std::size_t i = 0; i < before; ++i)
    if (all[i].severity == Trouble::error) places.emplace(all[i].where.file, all[i].where.span.begin);
  const auto from = all.begin() + static_cast<std::ptrdiff_t>(before);
  all.erase(std::remove_if(from, all.end(), [&](const Diagnostic& one) { return places.contains({one.where.file, one.where.span.begin}); }), all.end());
}

/// In the order of the files; what stands nowhere comes first.
void sort_by_place(std::vector<Diagnostic>& all) {
  std::ranges::stable_sort(all, {}, [](const Diagnostic& one) {
    return std::tuple(static_cast<bool>(one.where), one.where ? one.where.file : FileId{}, one.where ? one.where.span.begin : 0U);
  });
}

/// As Compose finds them: those that were named, else the usual names in the folder or above it. Absolute, "-" for standard input.
std::vector<std::string> main_files(const Options& options, const sources::Files& files) {
  std::vector<std::string> out;
  const auto absolute = [&](std::string_view path) { return sources::clean_path(path, options.working_directory); };
  auto named = options.files;
  if (named.empty()) named = files_from_environment(options, files);
  for (const auto& name : named) out.push_back(name == "-" ? name : absolute(name));
  if (!out.empty()) return out;
  constexpr std::array kNames{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"};
  constexpr std::array kOverrides{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml",
                                  "docker-compose.override.yaml"};
  for (auto folder = options.project_directory.empty() ? options.working_directory : absolute(options.project_directory);; folder = sources::parent_path(folder)) {
    for (const auto* name : kNames) {
      if (files.stat(sources::clean_path(name, folder)).kind == Kind::missing) continue;
      out.push_back(sources::clean_path(name, folder));
      for (const auto* over : kOverrides) {
        if (files.stat(sources::clean_path(over, folder)).kind != Kind::regular) continue;
        out.push_back(sources::clean_path(over, folder));
        break;
      }
      return out;
    }
    if (folder == "/" || options.lenient) return out;
  }
}

std::string folder_of(const Options& options, const std::vector<std::string>& files) {
  if (!options.project_directory.empty()) return sources::clean_path(options.project_directory, options.working_directory);
  return files.empty() || files.front() == "-" ? options.working_directory : sources::parent_path(files.front());
}

class Loader {
 public:
  Loader(const Options& options, Loaded& out)
      : options_(options), project_(*out.project), context_{options, project_, out.diagnostics} {}

  void load(Loaded& out) {
    const auto files = choose_files();
    if (files.empty()) return;
    project_.main_files = files;
    project_.folder = folder_of(options_, files);
    read_environment(context_, project_.folder);
    const Lookup lookup = [this](std::string_view name) { return find_variable(project_, name); };
    Value* root = project_.arena.make(compose::Kind::mapping);
    announce_name(files);
    for (const auto& path : files) {
      std::vector<std::string> chain{path};
      root = add_file(root, path, project_.folder, lookup, chain);
    }
    choose_name(context_, *root, forced_name_);
    if (root->find("services") == nullptr) set(*root, "services", project_.arena.make(compose::Kind::mapping));
    // Errors so far do not hide those of the schema, nor these those of ports, sizes and durations; but what refers to what
    // can be judged only on a sound model.
    const bool sound = !context_.failed();
    if ((!validate(*root, context_) || !sound) && !options_.lenient) {
      const auto before = context_.diagnostics.size();
      if (root->find("services")->is_mapping()) canonicalise(*root, context_);
      say_once(context_.diagnostics, before);
      return;
    }
    if (!options_.interpolate) {
      project_.interpolated = false;
      collect_variables(*root, context_);
    }
    canonicalise(*root, context_);
    apply_defaults(*root, project_.folder, context_);
    project_.model = root;
    choose_profiles(context_, *root);
    read_project(project_);
    if (options_.interpolate) {
      if (options_.resolve_env_files) resolve_env_files(context_);
      resolve_label_files(context_);
      check_sources(context_);
      if (options_.consistency) check_consistency(context_);
    }
    out.usable = root->find("services")->is_mapping() && !root->find("services")->entries->empty();
    out.ok = !context_.failed();
  }

 private:
  std::vector<std::string> choose_files() {
    auto out = main_files(options_, project_.texts.files());
    for (const auto& name : out)
      if (name == "-") stdin_file_ = project_.texts.add("-", options_.stdin_text);
    if (out.empty())
      context_.error({}, fmt::format("no compose file in '{}'", folder_of(options_, out)),
                     "expected compose.yaml, compose.yml, docker-compose.yml or docker-compose.yaml; or name one with -f");
    return out;
  }

  /// The files may use ${COMPOSE_PROJECT_NAME}, so the name is looked for before they are read: a `name:` at the margin.
  void announce_name(const std::vector<std::string>& files) {
    Value* named = project_.arena.make(compose::Kind::mapping);
    for (const auto& path : files) {
      const auto opened = path == "-" ? Result<FileId>(stdin_file_) : project_.texts.open(path);
      if (!opened) continue;  // reported when it is read
      const FileId file = *opened;
      std::string_view text = project_.texts.at(file).content;
      for (std::size_t at = text.starts_with("name:") ? 0 : text.find("\nname:"); at != std::string_view::npos; at = text.find("\nname:", at + 1)) {
        auto value = text.substr(text.find(':', at) + 1);
        value = value.substr(0, std::min(value.find_first_of("\r\n#"), value.size()));
        while (!value.empty() && (value.front() == ' ' || value.front() == '"' || value.front() == '\'')) value.remove_prefix(1);
        while (!value.empty() && (value.back() == ' ' || value.back() == '"' || value.back() == '\'')) value.remove_suffix(1);
        std::string out;
        std::vector<Diagnostic> ignored;
        Context quiet{options_, project_, ignored};
        if (interpolate_text(value, {}, [this](std::string_view name) { return find_variable(project_, name); }, quiet, out, nullptr))
          set(*named, "name", project_.arena.string(out));
      }
    }
    std::vector<Diagnostic> ignored;
    Context quiet{options_, project_, ignored};
    if (const auto* variable = find_variable(project_, "COMPOSE_PROJECT_NAME"); variable != nullptr) forced_name_ = variable->value;
    if (!options_.project_name.empty()) forced_name_ = options_.project_name;
    choose_name(quiet, *named, forced_name_);
    if (find_variable(project_, "COMPOSE_PROJECT_NAME") == nullptr || !options_.project_name.empty())
      project_.environment.insert_or_assign("COMPOSE_PROJECT_NAME", VariableDefinition{project_.name, {}});
  }

  FileId open(const std::string& path, Location asked) {
    if (path == "-") return stdin_file_;
    auto file = project_.texts.open(path);
    if (file) {
      if (std::ranges::find(project_.compose_files, path) == project_.compose_files.end())
        project_.compose_files.push_back(path);
      return *file;
    }
    context_.error(asked, short_path(file.error().message, project_.folder), "check the path");
    return sources::kNoFile;
  }

  /// Parses a file and merges its documents, in order, onto `root`. `folder` is what its relative paths start from.
  Value* add_file(Value* root, const std::string& path, const std::string& folder,  // NOLINT(misc-no-recursion)
                  const Lookup& lookup, std::vector<std::string>& chain, Location asked = {}) {
    const FileId file = open(path, asked);
    if (file == sources::kNoFile) return root;
    const auto documents = parse_documents(file, context_);
    for (Value* document : documents) {
      if (document->is_null() && documents.size() == 1 && !root->entries->empty()) continue;
      if (!document->is_mapping()) {
        context_.error(document->where ? document->where : Location{file, {0, 0}},
                       "top-level object must be a mapping", "a compose file begins with `services:`");
        continue;
      }
      if (options_.interpolate) {
        // Names and x- blocks too: Compose evaluates every value of the file.
        interpolate(*document, lookup, context_);
      }
      extend_services(*document, path, folder, lookup);
      apply_reset(*root, *document);
      remove_reset(*document);
      document = include(document, folder, lookup, chain);
      root = root->entries->empty() ? document : merge(root, document, context_);
    }
    // An empty first file is refused; an empty one after others adds nothing.
    if (documents.empty() && !context_.failed() && root->entries->empty())
      context_.error({file, {0, 0}}, "empty compose file", "a compose file begins with `services:`");
    return root;
  }

  void extend_services(Value& document, const std::string& path, const std::string& folder, const Lookup& lookup) {
    Value* services = document.find("services");
    if (services == nullptr || !services->is_mapping()) return;
    Siblings siblings{services, {}};
    for (Entry& entry : *services->entries) {
      std::vector<std::string> chain;
      entry.value = extended(siblings, entry, path, folder, lookup, chain);
    }
  }

  /// The services of one document; the first `extends` makes the index.
  struct Siblings {
    Value* services = nullptr;
    std::map<std::string_view, Entry*> index;
    Entry* find(std::string_view name) {
      if (index.empty())
        for (Entry& entry : *services->entries) index.emplace(entry.key, &entry);
      const auto found = index.find(name);
      return found != index.end() ? found->second : nullptr;
    }
  };

  /// The service with what it extends merged below it.
  Value* extended(Siblings& siblings, Entry& entry, const std::string& path, const std::string& folder,  // NOLINT
                  const Lookup& lookup, std::vector<std::string>& chain) {
    Value* service = entry.value;
    if (!service->is_mapping()) return service;
    const Value* extends = service->find("extends");
    if (extends == nullptr) return service;
    const auto here = fmt::format("{}#{}", path, entry.key);
    if (std::ranges::find(chain, here) != chain.end()) {
      context_.error(extends->where, fmt::format("circular reference: service '{}' extends itself", entry.key),
                     "break the circle");
      erase(*service, "extends");
      return service;
    }
    if (chain.size() >= kMaxExtends) {
      context_.error(extends->where, fmt::format("'{}' is extended through more than {} services", entry.key, kMaxExtends), "extend what it extends, directly");
      erase(*service, "extends");
      return service;
    }
    chain.push_back(here);
    const auto name = extends->is_string() ? extends->text
                      : extends->find("service") != nullptr ? extends->find("service")->string()
                                                            : std::string_view();
    const Value* file = extends->find("file");
    const Location where = extends->where;
    Value* base = nullptr;
    std::string base_path = path;
    std::string base_folder = folder;
    if (file != nullptr && file->is_string()) {
      base_path = sources::clean_path(file->text, folder);
      base_folder = sources::parent_path(base_path);
      base = service_of_file(base_path, name, base_folder, lookup, chain, where);
    } else if (Entry* sibling = siblings.find(name); sibling != nullptr) {
      sibling->value = extended(siblings, *sibling, path, folder, lookup, chain);  // once, however many extend it
      base = project_.arena.clone(*sibling->value);
    }
    chain.pop_back();
    erase(*service, "extends");
    if (base == nullptr) {
      if (!context_.diagnostics.empty() && context_.diagnostics.back().where.span.begin == where.span.begin) return service;  // the file is missing
      Nearest nearest(name);
      if (file == nullptr)
        for (const Entry& sibling : *siblings.services->entries) nearest.offer(sibling.key);
      context_.error(where, fmt::format("service '{}' extends '{}', which is not in {}", entry.key, name, file != nullptr ? file->text : "this file"),
                     nearest.hint("check the name"));
      return service;
    }
    if (base->is_mapping()) {
      if (base_folder != folder) move_paths(*base, base_folder, context_);
      apply_reset(*base, *service);
      Value* wrapped_base = wrap(entry.key, base);
      Value* wrapped = wrap(entry.key, service);
      return merge(wrapped_base, wrapped, context_)->find("services")->find(entry.key);
    }
    return service;
  }

  Value* wrap(std::string_view key, Value* service) {
    Value* services = project_.arena.make(compose::Kind::mapping);
    services->entries->push_back({key, {}, service});
    Value* root = project_.arena.make(compose::Kind::mapping);
    root->entries->push_back({"services", {}, services});
    return root;
  }

  Value* service_of_file(const std::string& path, std::string_view name, const std::string& folder,  // NOLINT
                         const Lookup& lookup, std::vector<std::string>& chain, Location where) {
    const FileId file = open(path, where);
    if (file == sources::kNoFile) return nullptr;
    Value* found = nullptr;
    for (Value* document : parse_documents(file, context_)) {
      Value* services = document->is_mapping() ? document->find("services") : nullptr;
      if (services == nullptr || !services->is_mapping()) continue;
      if (options_.interpolate) interpolate(*document, lookup, context_);
      Siblings siblings{services, {}};
      for (Entry& entry : *services->entries)
        if (entry.key == name) found = extended(siblings, entry, path, folder, lookup, chain);
    }
    return found;
  }

  /// Reads what `include:` names and merges `document` onto it.
  Value* include(Value* document, const std::string& folder, const Lookup& lookup,  // NOLINT(misc-no-recursion)
                 std::vector<std::string>& chain) {
    Value* entries = document->find("include");
    if (entries == nullptr) return document;
    Value* included = project_.arena.make(compose::Kind::mapping, document->where);
    if (entries->is_sequence())
      for (Value* entry : *entries->items) include_one(*included, *entry, folder, lookup, chain);
    else if (!entries->is_null())
      context_.error(entries->where, "`include` must be a list", "write `include: [FILE]`");
    erase(*document, "include");
    for (const auto section : {"services", "networks", "volumes", "secrets", "configs"}) {
      const Value* own = document->find(section);
      const Value* theirs = included->find(section);
      if (own == nullptr || theirs == nullptr || !own->is_mapping() || !theirs->is_mapping()) continue;
      for (const Entry& entry : *own->entries)
        if (const Value* other = theirs->find(entry.key); other != nullptr && !equal(*other, *entry.value))
          context_.error(entry.key_where, fmt::format("{}.{} conflicts with an imported resource", section, entry.key),
                         "an included resource can be changed only by a later -f file");
    }
    return merge(included, document, context_);
  }

  void include_one(Value& into, const Value& entry, const std::string& folder, const Lookup& lookup,  // NOLINT
                   std::vector<std::string>& chain) {
    const Value* path = entry.is_mapping() ? entry.find("path") : &entry;
    std::vector<std::string> paths;
    if (path != nullptr && path->is_string()) paths.push_back(sources::clean_path(path->text, folder));
    if (path != nullptr && path->is_sequence())
      for (const Value* item : *path->items) paths.push_back(sources::clean_path(item->text, folder));
    if (paths.empty()) {
      context_.warn(entry.where, "this include entry has no `path`, so it includes nothing", "write `- path: FILE`");
      return;
    }
    const Value* own_folder = entry.find("project_directory");
    const auto base = own_folder != nullptr ? sources::clean_path(own_folder->text, folder) : sources::parent_path(paths[0]);
    const Environment scope = environment_of_include(context_, entry, base, folder);
    const Lookup inner = [&](std::string_view name) {
      const auto* outer = lookup(name);
      return outer != nullptr ? outer : scope.find(name);
    };
    // Where the folder that is named does not exist, Compose takes relative paths from the one above it.
    const bool above = own_folder != nullptr && !own_folder->text.starts_with('/') && project_.texts.files().stat(base).kind != Kind::directory;
    const auto paths_from = above ? sources::parent_path(base) : base;
    Value* root = project_.arena.make(compose::Kind::mapping);
    for (const auto& file : paths) {
      if (std::ranges::find(chain, file) != chain.end() || chain.size() > kMaxIncludes) {
        context_.error(entry.where, fmt::format("include cycle detected: '{}' includes itself", sources::relative_to(file, project_.folder)), "break the circle");
        return;
      }
      chain.push_back(file);
      root = add_file(root, file, base, inner, chain, entry.where);
      chain.pop_back();
    }
    move_all_paths(*root, paths_from, context_);
    inherit_environment(*root, inner, project_);
    for (const Entry& section : *root->entries) {
      if (section.key == "name" || section.key == "version" || section.key.starts_with("x-")) continue;
      Value* known = into.find(section.key);
      if (known == nullptr) {
        into.entries->push_back(section);
        continue;
      }
      if (!known->is_mapping() || !section.value->is_mapping()) continue;
      for (const Entry& item : *section.value->entries) {
        const Value* other = known->find(item.key);
        if (other == nullptr) known->entries->push_back(item);
        else if (!equal(*other, *item.value))
          context_.error(item.key_where, fmt::format("{}.{} conflicts with an imported resource", section.key, item.key),
                         "two included files define it differently: rename one");
      }
    }
  }

  const Options& options_;
  Project& project_;
  Context context_;
  FileId stdin_file_ = sources::kNoFile;
  std::string forced_name_;  // -p or COMPOSE_PROJECT_NAME
};

}  // namespace

std::string project_folder(const Options& options, const sources::Files& files) { return folder_of(options, main_files(options, files)); }

Loaded load(const Options& options, const sources::Files& files) {
  Loaded out;
  out.project = std::make_unique<Project>(files);
  Loader(options, out).load(out);
  sort_by_place(out.diagnostics);
  return out;
}

}  // namespace dm::compose
