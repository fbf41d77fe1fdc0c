#include <gtest/gtest.h>

#include <string>

#include "compose/stages.hpp"
#include "sources/files.hpp"

namespace dm::compose {
namespace {

constexpr const char* kBom = "\xEF\xBB\xBF";

/// The bytes that the value of `tail:` and its key are said to stand in.
std::string bytes_of_tail(const std::string& before) {
  sources::MemoryFiles files;
  Project project(files);
  Options options;
  std::vector<Diagnostic> diagnostics;
  Context context{options, project, diagnostics};
  const FileId file = project.texts.add("compose.yaml", before + "tail: end\n");
  const auto documents = parse_documents(file, context);
  if (documents.size() != 1 || !diagnostics.empty()) return "not read";
  const Entry* tail = documents[0]->find_entry("tail");
  if (tail == nullptr) return "no such key";
  return std::string(project.texts.text(tail->key_where)) + "|" + std::string(project.texts.text(tail->value->where));
}

TEST(Places, AreTheExactBytesInAnAsciiFile) { EXPECT_EQ(bytes_of_tail("a: b\n"), "tail|end"); }

TEST(Places, AreTheExactBytesAfterWideCharacters) { EXPECT_EQ(bytes_of_tail("# é—日本😀\na: \"é\"\n"), "tail|end"); }

TEST(Places, AreTheExactBytesAfterAByteOrderMark) {
  EXPECT_EQ(bytes_of_tail(kBom), "tail|end");
  EXPECT_EQ(bytes_of_tail(std::string(kBom) + "a: é\n"), "tail|end");
}

TEST(Places, AreTheExactBytesAfterSeveralByteOrderMarks) {
  EXPECT_EQ(bytes_of_tail(std::string(kBom) + kBom + "a: b\n"), "tail|end");
  EXPECT_EQ(bytes_of_tail(std::string(kBom) + kBom + kBom + "a: b\n"), "tail|end");
}

TEST(Places, AreTheExactBytesAfterWindowsAndOldMacLineEnds) {
  EXPECT_EQ(bytes_of_tail("a: é\r\nb: c\r\n"), "tail|end");
  EXPECT_EQ(bytes_of_tail("a: é\rb: c\r"), "tail|end");
}

}  // namespace
}  // namespace dm::compose
