/// A git repository as git itself reads it. Nothing that its configuration names is run, nothing is fetched, no secret goes into an argument.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/deadline.hpp"
#include "base/process.hpp"

namespace dm::secrets {

struct GitRepository {
  std::string top{};        ///< of the work tree
  std::string common{};     ///< folder of the objects and refs, one for all work trees
  std::string cut{};        ///< what the files say that end history early (shallow, grafts); "" = it is whole
  bool shallow = false;
  bool submodules = false;
};

struct GitObject {
  std::string id{}, path{};
};

/// The repository whose work tree holds `folder`. Errors: exit 10 without git; `not_found` (no work tree), `denied` (git does not trust its owner), both with
/// the mend; `failed` with git's words.
Result<GitRepository> find_git_repository(const std::string& folder, const Deadline& deadline);

/// Objects that a ref or a reflog of any work tree names.
struct GitTips {
  std::vector<std::string> ids{};     ///< sorted
  std::vector<GitObject> files{};     ///< those that are files themselves, by the name of the tag
};
Result<GitTips> git_tips(const GitRepository& repository, const Deadline& deadline);

/// The part of history that `tips` reach and `known` do not.
struct GitRange {
  std::vector<std::string> tips{};
  std::vector<std::string> known{};
};

/// How `tips` of an earlier look stand to those of now.
struct TipsThen {
  std::vector<std::string> here{};   ///< those that are still in the repository
  bool reached = false;              ///< all are, and the present tips reach them: nothing was rewritten and forgotten
};
Result<TipsThen> compare_tips(const GitRepository& repository, const std::vector<std::string>& then, const std::vector<std::string>& now, const Deadline& deadline);

/// Objects with a path (files, folders, submodules), each once under one of its paths, newest commits first. Gives how many are not in this clone.
Result<std::size_t> list_objects(const GitRepository& repository, const GitRange& range, const std::function<Result<void>(GitObject)>& take, const Deadline& deadline);

/// Calls `take` for every file among `objects` that has something and at most `limit` bytes, in their order. Gives how many are not in this clone.
Result<std::size_t> read_objects(const GitRepository& repository, const std::vector<GitObject>& objects, std::size_t limit,
                                 const std::function<void(const GitObject&, std::string_view)>& take, const Deadline& deadline);

/// One time that a commit brought an object under a path.
struct GitChange {
  std::string object{}, path{}, commit{}, date{};
};
/// All of `objects` in the range, newest first.
Result<void> list_changes(const GitRepository& repository, const GitRange& range, const std::vector<std::string>& objects, const std::function<void(GitChange)>& take, const Deadline& deadline);

/// Calls `take` for the path, from the top, of each file of the index; `others`: of each that is in the work tree, not in the index and not ignored.
Result<void> list_files(const GitRepository& repository, bool others, const std::function<void(std::string_view)>& take, const Deadline& deadline);
/// Files of the index in whose present text `words` stand; from the top.
Result<std::vector<std::string>> files_with(const GitRepository& repository, std::string_view words, const Deadline& deadline);

}  // namespace dm::secrets
