#include "backup/tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include "backup/sqlite_copy.hpp"
#include "backup/tar.hpp"

namespace dm::backup {
namespace {

constexpr std::size_t kPiece = 128U << 10U;

std::map<std::string, std::string> xattrs_of(int fd) {
  std::map<std::string, std::string> out;
  std::string names(4096, '\0');
  auto size = ::flistxattr(fd, names.data(), names.size());
  if (size < 0 && errno == ERANGE) {
    names.resize(65536);
    size = ::flistxattr(fd, names.data(), names.size());
  }
  if (size <= 0) return out;
  for (std::string_view rest(names.data(), static_cast<std::size_t>(size)); !rest.empty();) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    std::string value(65536, '\0');
    const auto got = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (got < 0 || name.empty()) continue;
    value.resize(static_cast<std::size_t>(got));
    if (name.starts_with("security.selinux")) continue;  // belongs to the host
    out[name] = value;
  }
  return out;
}

class Packer {
 public:
  Packer(const std::string& root, const TreeOptions& options, const Sink& out, TreeNotes& notes, const Deadline& deadline) : root_(root), options_(options), out_(out), notes_(notes), deadline_(deadline) {}

  Result<void> run() {
    const Fd top(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!top) {
      // One file that was mounted alone.
      const Fd file(::open(root_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
      struct stat info {};
      if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return fail(errno_error(fmt::format("open {}", root_), errno));
      DM_CHECK(content(file.get(), root_.substr(root_.rfind('/') + 1), info, root_));
    } else {
      struct stat info {};
      ::fstat(top.get(), &info);
      DM_CHECK(head(".", info, '5', {}, top.get()));
      DM_CHECK(folder(top.get(), "", 0));
    }
    DM_CHECK(flush());
    return out_(tar_end());
  }

 private:
  Result<void> send(std::string_view bytes) {
    held_.append(bytes);
    return held_.size() >= kPiece ? flush() : Result<void>();
  }
  Result<void> flush() {
    if (held_.empty()) return {};
    if (deadline_.stopped()) return fail(Errc::conflict, "interrupted");
    DM_CHECK(out_(held_));
    held_.clear();
    return {};
  }

  Result<void> head(const std::string& path, const struct stat& info, char type, const std::string& link, int fd, std::uint64_t size = 0) {
    TarEntry entry;
    entry.path = path;
    entry.type = type;
    entry.mode = info.st_mode & 07777U;
    entry.uid = info.st_uid;
    entry.gid = info.st_gid;
    entry.size = size;
    entry.mtime = info.st_mtim.tv_sec;
    entry.mtime_ns = static_cast<std::uint32_t>(info.st_mtim.tv_nsec);
    entry.link = link;
    if (type == '3' || type == '4') {
      entry.major = ::major(info.st_rdev);
      entry.minor = ::minor(info.st_rdev);
    }
    entry.sparse = type == '0' && info.st_blocks * 512 < info.st_size && size == static_cast<std::uint64_t>(info.st_size);
    if (fd >= 0) entry.xattrs = xattrs_of(fd);
    return send(tar_header(entry));
  }

  Result<void> folder(int fd, const std::string& path, unsigned depth) {
    if (depth > 500) return fail(Errc::unsupported, fmt::format("{}/{}: folders are nested deeper than 500", root_, path));
    std::vector<std::string> names;
    {
      const int again = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      DIR* const dir = again >= 0 ? ::fdopendir(again) : nullptr;
      if (dir == nullptr) return fail(errno_error(fmt::format("read folder {}/{}", root_, path), errno));
      errno = 0;
      while (const dirent* entry = ::readdir(dir)) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
      }
      const int error = errno;
      ::closedir(dir);
      if (error != 0) return fail(errno_error(fmt::format("read folder {}/{}", root_, path), error));
    }
    std::ranges::sort(names);
    std::vector<std::string> journals;  // of SQLite databases in this folder
    for (const auto& name : names) {
      const auto inner = path.empty() ? name : path + "/" + name;
      const auto full = root_ + "/" + inner;
      if (std::ranges::find(options_.exclude, full) != options_.exclude.end()) continue;
      if (std::ranges::find(journals, name) != journals.end()) continue;
      if (path.empty() && (name == kUnpacked || name == kBefore)) continue;
      struct stat info {};
      if (::fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // went meanwhile
        return fail(errno_error(fmt::format("look at {}", full), errno));
      }
      if (S_ISLNK(info.st_mode)) {
        std::string link(4096, '\0');
        const auto got = ::readlinkat(fd, name.c_str(), link.data(), link.size());
        if (got < 0) return fail(errno_error(fmt::format("read link {}", full), errno));
        link.resize(static_cast<std::size_t>(got));
        DM_CHECK(head(inner, info, '2', link, -1));
      } else if (S_ISDIR(info.st_mode)) {
        const Fd down(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!down && errno == ENOENT) continue;
        if (!down) return fail(errno_error(fmt::format("open folder {}", full), errno));
        DM_CHECK(head(inner, info, '5', {}, down.get()));
        DM_CHECK(folder(down.get(), inner, depth + 1));
      } else if (S_ISREG(info.st_mode)) {
        if (info.st_nlink > 1) {
          const auto [at, first] = links_.try_emplace({info.st_dev, info.st_ino}, inner);
          if (!first) {
            DM_CHECK(head(inner, info, '1', at->second, -1));
            continue;
          }
        }
        const Fd file(::openat(fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!file && errno == ENOENT) continue;
        if (!file) return fail(errno_error(fmt::format("open {}", full), errno));
        if (::fstat(file.get(), &info) != 0) return fail(errno_error(fmt::format("look at {}", full), errno));
        std::array<char, 16> begin{};
        if (!options_.verbatim && info.st_size >= 512 && ::pread(file.get(), begin.data(), begin.size(), 0) == 16 && std::string_view(begin.data(), 16) == std::string_view("SQLite format 3\0", 16)) {
          for (const char* suffix : {"-wal", "-shm", "-journal"}) journals.push_back(name + suffix);
          DM_CHECK(database(full, inner, info, file.get()));
        } else {
          DM_CHECK(content(file.get(), inner, info, full));
        }
      } else if (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
        DM_CHECK(head(inner, info, S_ISFIFO(info.st_mode) ? '6' : S_ISCHR(info.st_mode) ? '3' : '4', {}, -1));
      }
      // A socket is made anew by who listens on it.
    }
    return {};
  }

  Result<void> database(const std::string& full, const std::string& inner, const struct stat& info, int original) {
    auto copy = copy_database(full, deadline_);
    if (!copy) {
      if (deadline_.stopped()) return fail(copy.error());
      return fail(Errc::failed, fmt::format("{}: SQLite could not copy this database: {}", full, copy.error().message));
    }
    struct stat made {};
    ::fstat(copy->get(), &made);
    auto shown = info;
    shown.st_size = made.st_size;
    shown.st_blocks = made.st_size / 512 + 1;
    ++notes_.databases;
    DM_CHECK(head(inner, shown, '0', {}, original, static_cast<std::uint64_t>(made.st_size)));
    return bytes(copy->get(), static_cast<std::uint64_t>(made.st_size), full);
  }

  Result<void> content(int fd, const std::string& inner, const struct stat& info, const std::string& full) {
    const auto size = static_cast<std::uint64_t>(info.st_size);
    DM_CHECK(head(inner, info, '0', {}, fd, size));
    DM_CHECK(bytes(fd, size, full));
    struct stat after {};
    if (::fstat(fd, &after) == 0 && (after.st_size != info.st_size || after.st_mtim.tv_sec != info.st_mtim.tv_sec || after.st_mtim.tv_nsec != info.st_mtim.tv_nsec)) changed(full);
    return {};
  }

  void changed(const std::string& full) {
    if (++notes_.changed <= 5) notes_.lines.push_back(fmt::format("{} changed while it was read", full));
  }

  Result<void> bytes(int fd, std::uint64_t size, const std::string& full) {
    std::uint64_t done = 0;
    std::string piece(kPiece, '\0');
    while (done < size) {
      const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, size - done));
      const auto got = ::pread(fd, piece.data(), want, static_cast<off_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(errno_error(fmt::format("read {}", full), errno));
      if (got == 0) {  // it was cut meanwhile: the header has told its size already
        notes_.lines.push_back(fmt::format("{} was cut while it was read", full));
        ++notes_.changed;
        std::ranges::fill(piece, '\0');
        DM_CHECK(send({piece.data(), want}));
        done += want;
        continue;
      }
      DM_CHECK(send({piece.data(), static_cast<std::size_t>(got)}));
      done += static_cast<std::uint64_t>(got);
    }
    const auto rest = (512 - size % 512) % 512;
    return send(std::string(rest, '\0'));
  }

  const std::string& root_;
  const TreeOptions& options_;
  const Sink& out_;
  TreeNotes& notes_;
  const Deadline& deadline_;
  std::string held_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

class TreeReader final : public DumpReader {
 public:
  TreeReader() {
    tar_.on_entry = [this](const TarEntry& entry) -> Result<void> {
      entry_ = entry;
      return {};
    };
    tar_.on_data = [this](std::string_view data) -> Result<void> {
      content_.add(data);
      return {};
    };
    tar_.on_end = [this]() -> Result<void> {
      count();
      return {};
    };
  }
  Result<void> take(std::string_view bytes) override { return tar_.take(bytes); }
  Result<Fingerprint> finish() override {
    DM_CHECK(tar_.finish());
    Fingerprint out;
    out.format = "tree";
    out.parts = parts_.take();
    return out;
  }

 private:
  void count() {
    std::string text = fmt::format("{}\n{}\n{:o}\n{}:{}\n{}\n{}:{}\n{}\n", entry_.path, entry_.type, entry_.mode, entry_.uid, entry_.gid, entry_.size, entry_.major, entry_.minor, entry_.link);
    for (const auto& [key, value] : entry_.xattrs) text += fmt::format("{}={}:{}\n", key, value.size(), value);
    text += content_.take().hex();
    const char type = entry_.type == '7' ? '0' : entry_.type;
    Part& part = parts_[type == '0' ? "files" : type == '5' ? "folders" : type == '2' ? "symbolic links" : type == '1' ? "hard links" : "special"];
    part.rows += 1;
    part.bytes += entry_.size;
    part.sum += hash128(text);
    if (type != '0') return;
    Part& times = parts_["times"];
    times.sum += hash128(fmt::format("{}\n{}.{}", entry_.path, entry_.mtime, entry_.mtime_ns));
  }
  TarReader tar_;
  TarEntry entry_;
  Hasher content_;
  Parts parts_;
};

}  // namespace

Result<void> pack_tree(const std::string& folder, const TreeOptions& options, const Sink& out, TreeNotes& notes, const Deadline& deadline) {
  return Packer(folder, options, out, notes, deadline).run();
}

std::unique_ptr<DumpReader> make_tree_reader() { return std::make_unique<TreeReader>(); }

struct TreeUnpacker::State {
  std::string folder, only;
  TarReader tar;
  Fd root;
  Fd parent;               // of the entry in hand
  std::string parent_path{"\n"};
  Fd file;
  TarEntry entry;
  std::uint64_t at = 0;
  std::size_t count = 0;
  bool skip = false;
  /// Times and modes of folders are set last: writing into them changes the one and may be forbidden by the other.
  struct Folder {
    std::string path;
    std::uint32_t mode;
    timespec mtime;
  };
  std::vector<Folder> folders;

  Error trouble(std::string_view doing) const { return errno_error(fmt::format("{} {}/{}", doing, folder, entry.path), errno); }

  /// The folder that an entry lies in, reached without following any link.
  Result<int> parent_of(std::string_view path) {
    const auto cut = path.rfind('/');
    const auto above = cut == std::string_view::npos ? std::string_view() : path.substr(0, cut);
    if (above.empty()) return root.get();
    if (above == parent_path) return parent.get();
    Fd at_fd(::fcntl(root.get(), F_DUPFD_CLOEXEC, 0));
    for (std::string_view rest = above; !rest.empty();) {
      const std::string name(rest.substr(0, rest.find('/')));
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
      if (name == ".." || name.empty() || name == ".") return fail(Errc::corrupt, fmt::format("the archive holds a path that leaves its folder: {}", path));
      int down = ::openat(at_fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (down < 0 && errno == ENOENT && ::mkdirat(at_fd.get(), name.c_str(), 0700) == 0) down = ::openat(at_fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (down < 0) return fail(trouble("open the folder of"));
      at_fd.reset(down);
    }
    parent = std::move(at_fd);
    parent_path = above;
    return parent.get();
  }

  Result<void> begin();
  Result<void> data(std::string_view bytes);
  Result<void> end();
  Result<void> dress(int fd);
};

TreeUnpacker::TreeUnpacker(std::string folder, std::string only) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.folder = std::move(folder);
  state.only = std::move(only);
  while (state.only.starts_with("./") || state.only.starts_with("/")) state.only.erase(0, state.only.starts_with("/") ? 1 : 2);
  while (state.only.ends_with('/')) state.only.pop_back();
  state.root.reset(::open(state.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  state.tar.on_entry = [this](const TarEntry& entry) {
    state_->entry = entry;
    return state_->begin();
  };
  state.tar.on_data = [this](std::string_view bytes) { return state_->data(bytes); };
  state.tar.on_end = [this] { return state_->end(); };
}
TreeUnpacker::~TreeUnpacker() = default;
std::size_t TreeUnpacker::count() const { return state_->count; }

Result<void> TreeUnpacker::State::begin() {
  skip = !only.empty() && entry.path != only && !(entry.path.starts_with(only) && entry.path[only.size()] == '/');
  if (skip) return {};
  ++count;
  at = 0;
  if (entry.path == ".") {
    folders.push_back({".", entry.mode, {entry.mtime, static_cast<long>(entry.mtime_ns)}});
    return dress(root.get());
  }
  DM_TRY(const int above, parent_of(entry.path));
  const auto cut = entry.path.rfind('/');
  const std::string name = cut == std::string::npos ? entry.path : entry.path.substr(cut + 1);
  if (name == ".." || name == ".") return fail(Errc::corrupt, "the archive holds a path that leaves its folder");
  if (entry.type != '5') ::unlinkat(above, name.c_str(), 0);
  switch (entry.type) {
    case '5': {
      if (::mkdirat(above, name.c_str(), 0700) != 0 && errno != EEXIST) return fail(trouble("make folder"));
      const Fd made(::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!made) return fail(trouble("open folder"));
      folders.push_back({entry.path, entry.mode, {entry.mtime, static_cast<long>(entry.mtime_ns)}});
      return dress(made.get());
    }
    case '2':
      if (::symlinkat(entry.link.c_str(), above, name.c_str()) != 0) return fail(trouble("make link"));
      if (::fchownat(above, name.c_str(), static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid), AT_SYMLINK_NOFOLLOW) != 0 && ::geteuid() == 0) return fail(trouble("change the owner of"));
      return {};
    case '1': {
      const auto target_cut = entry.link.rfind('/');
      const std::string target = target_cut == std::string::npos ? entry.link : entry.link.substr(target_cut + 1);
      const Fd here(::fcntl(above, F_DUPFD_CLOEXEC, 0));
      DM_TRY(const int there, parent_of(entry.link));
      const bool linked = ::linkat(there, target.c_str(), here.get(), name.c_str(), 0) == 0;
      if (!linked) return fail(trouble("make hard link"));
      return {};
    }
    case '3':
    case '4':
    case '6': {
      const mode_t kind = entry.type == '3' ? S_IFCHR : entry.type == '4' ? S_IFBLK : S_IFIFO;
      if (::mknodat(above, name.c_str(), kind | entry.mode, ::makedev(entry.major, entry.minor)) != 0) return fail(trouble("make the special file"));
      if (::fchownat(above, name.c_str(), static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid), AT_SYMLINK_NOFOLLOW) != 0 && ::geteuid() == 0) return fail(trouble("change the owner of"));
      if (::fchmodat(above, name.c_str(), entry.mode, 0) != 0) return fail(trouble("change the mode of"));
      return {};
    }
    case '0':
    case '7':
      file.reset(::openat(above, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
      if (!file) return fail(trouble("make"));
      return {};
    default: return fail(Errc::unsupported, fmt::format("the archive holds an entry of the unknown kind '{}'", entry.type));
  }
}

Result<void> TreeUnpacker::State::data(std::string_view bytes) {
  if (skip || !file) return {};
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, std::min<std::size_t>(bytes.size(), entry.sparse ? 4096 - at % 4096 : bytes.size()));
    bytes.remove_prefix(piece.size());
    const bool hole = entry.sparse && std::ranges::all_of(piece, [](char c) { return c == '\0'; });
    std::size_t done = 0;
    while (!hole && done < piece.size()) {
      const auto wrote = ::pwrite(file.get(), piece.data() + done, piece.size() - done, static_cast<off_t>(at + done));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return fail(trouble("write"));
      done += static_cast<std::size_t>(wrote);
    }
    at += piece.size();
  }
  return {};
}

Result<void> TreeUnpacker::State::dress(int fd) {
  if (::fchown(fd, static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid)) != 0 && ::geteuid() == 0) return fail(trouble("change the owner of"));
  if (entry.type != '5' && ::fchmod(fd, entry.mode) != 0) return fail(trouble("change the mode of"));
  for (const auto& [name, value] : entry.xattrs)
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && !name.starts_with("system.posix_acl")) return fail(trouble(fmt::format("set the attribute {} of", name)));
  return {};
}

Result<void> TreeUnpacker::State::end() {
  if (skip || !file) return {};
  if (::ftruncate(file.get(), static_cast<off_t>(entry.size)) != 0) return fail(trouble("write"));
  DM_CHECK(dress(file.get()));
  const timespec times[2] = {{entry.mtime, static_cast<long>(entry.mtime_ns)}, {entry.mtime, static_cast<long>(entry.mtime_ns)}};
  ::futimens(file.get(), times);
  const int fd = file.release();
  if (::close(fd) != 0) return fail(trouble("write"));
  return {};
}

Result<void> TreeUnpacker::take(std::string_view bytes) {
  if (!state_->root) return fail(errno_error(fmt::format("open {}", state_->folder), ENOENT));
  return state_->tar.take(bytes);
}

Result<void> TreeUnpacker::finish() {
  State& state = *state_;
  DM_CHECK(state.tar.finish());
  for (auto folder = state.folders.rbegin(); folder != state.folders.rend(); ++folder) {
    state.entry.path = folder->path;
    Fd fd;
    if (folder->path == ".") {
      fd.reset(::fcntl(state.root.get(), F_DUPFD_CLOEXEC, 0));
    } else {
      state.parent_path = "\n";
      DM_TRY(const int above, state.parent_of(folder->path));
      const auto cut = folder->path.rfind('/');
      fd.reset(::openat(above, folder->path.c_str() + (cut == std::string::npos ? 0 : cut + 1), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    if (!fd || ::fchmod(fd.get(), folder->mode) != 0) return fail(state.trouble("change the mode of"));
    const timespec times[2] = {folder->mtime, folder->mtime};
    ::futimens(fd.get(), times);
  }
  ::syncfs(state.root.get());
  return {};
}

Result<std::string> check_databases(const std::string& folder, const Deadline& deadline) {
  std::size_t count = 0;
  std::vector<std::string> folders{folder};
  while (!folders.empty()) {
    const auto path = std::move(folders.back());
    folders.pop_back();
    DIR* const dir = ::opendir(path.c_str());
    if (dir == nullptr) return fail(errno_error(fmt::format("read folder {}", path), errno));
    std::vector<std::string> files;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat info {};
      if (::fstatat(::dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(info.st_mode)) folders.push_back(path + "/" + name);
      else if (S_ISREG(info.st_mode) && info.st_size >= 512) files.push_back(path + "/" + name);
    }
    ::closedir(dir);
    for (const auto& file : files) {
      const Fd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
      std::array<char, 16> begin{};
      if (!fd || ::pread(fd.get(), begin.data(), begin.size(), 0) != 16 || std::string_view(begin.data(), 16) != std::string_view("SQLite format 3\0", 16)) continue;
      if (auto checked = check_database(file, deadline); !checked) return fail(Errc::corrupt, fmt::format("SQLite database {}: {}", file.substr(folder.size() + 1), checked.error().message));
      ++count;
    }
  }
  return count == 0 ? "files, modes, owners, links and attributes" : fmt::format("files, modes, owners, links and attributes; integrity_check of {} SQLite databases", count);
}

}  // namespace dm::backup
