/// The small changes of form that sections of a service have in common. Internal to the module.
#pragma once

#include <string>
#include <string_view>

#include "compose/stages.hpp"

namespace dm::compose {

/// Text of a scalar as Compose turns it into a string.
std::string scalar_text(const Value& value);

/// Each changes `node[key]` in place, or does nothing where it is missing or of another kind; what is wrong is reported.
class Forms {
 public:
  explicit Forms(Context& context) : context_(context), arena_(context.project.arena) {}

  /// `A=b` lists and maps become a map of strings; a name alone is null (looked up for `environment`).
  void key_values(Value& node, std::string_view key, std::string_view separator, bool environment, bool inherits = true);
  /// A variable without a value takes that of the environment, if there is one.
  void inherit(Entry& item);
  /// All scalars of a map as strings; null is "".
  void string_map(Value* map);
  /// One string becomes a list of it.
  void listify(Value& node, std::string_view key);
  /// All scalars of a list as strings.
  void strings(Value& node, std::string_view key);
  /// A string is split into words as by a shell; where there is none, null is put.
  void command(Value& node, std::string_view key);
  /// A scalar as a string.
  void text_of(Value& node, std::string_view key);
  /// A list of names becomes a map of nulls.
  void named_list(Value& node, std::string_view key);
  /// Secrets and configs: a name becomes `source`; modes become octal text.
  void file_uses(Value& node, std::string_view key, bool targets = true);
  /// A number that was written as text.
  void whole_number(Value& node, std::string_view key);
  /// Numbers; a limit of 0 prints as {}.
  void ulimits(Value& node);
  /// Both forms become a sorted list of HOST=ADDRESS.
  void extra_hosts(Value& node);
  /// A size becomes its number of bytes, as text; 0 and a bare fraction vanish.
  void bytes(Value& node, std::string_view key);
  /// As Go prints it; an error where it is none.
  void duration(Value& node, std::string_view key);
  /// Text of a number becomes that number.
  void real_text(Value& value);

 protected:
  Context& context_;
  Arena& arena_;
};

/// canonical_ports.cpp, canonical_volumes.cpp, canonical_build.cpp: the long forms of these sections.
void canonical_ports(Value& service, Forms& forms, Context& context);
void canonical_volumes(Value& service, Context& context);
void canonical_build(Value& service, Forms& forms, Context& context);
void canonical_deploy(Value& service, Forms& forms, Context& context);

}  // namespace dm::compose
