/// The files of stack/, compiled in by dm_embed_tree.
#pragma once

#include <span>
#include <string_view>

namespace dm::scaffold {

struct EmbeddedFile {
  std::string_view name;     ///< below stack/: "postgres/init/init.sh"
  std::string_view content;
  bool executable = false;
};

/// In order of their names.
std::span<const EmbeddedFile> embedded_files();

}  // namespace dm::scaffold
