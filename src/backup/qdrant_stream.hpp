/// Reads our dumps of Qdrant collections (drivers/qdrant.cpp writes them).
#pragma once

#include "backup/record_stream.hpp"

namespace dm::backup {

/// Records: "about" (JSON: collection, server), "config" (how it was made), "index" (JSON: field and its schema), "point" (one, with
/// vectors and payload, as the server writes it), "alias" (JSON: name and collection). Part "points", a row each. Schema: the rest.
class QdrantStream final : public RecordReader {
 public:
  QdrantStream() : RecordReader("qdrant", "Qdrant") {}

 private:
  Result<void> record(std::string_view tag, std::string_view bytes) override;
  Result<void> end() override;
  Part points_{.name = "points"};
};

}  // namespace dm::backup
