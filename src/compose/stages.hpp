/// The steps of loading, in their order. Each is a function over values; problems go to `Trouble`'s list and the step goes
/// on where it can, so that one run names all independent errors of a file. Internal to the module.
///
///   per file and document: parse -> interpolate -> extends -> reset/override -> include -> merge
///   on the whole:          unique lists -> validate (schema) -> canonicalise (short to long) -> defaults, paths, names
///                          -> profiles, consistency -> env files -> read_project
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compose/load.hpp"

namespace dm::compose {

/// What all steps share.
struct Context {
  const Options& options;
  Project& project;
  std::vector<Diagnostic>& diagnostics;
  std::set<std::string, std::less<>> unset_variables = {};  ///< warned of already: each name once
  void error(Location where, std::string message, std::string hint = {});
  void warn(Location where, std::string message, std::string hint = {});
  bool failed() const;  ///< an error was reported
};

/// parse.cpp: all documents of a file, scalars resolved as yaml.v3 resolves them, aliases copied, `<<` merged.
/// Reports and leaves out what cannot be read. Keys are strings (Compose rejects others).
std::vector<Value*> parse_documents(FileId file, Context& context);

/// Looks a variable up; null if it has no value.
using Lookup = std::function<const VariableDefinition*(std::string_view name)>;

/// interpolate.cpp: replaces variables in every value (not keys) of `root`, casts as Compose casts, records each use in
/// `project.variables`.
void interpolate(Value& root, const Lookup& lookup, Context& context);
/// Only records in `project.variables` what `interpolate` would replace.
void collect_variables(Value& root, Context& context);
/// One string: the same rules, for dotenv and tests. On error returns false and reports at `where`.
bool interpolate_text(std::string_view raw, Location where, const Lookup& lookup, Context& context, std::string& out,
                      std::vector<Segment>* segments = nullptr);

/// merge.cpp: `over` onto `base` by Compose's rules per path; changes and returns `base`.
Value* merge(Value* base, Value* over, Context& context);
/// extends.cpp / include.cpp / reset handling are called by load.cpp only.

/// schema.cpp: checks the merged tree against the Compose schema (a table of ours): unknown keys, kinds, formats.
/// True if it found nothing wrong.
bool validate(const Value& root, Context& context);

/// canonical.cpp: short forms to long, bytes, durations, ports, mounts, unique lists, command strings split.
void canonicalise(Value& root, Context& context);

/// defaults.cpp: names, default network, paths made absolute against `folder`, implied depends_on, cleaned targets.
void apply_defaults(Value& root, std::string_view folder, Context& context);

}  // namespace dm::compose
