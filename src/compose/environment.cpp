#include "compose/environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "formats/dotenv.hpp"

namespace dm::compose {
namespace {

constexpr std::string_view kNothing = "/dev/null";  ///< as an env file: the usual way to say "none"; a device is never read

bool set_in(const Options& options, std::string_view name, std::string& out) {
  const auto found = options.environment.find(name);
  if (found == options.environment.end()) return false;
  out = found->second;
  return true;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto at = std::min(text.find(separator), text.size());
    auto part = text.substr(0, at);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) out.emplace_back(part);
    text.remove_prefix(std::min(at + 1, text.size()));
  }
  return out;
}

/// Adds the file's variables to `into`; names that the process sets keep that value. `lookup` is asked first in references.
void read_dotenv(Context& context, FileId file, const Lookup& lookup,
                 std::map<std::string, VariableDefinition, std::less<>>& into) {
  const auto& source = context.project.texts.at(file);
  const formats::Expand expand = [&](std::string_view raw, const std::vector<formats::DotenvEntry>& so_far,
                                     std::string& out) {
    VariableDefinition earlier;
    const Lookup both = [&](std::string_view name) -> const VariableDefinition* {
      if (const auto* found = lookup(name); found != nullptr) return found;
      for (auto entry = so_far.rbegin(); entry != so_far.rend(); ++entry) {
        if (entry->key != name) continue;
        earlier.value = entry->value;
        return &earlier;
      }
      const auto known = into.find(name);
      return known != into.end() ? &known->second : nullptr;
    };
    return interpolate_text(raw, {file, {0, 0}}, both, context, out, nullptr);
  };
  const auto parsed = formats::parse_dotenv(source.content, expand);
  for (const auto& error : parsed.errors)
    context.error({file, error.where}, error.message, "write KEY=value, one to a line");
  for (const auto& entry : parsed.entries) {
    if (entry.inherits) {
      if (const auto* found = lookup(entry.key); found != nullptr) into.insert_or_assign(entry.key, *found);
      continue;
    }
    into.insert_or_assign(entry.key, VariableDefinition{entry.value, {file, {entry.key_span.begin, entry.value_span.end}}});
  }
}

bool name_is_clean(std::string_view name) {
  const auto fine = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  return !name.empty() && name.front() != '-' && name.front() != '_' && std::ranges::all_of(name, fine);
}

std::string cleaned_name(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || ((c == '_' || c == '-') && !out.empty())) out += c;
  }
  return out;
}

}  // namespace

const VariableDefinition* Environment::find(std::string_view name) const {
  const auto found = variables.find(name);
  return found != variables.end() ? &found->second : nullptr;
}

const VariableDefinition* find_variable(const Project& project, std::string_view name) {
  const auto found = project.environment.find(name);
  return found != project.environment.end() ? &found->second : nullptr;
}

std::vector<std::string> files_from_environment(const Options& options, const sources::Files& files) {
  std::string value;
  char separator = ':';
  if (std::string chosen; set_in(options, "COMPOSE_PATH_SEPARATOR", chosen) && !chosen.empty()) separator = chosen[0];
  if (set_in(options, "COMPOSE_FILE", value)) return split(value, separator);
  const auto folder = options.project_directory.empty()
                          ? options.working_directory
                          : sources::clean_path(options.project_directory, options.working_directory);
  const auto text = files.read(sources::clean_path(".env", folder));
  if (!text) return {};
  const formats::Expand plain = [](std::string_view raw, const std::vector<formats::DotenvEntry>&, std::string& out) {
    out = raw;
    return true;
  };
  for (const auto& entry : formats::parse_dotenv(*text, plain).entries)
    if (entry.key == "COMPOSE_FILE") value = entry.value;
  return split(value, separator);
}

std::vector<std::string> env_files(const Options& options, const std::string& folder, const sources::Files& files) {
  std::vector<std::string> out;
  for (const auto& name : options.env_files) out.push_back(sources::clean_path(name, options.working_directory));
  if (std::string named; out.empty() && set_in(options, "COMPOSE_ENV_FILES", named))
    for (const auto& name : split(named, ',')) out.push_back(sources::clean_path(name, options.working_directory));
  if (!out.empty()) return out;
  std::string disabled;
  set_in(options, "COMPOSE_DISABLE_ENV_FILE", disabled);
  constexpr std::array kTrue{"1", "t", "T", "true", "TRUE", "True"};
  const auto usual = sources::clean_path(".env", folder);
  const auto kind = files.stat(usual).kind;  // one that may not be read is an error, in Compose too: not the same as none
  if (std::ranges::find(kTrue, disabled) == kTrue.end() && (kind == sources::Kind::regular || kind == sources::Kind::unreadable)) out.push_back(usual);
  return out;
}

void read_environment(Context& context, const std::string& folder) {
  const Options& options = context.options;
  auto& variables = context.project.environment;
  std::map<std::string, VariableDefinition, std::less<>> process;
  for (const auto& [name, value] : options.environment) process.emplace(name, VariableDefinition{value, {}});
  process.insert_or_assign("PWD", VariableDefinition{options.working_directory, {}});
  const Lookup lookup = [&](std::string_view name) -> const VariableDefinition* {
    const auto found = process.find(name);
    return found != process.end() ? &found->second : nullptr;
  };
  for (const auto& path : env_files(options, folder, context.project.texts.files())) {
    if (path == kNothing) continue;
    const auto file = context.project.texts.open(path);
    if (!file) {
      context.error({}, file.error().message, !options.env_files.empty() ? "check --env-file" : path == sources::clean_path(".env", folder) ? "let this user read it; its variables would be missing"
                                                                                                                                : "check COMPOSE_ENV_FILES");
      continue;
    }
    context.project.dotenv_files.push_back(path);
    read_dotenv(context, *file, lookup, variables);
  }
  for (auto& [name, definition] : process) variables.insert_or_assign(name, std::move(definition));
}

Environment environment_of_include(Context& context, const Value& entry, const std::string& base,
                                   const std::string& folder) {
  Environment out;
  std::vector<std::string> paths;
  const Value* named = entry.find("env_file");
  if (named != nullptr && named->is_string()) paths.push_back(sources::clean_path(named->text, folder));
  if (named != nullptr && named->is_sequence())
    for (const Value* item : *named->items) paths.push_back(sources::clean_path(item->text, folder));
  const bool asked = named != nullptr && !named->is_null();
  if (!asked) paths.push_back(sources::clean_path(".env", base));
  const Lookup lookup = [&](std::string_view name) { return find_variable(context.project, name); };
  for (const auto& path : paths) {
    if (path == kNothing) continue;
    if (const auto kind = context.project.texts.files().stat(path).kind; !asked && kind != sources::Kind::regular && kind != sources::Kind::unreadable) continue;
    const auto file = context.project.texts.open(path);
    if (!file) context.error(named != nullptr ? named->where : entry.where, short_path(file.error().message, context.project.folder), "check the path");
    else read_dotenv(context, *file, lookup, out.variables);
  }
  return out;
}

void choose_name(Context& context, Value& root, std::string_view forced) {
  Project& project = context.project;
  const Value* written = root.find("name");
  if (written != nullptr && !written->is_string()) context.error(written->where, "name must be a string", "quote it");
  if (!forced.empty()) {
    if (!name_is_clean(forced))
      context.error({}, fmt::format("invalid project name '{}'", forced),
                    "lower-case letters, digits, '-' and '_', beginning with a letter or digit");
    project.name = forced;
  } else if (written != nullptr && written->is_string() && !written->text.empty()) {
    project.name = context.options.normalize ? cleaned_name(written->text) : std::string(written->text);
    if (project.name.empty())
      context.error(written->where, fmt::format("invalid project name '{}'", written->text), "use letters and digits");
  } else {
    project.name = cleaned_name(sources::file_name(project.folder));
    if (project.name.empty())
      context.error({}, "project name must not be empty: the folder's name has no letter or digit", "give one with -p");
  }
  set(root, "name", project.arena.string(project.name));
}

void choose_profiles(Context& context, const Value& /*root*/) {
  Project& project = context.project;
  project.profiles = context.options.profiles;
  if (const auto* variable = find_variable(project, "COMPOSE_PROFILES"); variable != nullptr && project.profiles.empty())
    project.profiles = split(variable->value, ',');
}

void resolve_env_files(Context& context) {
  Project& project = context.project;
  for (Service& service : project.services) {
    if (!service.enabled && !context.options.lenient) continue;
    auto* node = const_cast<Value*>(service.node);  // the model is ours until load() returns
    const Value* entries = node->find("env_file");
    if (entries != nullptr && !entries->is_sequence()) continue;  // reported by the schema
    if (entries == nullptr) continue;
    std::map<std::string, VariableDefinition, std::less<>> own;
    for (const EnvVar& variable : service.environment)
      if (variable.value && !variable.value.node->is_null()) own[std::string(variable.name)] = {std::string(variable.value.value), {}};
    const Lookup lookup = [&](std::string_view name) -> const VariableDefinition* {
      if (const auto* found = find_variable(project, name); found != nullptr) return found;
      const auto known = own.find(name);
      return known != own.end() ? &known->second : nullptr;
    };
    std::map<std::string, VariableDefinition, std::less<>> merged;
    std::vector<std::string> unset;
    for (const Value* entry : *entries->items) {
      const Value* path = entry->find("path");
      const Value* required = entry->find("required");
      if (path == nullptr || path->text == kNothing) continue;
      const auto file = project.texts.open(sources::clean_path(path->text, context.options.working_directory));
      if (!file) {
        if (required == nullptr || required->kind != Kind::boolean || required->boolean)
          context.error(path->where ? path->where : entry->where, fmt::format("env file of service '{}': {}", service.name, short_path(file.error().message, project.folder)),
                        "create it, or write `required: false`");
        continue;
      }
      const Value* format = entry->find("format");
      if (format != nullptr && !format->string().empty() && format->string() != "raw") {
        context.error(format->where, fmt::format("unsupported env_file format '{}'", format->text), "raw, or none");
        continue;
      }
      if (format != nullptr && format->string() == "raw") {
        const auto raw = formats::parse_dotenv_raw(project.texts.at(*file).content);
        for (const auto& error : raw.errors) context.error({*file, error.where}, error.message, "write KEY=value, one to a line");
        for (const auto& line : raw.entries) {
          const auto* inherited = line.inherits ? find_variable(project, line.key) : nullptr;
          if (inherited != nullptr) merged.insert_or_assign(line.key, *inherited);
          else if (!line.inherits) merged.insert_or_assign(line.key, VariableDefinition{line.value, {*file, line.key_span}});
        }
      } else {
        read_dotenv(context, *file, lookup, merged);
      }
    }
    Value* environment = node->find("environment");
    if (environment == nullptr || !environment->is_mapping()) {
      environment = project.arena.make(Kind::mapping);
      set(*node, "environment", environment);
    }
    for (const auto& [name, definition] : merged) {
      if (environment->find(name) != nullptr) continue;
      Value* value = project.arena.string(definition.value, definition.where);
      const auto key = project.arena.keep(name);
      environment->entries->push_back({key, definition.where, value});
      service.environment.push_back({key, {value->text, value}, definition.where, true});
    }
    erase(*node, "env_file");
  }
}

std::string short_path(std::string message, const std::string& folder) {
  const auto prefix = folder + "/";
  if (const auto at = message.find(prefix); at != std::string::npos && folder.size() > 1) message.erase(at, prefix.size());
  return message;
}

void resolve_label_files(Context& context) {
  Project& project = context.project;
  for (Service& service : project.services) {
    if (!service.enabled && !context.options.lenient) continue;
    auto* node = const_cast<Value*>(service.node);  // the model is ours until load() returns
    const Value* paths = node->find("label_file");
    if (paths == nullptr || !paths->is_sequence()) continue;
    std::map<std::string, VariableDefinition, std::less<>> labels;
    const Lookup lookup = [&](std::string_view name) { return find_variable(project, name); };
    for (const Value* path : *paths->items) {
      const auto file = project.texts.open(std::string(path->text));
      if (!file) context.error(path->where, fmt::format("label file of service '{}': {}", service.name, short_path(file.error().message, project.folder)), "create it");
      else read_dotenv(context, *file, lookup, labels);
    }
    Value* own = node->find("labels");
    if (own == nullptr || !own->is_mapping()) {
      own = project.arena.make(Kind::mapping);
      set(*node, "labels", own);
    }
    for (const auto& [name, definition] : labels) {
      if (own->find(name) != nullptr) continue;
      Value* value = project.arena.string(definition.value, definition.where);
      const auto key = project.arena.keep(name);
      own->entries->push_back({key, definition.where, value});
      service.labels.push_back({key, {value->text, value}});
    }
  }
}

bool equal(const Value& a, const Value& b) {  // NOLINT(misc-no-recursion): bounded by the parser
  if (a.kind != b.kind) return false;
  if (a.is_sequence())
    return std::ranges::equal(*a.items, *b.items, [](const Value* x, const Value* y) { return equal(*x, *y); });
  if (!a.is_mapping()) return a.text == b.text;
  if (a.entries->size() != b.entries->size()) return false;
  return std::ranges::all_of(*a.entries, [&](const Entry& entry) {
    const Value* other = b.find(entry.key);
    return other != nullptr && equal(*entry.value, *other);
  });
}

}  // namespace dm::compose
