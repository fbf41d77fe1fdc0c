/// Reads our dumps of Qdrant collections (drivers/qdrant.cpp writes them).
#pragma once

#include "backup/record_stream.hpp"

namespace dm::backup {

/// Records: "about" (JSON: collection, server), "config" (how it was made), "index" (JSON: field and its schema), "point" (one, with
/// vectors and payload, as the server writes it), "alias" (JSON: name and collection). Part "points", a row each. Schema: the rest.
class QdrantStream final : public DumpReader {
 public:
  QdrantStream();
  Result<void> take(std::string_view bytes) override { return parser_.take(bytes); }
  Result<Fingerprint> finish() override;

 private:
  Result<void> record(std::string_view tag, std::string_view bytes);
  RecordParser parser_;
  bool about_ = false;
  std::string producer_;
  Part points_{.name = "points"};
  Hash128 schema_{};
  std::uint64_t statements_ = 0;
};

}  // namespace dm::backup
