#include "sources/git.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dm::sources {
namespace {

TEST(GitIgnore, PatternsAsGitReadsThem) {
  struct Case {
    const char *pattern, *path;
    bool folder, matches;
  };
  for (const Case& c : {Case{".env", ".env", false, true}, Case{".env", "a/b/.env", false, true}, Case{"/.env", "a/.env", false, false},
                        Case{"*.env", "x.env", false, true}, Case{".env*", ".env.local", false, true}, Case{"secrets/", "secrets", true, true},
                        Case{"secrets/", "secrets", false, false}, Case{"a/*.env", "a/x.env", false, true}, Case{"a/*.env", "a/b/x.env", false, false},
                        Case{"**/x.env", "a/b/x.env", false, true}, Case{"**/x.env", "x.env", false, true}, Case{"a/**/x", "a/b/c/x", false, true},
                        Case{"a/**/x", "a/x", false, true}, Case{"a/**", "a/b/c", false, true}, Case{"a/**", "a", true, false},
                        Case{".en[uvw]", ".env", false, true}, Case{".en[!v]", ".env", false, false}, Case{"\\#x", "#x", false, true},
                        Case{"e?v", "env", false, true}, Case{"*", "anything", false, true}, Case{"a*/b", "abc/b", false, true}})
    EXPECT_EQ(git_pattern_matches(c.pattern, c.path, c.folder), c.matches) << c.pattern << " " << c.path;
}

TEST(GitIgnore, TheLastLineDecidesAndFoldersKeepTheirFiles) {
  MemoryFiles files;
  files.add("/r/.git/HEAD", "ref: x");
  files.add("/r/.gitignore", "*.env\n!keep.env\nprivate/\n");
  files.add("/r/sub/.gitignore", "/local.txt\n!other.env\n");
  files.add("/r/.git/info/exclude", "mine\n");
  EXPECT_TRUE(git_ignores(files, "/r", "/r/a.env"));
  EXPECT_FALSE(git_ignores(files, "/r", "/r/keep.env"));
  EXPECT_TRUE(git_ignores(files, "/r", "/r/private/keep.env"));
  EXPECT_FALSE(git_ignores(files, "/r", "/r/sub/other.env"));
  EXPECT_TRUE(git_ignores(files, "/r", "/r/sub/local.txt"));
  EXPECT_FALSE(git_ignores(files, "/r", "/r/local.txt"));
  EXPECT_TRUE(git_ignores(files, "/r", "/r/mine"));
  EXPECT_EQ(git_root(files, "/r/sub/deep/file"), "/r");
  EXPECT_EQ(git_root(files, "/other/file"), "");
}

std::string entry(const std::string& name) {
  std::string out(62, '\0');
  out += name;
  out.append(8 - out.size() % 8, '\0');
  return out;
}

TEST(GitIndex, ReadsNamesAndRefusesWhatIsCutOff) {
  std::string index("DIRC\0\0\0\2\0\0\0\2", 12);
  index += entry(".env") + entry("sub/a-longer-name.txt");
  const auto paths = git_index_paths(index);
  ASSERT_TRUE(paths);
  EXPECT_THAT(*paths, testing::ElementsAre(".env", "sub/a-longer-name.txt"));
  for (std::size_t size = 0; size < index.size() - 8; ++size) EXPECT_FALSE(git_index_paths(std::string_view(index).substr(0, size))) << size;
}

TEST(GitIndex, Version4SharesTheBeginningOfNames) {
  std::string index("DIRC\0\0\0\4\0\0\0\2", 12);
  index += std::string(62, '\0') + std::string("\0sub/one\0", 9);
  index += std::string(62, '\0') + std::string("\3two\0", 5);
  const auto paths = git_index_paths(index);
  ASSERT_TRUE(paths);
  EXPECT_THAT(*paths, testing::ElementsAre("sub/one", "sub/two"));
}

}  // namespace
}  // namespace dm::sources
