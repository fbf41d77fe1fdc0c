// secrets set, get, list, remove: one value at a time.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "base/files.hpp"
#include "base/json.hpp"
#include "cli/secrets.hpp"
#include "secrets/crypto.hpp"
#include "secrets/delivery.hpp"

namespace dm::cli {
namespace {

int status_of(const Result<int>& result) { return result ? *result : complain(result.error()); }

bool variable_name(std::string_view name) {
  const auto fine = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, fine) && !name.starts_with("sops_");
}

/// Letters and digits, without those that look alike; 5.75 bits each.
secrets::SecretString generated(std::size_t length) {
  constexpr std::string_view kAlphabet = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  secrets::SecretString out;
  out.reserve(length);
  while (out.size() < length) {
    const auto bytes = secrets::random_secret(64);
    for (const char c : bytes.reveal()) {
      const auto value = static_cast<unsigned char>(c);
      if (value >= 256 / kAlphabet.size() * kAlphabet.size() || out.size() == length) continue;  // no letter more often than another
      out.append(kAlphabet[value % kAlphabet.size()]);
    }
  }
  return out;
}

std::string joined(const std::vector<std::string>& path) {
  std::string out;
  for (const auto& key : path) out += (out.empty() ? "" : ".") + key;
  return out;
}

Result<secrets::SecretString> value_from_user(Args& args, std::string_view name) {
  std::string length;
  const bool sized = args.option("--generate", length);
  if (sized || args.has("--generate")) {
    const auto count = sized ? std::strtoul(length.c_str(), nullptr, 10) : 32;
    if (count < 12 || count > 1024) return fail(Errc::invalid_input, "--generate takes a length from 12 to 1024");
    return generated(count);
  }
  if (::isatty(STDIN_FILENO) == 0) {
    DM_TRY(auto value, read_secret_input());
    if (value.reveal().ends_with('\n')) value.resize(value.size() - 1);
    if (value.empty())  // a program before the pipe that failed must not take a password away
      return fail(Errc::invalid_input, fmt::format("no value came by standard input; nothing was changed (an empty one: printf '{}=\\0' | datamancy secrets set --null)", name));
    return value;
  }
  DM_TRY(auto value, ask_hidden(fmt::format("Value of {}: ", name)));
  DM_TRY(const auto again, ask_hidden("Again: "));
  if (!(value == again)) return fail(Errc::invalid_input, "the two entries differ; nothing was changed");
  if (value.empty()) return fail(Errc::invalid_input, "no value was typed; nothing was changed");
  return value;
}

/// The text of NAME=value for a value; proven by reading it back as Compose does.
Result<secrets::SecretString> as_dotenv(std::string_view name, const secrets::SecretString& value) {
  if (value.reveal().find('\0') != std::string_view::npos) return fail(Errc::invalid_input, "a value with a zero byte can be no variable; seal it as a file ('datamancy secrets seal')");
  auto text = secrets::dotenv_value(value.reveal());
  secrets::ProjectSecrets one;
  secrets::SecretString line(fmt::format("{}=", name));
  line.append(text.reveal());
  line.append('\n');
  one.files.push_back({"", std::move(line), {}, {std::string(name)}});
  DM_TRY(const auto back, secrets::variables_of(one, {}));
  if (back.size() != 1 || !(back[0].second == value)) return fail(Errc::unsupported, "Compose would not read this value back as it is; seal it as a file ('datamancy secrets seal')");
  // SOPS takes backslash-n for a line end in the stored text.
  secrets::SecretString stored;
  const auto bytes = text.reveal();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes.substr(i).starts_with("\\n")) stored.append('\n'), ++i;
    else stored.append(bytes[i]);
  }
  return stored;
}

using Entries = std::vector<std::pair<std::string, secrets::SecretString>>;

/// NAME=value, a zero byte after each.
Result<Entries> entries_of(const secrets::SecretString& input) {
  Entries out;
  auto rest = input.reveal();
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\0'), rest.size());
    const auto entry = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const auto cut = entry.find('=');
    if (cut == std::string_view::npos || !variable_name(entry.substr(0, cut))) return fail(Errc::invalid_input, fmt::format("entry {} of standard input is no NAME=value", out.size() + 1));
    out.emplace_back(entry.substr(0, cut), secrets::SecretString(entry.substr(cut + 1)));
  }
  return out;
}

/// Sets variables in an open dotenv file. Errors: those of `as_dotenv`, and where the rule would leave one in the clear.
Result<secrets::Document> with_values(const secrets::SealedFile& file, const Entries& entries) {
  auto plain = secrets::plain_document(file.opened);
  std::map<std::string, std::size_t, std::less<>> places;
  for (std::size_t i = 0; i < plain.leaves.size(); ++i)
    if (plain.leaves[i].type != secrets::LeafType::comment) places[plain.leaves[i].path.at(0)] = i;
  const auto rule = plain.sops.rule.value_or(secrets::Rule{});
  for (const auto& [name, value] : entries) {
    if (!rule.seals({name})) return fail(Errc::invalid_input, fmt::format("the rule of '{}' ({}: {}) would leave {} in the clear", file.path, to_string(rule.kind), rule.text, name));
    auto text = during(fmt::format("setting {}", name), as_dotenv(name, value));
    if (!text) return fail(text.error());
    const auto [place, fresh] = places.try_emplace(name, plain.leaves.size());
    if (fresh) plain.leaves.push_back({{name}, secrets::LeafType::str, {}, {}, 0});
    plain.leaves[place->second].text = std::move(*text);
  }
  return plain;
}

/// `in` (as --in said it), else `chosen_file` for a value of this name.
Result<std::string> file_of(Args& args, const std::string& in, std::string_view name) { return in.empty() ? chosen_file(args, name) : Result<std::string>(absolute(args, in)); }

/// The file to set in: the same, but a new secrets.enc.env where none is there yet.
Result<std::string> file_to_set(Args& args, const std::string& in, std::string_view name) {
  auto chosen = file_of(args, in, name);
  if (!chosen && chosen.error().exit == secrets::kNoSecrets) return project_folder(args) + "/secrets.enc.env";
  return chosen;
}

/// Makes an empty sealed file where there is none.
Result<void> ensure_file(const std::string& path, secrets::Keyring& keys) {
  if (sources::disk().stat(path).kind != sources::Kind::missing) return {};
  if (!path.ends_with(".env")) return fail(Errc::invalid_input, fmt::format("there is no '{}', and only *.enc.env files are made here", path));
  DM_TRY(const auto plan, secrets::plan_sealing(path, keys));
  DM_TRY(const auto empty, secrets::seal_text("", secrets::Store::dotenv, plan));
  DM_CHECK(write_atomic(path, empty));
  fmt::print("made {} (recipients from {})\n", path, plan.from);
  return {};
}

Result<int> set_many(Args& args, const std::string& in) {
  DM_TRY(const auto path, file_to_set(args, in, {}));
  if (!args.words.empty()) return secrets_usage("set", fmt::format("'{}' is not known beside --null", args.words[0]));
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(const auto input, read_secret_input());
  DM_TRY(const auto entries, entries_of(input));
  DM_CHECK(ensure_file(path, keys));
  DM_TRY(const auto file, secrets::open_sealed(path, keys));
  if (file.opened.document.store != secrets::Store::dotenv) return fail(Errc::unsupported, fmt::format("many values at once are set in files that are sealed by their values, and '{}' is {}", path, to_string(file.opened.document.store)));
  DM_TRY(auto plain, with_values(file, entries));
  DM_TRY(const bool changed, secrets::save_sealed(file, std::move(plain)));
  fmt::print("{} {} in {}\n", changed ? "set" : "unchanged:", counted(entries.size(), "value"), path);
  return kClean;
}

Result<int> set(Args& args) {
  std::string in;
  args.option("--in", in);
  if (args.has("--null")) return set_many(args, in);
  const auto generate = std::ranges::any_of(args.words, [](const std::string& word) { return word.starts_with("--generate"); });
  std::vector<std::string> operands;
  for (const auto& word : args.words)
    if (!word.starts_with("--")) operands.push_back(word);
  if (operands.size() == 2 && generate) operands.pop_back();  // "--generate 40"
  if (operands.size() != 1) return secrets_usage("set", operands.empty() ? "a name is missing" : "a value on the command line would be seen by every user (ps) and kept by the shell; give the name alone");
  if (operands[0].find('=') != std::string::npos) return secrets_usage("set", "a value on the command line would be seen by every user (ps) and kept by the shell; give the name alone");
  const auto name = operands[0];
  std::erase(args.words, name);

  DM_TRY(const auto path, file_to_set(args, in, name));
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  if (path.ends_with(".env") && !variable_name(name)) return fail(Errc::invalid_input, fmt::format("'{}' is no variable's name", name));
  DM_CHECK(ensure_file(path, keys));
  DM_TRY(const auto file, secrets::open_sealed(path, keys));
  const bool dotenv = file.opened.document.store == secrets::Store::dotenv;
  if (dotenv && !variable_name(name)) return fail(Errc::invalid_input, fmt::format("'{}' is no variable's name", name));
  DM_TRY(auto value, value_from_user(args, name));
  if (!args.words.empty()) return secrets_usage("set", fmt::format("'{}' is not known", args.words[0]));
  auto plain = secrets::plain_document(file.opened);
  if (dotenv) {
    Entries one;
    one.emplace_back(name, std::move(value));
    DM_TRY(plain, with_values(file, one));
  } else {
    const auto leaf = std::ranges::find_if(plain.leaves.rbegin(), plain.leaves.rend(),
                                           [&](const secrets::Leaf& one) { return one.type != secrets::LeafType::comment && joined(one.path) == name; });
    if (plain.store == secrets::Store::binary) return fail(Errc::unsupported, fmt::format("'{}' is sealed as a whole: 'datamancy secrets edit' changes it, or {}", path, secrets::by_values_hint(path)));
    if (leaf == plain.leaves.rend())
      return fail(Errc::not_found, fmt::format("'{}' has no value '{}'; in {} files values are replaced, not added", path, name, to_string(plain.store)));
    const auto bytes = value.reveal();
    if (plain.store == secrets::Store::ini && (bytes.find('\n') != std::string_view::npos || bytes.find('\0') != std::string_view::npos))
      return fail(Errc::unsupported, "an INI value has one line; seal it as a file ('datamancy secrets seal')");
    leaf->text = std::move(value);
    leaf->type = secrets::LeafType::str;
  }
  DM_TRY(const bool changed, secrets::save_sealed(file, std::move(plain)));
  fmt::print("{} {} in {}\n", changed ? "set" : "unchanged:", name, path);
  return kClean;
}

Result<int> get(Args& args) {
  const bool raw = args.has("--raw");
  std::string in;
  args.option("--in", in);
  if (args.words.size() != 1) return secrets_usage("get", args.words.empty() ? "a name is missing" : fmt::format("'{}' is not known", args.words[1]));
  const auto name = args.words[0];
  DM_TRY(const auto path, file_of(args, in, name));
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(const auto file, secrets::open_sealed(path, keys));
  const auto& document = file.opened.document;
  auto process = args.project.environment;
  process.erase(name);
  const auto as_compose_reads = [&]() -> Result<secrets::SecretString> {
    DM_TRY(const auto one, secrets::only(file));
    DM_TRY(auto variables, secrets::variables_of(one, process));
    for (auto& [variable, value] : variables)
      if (variable == name) return std::move(value);
    return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("'{}' has no '{}'; 'datamancy secrets list' shows what it has", path, name));
  };
  secrets::SecretString value;
  const auto leaf = std::ranges::find_if(document.leaves.rbegin(), document.leaves.rend(), [&](const secrets::Leaf& one) { return one.type != secrets::LeafType::comment && joined(one.path) == name; });
  if (leaf == document.leaves.rend()) {
    if (document.store != secrets::Store::binary) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("'{}' has no '{}'; 'datamancy secrets list' shows what it has", path, name));
    DM_TRY(value, as_compose_reads());  // an env file that is sealed as a whole
  } else {
    value = secrets::SecretString(file.opened.values[static_cast<std::size_t>(document.leaves.rend() - leaf) - 1].plain.reveal());
    if (document.store == secrets::Store::dotenv && !raw) {
      DM_TRY(value, as_compose_reads());
    }
  }
  if (::isatty(STDOUT_FILENO) != 0) value.append('\n');
  return print_secret(value.reveal()) ? kClean : kFailed;
}

Result<int> list(Args& args) {
  const bool json = args.has("--json");
  std::vector<EnvFile> all;
  if (std::string named; args.option("--in", named)) all.push_back({absolute(args, named), {}, true});
  if (!args.words.empty()) return secrets_usage("list", fmt::format("'{}' is not known", args.words[0]));
  if (all.empty()) all = sealed_env_files(args);
  if (all.empty()) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("no sealed env file lies in '{}', and no service names one; 'datamancy secrets set NAME' makes secrets.enc.env", project_folder(args)));
  JsonWriter out;
  out.begin_object().key("files").begin_array();
  for (const auto& entry : all) {
    const auto& [path, services, of_project] = entry;
    auto text = sources::disk().read(path, secrets::kMaxSealed);
    if (!text) return secrets::fail_as(secrets::kNoSecrets, text.error().code, text.error().message);
    DM_TRY(const auto document, during(fmt::format("reading '{}'", path), secrets::parse_sealed(*text)));
    const auto rule = document.sops.rule.value_or(secrets::Rule{});
    out.begin_object().key("path").value(path).key("store").value(to_string(document.store)).key("last_modified").value(document.sops.last_modified);
    out.key("services").begin_array();
    for (const auto& service : services) out.value(service);
    out.end().key("names").begin_array();
    if (!json) {
      fmt::print("{}  ({}, {}, changed {})\n", path, to_string(document.store), counted(document.sops.age.size(), "recipient"), document.sops.last_modified);
      if (!services.empty()) fmt::print("  env_file of {}\n", fmt::join(services, ", "));
      if (!entry.read()) fmt::print("  {}\n", kNotRead);
      if (document.store == secrets::Store::binary) fmt::print("  sealed as a whole: its names are sealed, too\n");
    }
    for (const auto& leaf : document.leaves) {
      if (leaf.type == secrets::LeafType::comment) continue;
      const bool sealed = document.store == secrets::Store::binary || (rule.seals(leaf.path) && !leaf.text.empty());
      const auto* state = leaf.text.empty() ? "empty" : sealed ? "sealed" : "plain";
      out.begin_object().key("name").value(joined(leaf.path)).key("state").value(state).end();
      if (!json) fmt::print("  {:6}  {}\n", state, joined(leaf.path));
    }
    out.end().end();
  }
  out.end().end();
  if (json) fmt::print("{}\n", out.take());
  return kClean;
}

Result<int> remove(Args& args) {
  const bool yes = args.has("--yes");
  std::string in;
  args.option("--in", in);
  if (args.words.size() != 1) return secrets_usage("remove", args.words.empty() ? "a name is missing" : fmt::format("'{}' is not known", args.words[1]));
  const auto name = args.words[0];
  DM_TRY(const auto path, file_of(args, in, name));
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(const auto file, secrets::open_sealed(path, keys));
  const auto is_it = [&](const secrets::Leaf& leaf) { return leaf.type != secrets::LeafType::comment && joined(leaf.path) == name; };
  const auto& store = file.opened.document.store;
  if (store == secrets::Store::binary) return fail(Errc::unsupported, fmt::format("'{}' is sealed as a whole: 'datamancy secrets edit' changes it, or {}", path, secrets::by_values_hint(path)));
  auto plain = secrets::plain_document(file.opened);
  std::size_t count = 0;
  if (store == secrets::Store::dotenv) {
    count = std::erase_if(plain.leaves, is_it);
  } else if (std::ranges::any_of(plain.leaves, is_it)) {
    DM_TRY(const auto text, secrets::plain_text(file.opened));
    DM_TRY(plain, during(fmt::format("reading '{}'", path), secrets::parse_plain(text.reveal(), store)));
    plain.sops = file.opened.document.sops;
    for (auto leaf = std::ranges::find_if(plain.leaves, is_it); leaf != plain.leaves.end(); leaf = std::ranges::find_if(plain.leaves, is_it), ++count) {
      DM_TRY(auto less, secrets::without_member(plain, static_cast<std::size_t>(leaf - plain.leaves.begin())));
      plain = std::move(less);
    }
  }
  if (count == 0) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("'{}' has no '{}'", path, name));
  if (!yes && !agreed(fmt::format("Remove {} from {}?", name, path))) return fail(Errc::conflict, "not agreed to; --yes agrees without a question");
  DM_CHECK(secrets::save_sealed(file, std::move(plain)));
  fmt::print("removed {} from {}\n", name, path);
  return kClean;
}

}  // namespace

int secrets_set(Args& args) { return status_of(set(args)); }
int secrets_get(Args& args) { return status_of(get(args)); }
int secrets_list(Args& args) { return status_of(list(args)); }
int secrets_remove(Args& args) { return status_of(remove(args)); }

}  // namespace dm::cli
