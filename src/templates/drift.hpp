/// What was rendered, as a list of keyed hashes, and how it differs from what is there now.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dm::templates {

/// HMAC-SHA-256 in hexadecimal digits. With a key that is itself a secret, the hash of a short password can not be searched for.
std::string keyed_hash(std::string_view key, std::string_view bytes);

/// By file name below the folder of rendered files.
using Hashes = std::map<std::string, std::string, std::less<>>;

struct Drift {
  enum class Kind { never_rendered, outdated, edited, missing, left_over } kind;
  std::string file;
  std::string describe() const;
};

/// `fresh`: hashes of rendering now; `recorded`: of the last rendering; `present`: of the files that are there (absent: no entry).
/// outdated: template or variable changed since; edited: the file was changed by another hand; left_over: recorded, no longer made.
std::vector<Drift> compare(const Hashes& fresh, const Hashes& recorded, const Hashes& present);

/// The list as a file: "HASH  NAME" lines under a comment.
std::string write_list(const Hashes& hashes);
/// Errors: `invalid_input` with the line.
Result<Hashes> read_list(std::string_view text);

}  // namespace dm::templates
