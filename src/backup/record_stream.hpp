/// The form of dumps that we write ourselves, for servers that have no dump format with an end mark.
///
///   datamancy-dump 1 KIND LF                 "couchdb", "clickhouse", "qdrant"
///   TAG SPACE LENGTH LF, LENGTH bytes, LF    any number of records; LENGTH in decimal, TAG in lower case
///   end SPACE COUNT SPACE HASH LF            the records before it, and XXH3-128 of all bytes before it; nothing follows
#pragma once

#include "backup/fingerprint.hpp"

namespace dm::backup {

class RecordWriter {
 public:
  RecordWriter(Sink out, std::string_view kind);
  Result<void> write(std::string_view tag, std::string_view bytes);
  /// Only after this is the dump whole.
  Result<void> finish();

 private:
  Result<void> put(std::string_view bytes);
  Sink out_;
  std::string head_;   ///< of the stream, until it is sent
  Hasher hash_;
  std::uint64_t count_ = 0;
};

/// Takes such a stream apart. Holds one record, at most 256 MiB.
class RecordParser {
 public:
  using OnRecord = std::function<Result<void>(std::string_view tag, std::string_view bytes)>;
  RecordParser(std::string_view kind, OnRecord each);
  /// Errors: `corrupt` where it cannot go on like that; those of `each`.
  Result<void> take(std::string_view bytes);
  /// Errors: `corrupt` where the end mark is missing.
  Result<void> finish() const;

 private:
  Result<void> line(std::string_view text);
  std::string kind_;
  OnRecord each_;
  enum class Want : std::uint8_t { head, title, body, nothing } want_ = Want::head;
  std::string held_, tag_;
  std::size_t length_ = 0;      ///< of the record in hand, with its line end
  Hasher hash_;
  std::uint64_t count_ = 0;
};

/// What the readers of such dumps share: the first record, "about" (JSON, with the server's version as "server"), comes once.
class RecordReader : public DumpReader {
 public:
  Result<void> take(std::string_view bytes) final { return parser_.take(bytes); }
  Result<Fingerprint> finish() final;

 protected:
  using Members = std::vector<std::pair<std::string, std::string_view>>;
  /// `title` is the product's name, for messages and as the producer.
  RecordReader(std::string_view kind, std::string_view title);
  virtual void about(const Members&) {}
  /// Any other record. Errors: `corrupt`.
  virtual Result<void> record(std::string_view tag, std::string_view bytes) = 0;
  /// After the last one: adds the parts to `print_`. Errors: `corrupt`.
  virtual Result<void> end() = 0;
  /// A statement of the schema.
  void define(std::string_view text);
  static Error unknown() { return {Errc::corrupt, "it has a record of a kind that is not known here", {}}; }

  Fingerprint print_;

 private:
  Result<void> each(std::string_view tag, std::string_view bytes);
  std::string title_;
  RecordParser parser_;
  bool about_ = false;
};

/// Feeds a restore: all records of `in`, and success only where the stream is whole.
Result<void> each_record(std::string_view kind, const Source& in, const RecordParser::OnRecord& each);

}  // namespace dm::backup
