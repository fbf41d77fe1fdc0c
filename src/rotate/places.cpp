#include "rotate/places.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/words.hpp"
#include "secrets/runtime_files.hpp"
#include "secrets/sealed.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::rotate {
namespace {

constexpr std::size_t kShortest = 8;  ///< a shorter value may be the same by chance

bool is_value(const secrets::Leaf& leaf) { return leaf.type != secrets::LeafType::comment; }

/// NAME, NAME__NEXT, NAME__PREVIOUS.
bool of_rotation(std::string_view name, std::string_view rotated) { return name == rotated || secrets::rotated_name(name) == rotated; }

/// Whether the text of a dotenv value, as it stands, is this value.
bool is_whole(std::string_view text, std::string_view value) {
  const auto as_written = secrets::dotenv_value(value);
  if (text == value || text == as_written.reveal()) return true;
  const bool quoted = text.size() == value.size() + 2 && (text.front() == '\'' || text.front() == '"') && text.back() == text.front();
  return quoted && text.substr(1, value.size()) == value && value.find_first_of("\\$'\"") == std::string_view::npos;
}

/// Values that mean themselves within another one, quoted or not, in a URL too.
bool plain_inside(std::string_view value) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  return value.find_first_not_of(kPlain) == std::string_view::npos;
}

/// "wordpress", "my-shop", "app_db2": what accounts, databases and hosts are called. As a password it is bad, and it stands in places that are none.
bool like_a_name(std::string_view value) {
  const auto end = value.find_last_not_of("0123456789");
  constexpr std::size_t kLongest = 19;
  return value.size() <= kLongest && end != std::string_view::npos && value.substr(0, end + 1).find_first_not_of("abcdefghijklmnopqrstuvwxyz_.-") == std::string_view::npos;
}

bool name_of_password(std::string_view name) {
  const auto lower = lowered(name);
  return sensitive::secret_name(name) || lower.find("pass") != std::string::npos || lower.ends_with("pw");
}

std::size_t part_at(std::string_view text, std::string_view value, std::size_t from = 0) {
  const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (!plain_inside(value)) return std::string_view::npos;
  const bool only_as_password = like_a_name(value);
  for (auto at = text.find(value, from); at != std::string_view::npos; at = text.find(value, at + 1)) {
    const auto end = at + value.size();
    if (only_as_password) {  // scheme://account:password@host
      if (at > 0 && text[at - 1] == ':' && end < text.size() && text[end] == '@') return at;
    } else if ((at == 0 || !letter(text[at - 1])) && (end == text.size() || !letter(text[end]))) {
      return at;
    }
  }
  return std::string_view::npos;
}

bool named_by_a_service(const compose::Project& project, const std::string& path) {
  return std::ranges::any_of(project.services, [&](const compose::Service& service) {
    return service.enabled && std::ranges::any_of(service.env_files, [&](const compose::Text& file) { return sources::clean_path(file.value, project.folder) == path; });
  });
}

/// The project's variable comes from the last file that has it.
const secrets::ProjectSecrets::File* winner(const secrets::ProjectSecrets& secrets, std::string_view name) {
  const secrets::ProjectSecrets::File* out = nullptr;
  for (const auto& file : secrets.files)
    if (file.has(name)) out = &file;
  return out;
}

}  // namespace

Result<Secret> find_secret(const secrets::ProjectSecrets& secrets, const compose::Project& project, std::string_view name, std::string_view in) {
  const auto* first = winner(secrets, name);
  std::vector<const secrets::ProjectSecrets::File*> found;
  std::string looked;
  for (const auto* list : {&secrets.files, &secrets.service_files})
    for (const auto& file : *list) {
      looked += fmt::format("{}{}", looked.empty() ? "" : ", ", sources::relative_to(file.path, project.folder));
      if (file.has(name) && (in.empty() ? &file == first || named_by_a_service(project, file.path) : file.path == in)) found.push_back(&file);
    }
  if (found.empty() && !in.empty()) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("'{}' is no sealed file of the project with '{}' in it; there are: {}", in, name, looked));
  if (found.empty()) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("no sealed file of the project has '{}' (looked in {}); 'datamancy secrets list' shows what they have", name, looked));
  const auto secret_in = [&](const secrets::ProjectSecrets::File& file) { return Secret{std::string(name), file.path, &file == first}; };
  const auto only = [&](auto&& test) {
    if (found.size() > 1 && std::ranges::count_if(found, test) == 1) found = {*std::ranges::find_if(found, test)};
  };
  only([&](const auto* file) { return file->has(std::string(name) + std::string(secrets::kNext)) || file->has(std::string(name) + std::string(secrets::kPrevious)); });
  only([&](const auto* file) { return find_target(project, secret_in(*file), "", "").certain; });
  only([&](const auto* file) { return find_target(project, secret_in(*file), "", "").target.has_value(); });
  if (found.size() > 1) {
    std::string names;
    for (const auto* file : found) names += fmt::format(" {}", sources::relative_to(file->path, project.folder));
    return fail(Errc::invalid_input, fmt::format("several sealed files have '{}'; choose by --in FILE:{}", name, names));
  }
  if (found[0]->whole)
    return fail(Errc::unsupported, fmt::format("'{}' stands in '{}', which is sealed as a whole, so that no single value of it can be changed; {}", name, found[0]->path, secrets::by_values_hint(found[0]->path)));
  return secret_in(*found[0]);
}

std::string called(const Secret& secret, const std::string& project_folder) {
  return secret.of_project ? secret.name : fmt::format("{}:{}", secrets::mark_file(secret.file, project_folder), secret.name);
}

Result<std::vector<Copy>> copies_of(const secrets::ProjectSecrets& secrets, const Secret& secret, const std::vector<const SecretString*>& values) {
  std::vector<Copy> out;
  for (const auto* list : {&secrets.files, &secrets.service_files})
    for (const auto& file : *list) {
      if (file.whole) {
        for (const auto* value : values)
          if (value->size() >= kShortest && file.text.reveal().find(value->reveal()) != std::string_view::npos)
            return fail(Errc::unsupported, fmt::format("the password stands in '{}', too, which is sealed as a whole and cannot be changed in one place; {}", file.path, secrets::by_values_hint(file.path)));
        continue;
      }
      DM_TRY(const auto plain, secrets::parse_plain(file.text.reveal(), secrets::Store::dotenv));
      for (const auto& leaf : plain.leaves) {
        if (!is_value(leaf) || (file.path == secret.file && of_rotation(leaf.path.at(0), secret.name))) continue;
        for (const auto* value : values) {
          if (value->size() < kShortest) continue;
          const bool whole = is_whole(leaf.text.reveal(), value->reveal());
          if (whole && like_a_name(value->reveal()) && !name_of_password(leaf.path.at(0))) continue;  // POSTGRES_USER=wordpress
          if (!whole && part_at(leaf.text.reveal(), value->reveal()) == std::string_view::npos) continue;
          out.push_back({{leaf.path.at(0), file.path, winner(secrets, leaf.path.at(0)) == &file}, whole});
          break;
        }
      }
    }
  return out;
}

Result<void> write(const Secret& secret, const std::vector<Copy>& copies, const Wanted& wanted, secrets::Keyring& keys) {
  std::vector<std::string> paths;
  for (const auto& copy : copies)
    if (copy.secret.file != secret.file && std::ranges::find(paths, copy.secret.file) == paths.end()) paths.push_back(copy.secret.file);
  paths.push_back(secret.file);
  for (const auto& path : paths) {
    DM_TRY(const auto file, secrets::open_sealed(path, keys));
    auto plain = secrets::plain_document(file.opened);
    const auto set = [&](const std::string& name, const SecretString& text) {
      auto leaf = std::ranges::find_if(plain.leaves, [&](const secrets::Leaf& one) { return is_value(one) && one.path.at(0) == name; });
      if (leaf == plain.leaves.end()) leaf = plain.leaves.insert(leaf, {{name}, secrets::LeafType::str, {}, {}, 0});
      leaf->text = secrets::dotenv_value(text.reveal());
    };
    for (const auto& copy : copies) {
      const auto leaf = std::ranges::find_if(plain.leaves, [&](const secrets::Leaf& one) { return copy.secret.file == path && is_value(one) && one.path.at(0) == copy.secret.name; });
      if (leaf == plain.leaves.end()) continue;
      for (const auto* before : wanted.before) {
        if (*before == wanted.value) continue;
        if (is_whole(leaf->text.reveal(), before->reveal())) {
          leaf->text = secrets::dotenv_value(wanted.value.reveal());
        } else {  // of a URL only the password
          for (auto at = part_at(leaf->text.reveal(), before->reveal()); at != std::string_view::npos; at = part_at(leaf->text.reveal(), before->reveal(), at + wanted.value.size())) {
            const auto text = leaf->text.reveal();
            SecretString with(text.substr(0, at));
            with.append(wanted.value.reveal());
            with.append(text.substr(at + before->size()));
            leaf->text = std::move(with);
          }
        }
      }
    }
    if (path == secret.file) {
      set(secret.name, wanted.value);
      std::erase_if(plain.leaves, [&](const secrets::Leaf& leaf) { return is_value(leaf) && leaf.path.at(0) != secret.name && of_rotation(leaf.path.at(0), secret.name); });
      if (wanted.other != nullptr) set(wanted.beside, *wanted.other);
    }
    DM_CHECK(secrets::save_sealed(file, std::move(plain)));
  }
  return {};
}

}  // namespace dm::rotate
