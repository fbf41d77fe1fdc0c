/// Reads our dumps of CouchDB databases (drivers/couchdb.cpp writes them).
#pragma once

#include "backup/record_stream.hpp"

namespace dm::backup {

/// Records: "about" (JSON: database, server, partitioned, q, n), "security", "limit" (revisions kept), "doc" (one leaf revision as
/// the server writes it, with its attachments and the revisions before it); design documents come last. Parts: "documents" and
/// "attachments", a row each; order, place and the form in which the server stores an attachment do not matter. Schema: design
/// documents, who may do what, and whether it is partitioned.
class CouchdbStream final : public RecordReader {
 public:
  CouchdbStream() : RecordReader("couchdb", "CouchDB") {}

 private:
  void about(const Members& members) override;
  Result<void> record(std::string_view tag, std::string_view bytes) override;
  Result<void> end() override;
  Result<void> document(std::string_view text);
  Part documents_{.name = "documents"}, attachments_{.name = "attachments"};
};

}  // namespace dm::backup
