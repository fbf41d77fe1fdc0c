/// The product files, compiled in by dm_embed.
#pragma once

#include <span>
#include <string_view>

namespace dm::product {

struct EmbeddedFile {
  std::string_view name;     ///< "postgres.yaml"
  std::string_view content;
};

std::span<const EmbeddedFile> embedded_files();

}  // namespace dm::product
