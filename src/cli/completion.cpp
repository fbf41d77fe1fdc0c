#include "cli/completion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace dm::cli {
namespace {

/// An option as the usage of a verb writes it: `--format yaml|json`, `[-q]`, `-o FILE`.
struct Option {
  std::string name;
  std::string values{};   ///< "yaml json", or "" where none are listed
  bool argument = false;
};

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '[' || c == ']' || c == ',' || c == ';' || c == '`' || c == '(' || c == ')') {
      if (!out.back().empty()) out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

bool listed(std::string_view word) { return word.find('|') != std::string_view::npos && word[0] != '-' && word[0] >= 'a' && word[0] <= 'z'; }
bool placeholder(std::string_view word) { return !word.empty() && word[0] >= 'A' && word[0] <= 'Z'; }

/// The first line of a usage and those that go on with it; the sentences after them name no options.
std::vector<Option> options_of(std::string_view usage) {
  std::vector<Option> out;
  const auto words = words_of(usage);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].size() < 2 || words[i][0] != '-') continue;
    std::string_view rest = words[i];
    while (!rest.empty()) {  // `--services|--volumes`
      const auto bar = rest.find('|');
      const std::string_view name = rest.substr(0, bar);
      rest.remove_prefix(bar == std::string_view::npos ? rest.size() : bar + 1);
      const auto odd = std::find_if_not(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-'; });
      if (odd != name.end() || name.size() < 2 || std::ranges::find(out, name, &Option::name) != out.end()) continue;
      Option option{std::string(name)};
      if (rest.empty() && i + 1 < words.size()) {
        option.argument = listed(words[i + 1]) || placeholder(words[i + 1]);
        if (listed(words[i + 1])) {
          option.values = words[i + 1];
          std::ranges::replace(option.values, '|', ' ');
        }
      }
      out.push_back(std::move(option));
    }
  }
  if (std::ranges::find(out, "--format", &Option::name) != out.end() && std::ranges::find(out, "--json", &Option::name) == out.end()) out.push_back({"--json"});
  out.push_back({"--help"});
  return out;
}

constexpr std::string_view kProject = "-f FILE -p NAME --profile NAME --env-file FILE --project-directory DIR -H HOST --context NAME";

std::string joined(const std::vector<Option>& options) {
  std::string out;
  for (const Option& option : options) out += (out.empty() ? "" : " ") + option.name;
  return out;
}

std::string quote(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += "'\\''";
    else out += c;
  }
  return out + "'";
}

std::string bash(std::span<const Verb> verbs) {
  std::string names;
  std::string values;
  std::string options;
  for (const Verb& verb : verbs) {
    names += fmt::format("{}{}", names.empty() ? "" : "|", verb.name);
    const auto known = options_of(verb.usage);
    for (const Option& option : known)
      if (!option.values.empty()) values += fmt::format("    {}:{}) COMPREPLY=($(compgen -W {} -- \"$cur\")); return ;;\n", verb.name, option.name, quote(option.values));
    options += fmt::format("    {}) words={} ;;\n", verb.name, quote(joined(known)));
  }
  auto all = names;
  std::ranges::replace(all, '|', ' ');
  return fmt::format(R"(# bash completion of datamancy: source it, or write it to /usr/share/bash-completion/completions/datamancy
_datamancy() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} verb= words i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in {0}) verb=${{COMP_WORDS[i]}}; break ;; esac
  done
  case $verb:$prev in
    *:-f | *:--file | *:--env-file | *:-o) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    *:--project-directory) COMPREPLY=($(compgen -d -- "$cur")); return ;;
{1}  esac
  case $verb in
    '') words={2} ;;
{3}  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))
}}
complete -o filenames -F _datamancy datamancy
)",
                     names, values, quote(all + " " + joined(options_of(kProject)) + " --version"), options);
}

std::string zsh(std::span<const Verb> verbs) {
  std::string described;
  std::string cases;
  for (const Verb& verb : verbs) {
    std::string summary(verb.summary);
    std::ranges::replace(summary, ':', ',');
    described += fmt::format("    {}\n", quote(fmt::format("{}:{}", verb.name, summary)));
    const auto known = options_of(verb.usage);
    cases += fmt::format("    {})\n      case $prev in\n", verb.name);
    for (const Option& option : known)
      if (!option.values.empty()) cases += fmt::format("        {}) compadd -- {}; return ;;\n", option.name, option.values);
    cases += fmt::format("      esac\n      compadd -- {} ;;\n", joined(known));
  }
  std::string names;
  for (const Verb& verb : verbs) names += fmt::format("{}{}", names.empty() ? "" : "|", verb.name);
  return fmt::format(R"(#compdef datamancy
# zsh completion of datamancy: write it to a folder of $fpath as _datamancy
_datamancy() {{
  local prev=${{words[CURRENT-1]}} verb= word
  local -a verbs=(
{0}  )
  for word in ${{words[2,CURRENT-1]}}; do
    case $word in {1}) verb=$word; break ;; esac
  done
  case $prev in
    -f|--file|--env-file|-o) _files; return ;;
    --project-directory) _files -/; return ;;
  esac
  case $verb in
    '') _describe verb verbs; compadd -- {2} --version ;;
{3}  esac
  _files
}}
_datamancy "$@"
)",
                     described, names, joined(options_of(kProject)), cases);
}

std::string fish(std::span<const Verb> verbs) {
  std::string out = "# fish completion of datamancy: write it to ~/.config/fish/completions/datamancy.fish\n";
  const auto one = [&](const Option& option, std::string_view when) {
    const bool longer = option.name.starts_with("--");
    out += fmt::format("complete -c datamancy{} {} {}{}\n", when, longer ? "-l" : "-s", option.name.substr(longer ? 2 : 1),
                       !option.values.empty() ? fmt::format(" -x -a {}", quote(option.values)) : option.argument ? " -r" : "");
  };
  for (const Option& option : options_of(kProject)) one(option, "");
  for (const Verb& verb : verbs) {
    out += fmt::format("complete -c datamancy -n __fish_use_subcommand -a {} -d {}\n", verb.name, quote(verb.summary));
    for (const Option& option : options_of(verb.usage)) one(option, fmt::format(" -n '__fish_seen_subcommand_from {}'", verb.name));
  }
  return out;
}

/// Text in roff: a line must not begin with a dot or quote, and a backslash or dash means itself.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    if (c == '\\') out += "\\e";
    else if (c == '-') out += "\\-";
    else out += c;
  }
  return out;
}

}  // namespace

std::string completion_script(std::string_view shell, std::span<const Verb> verbs) {
  return shell == "bash" ? bash(verbs) : shell == "zsh" ? zsh(verbs) : shell == "fish" ? fish(verbs) : std::string();
}

std::string manual_page(std::span<const Verb> verbs) {
  std::string out = ".TH DATAMANCY 1\n.SH NAME\ndatamancy \\- takes a Docker Compose stack to production, with evidence\n"
                    ".SH SYNOPSIS\n.B datamancy\n[\\-f FILE]... [\\-p NAME] [\\-\\-profile NAME]... [\\-\\-env\\-file FILE]...\n"
                    "[\\-\\-project\\-directory DIR] [\\-H HOST | \\-\\-context NAME] VERB [options]\n"
                    ".PP\nOptions may stand before or after the verb. Where a verb has \\-\\-format json, \\-\\-json is the same.\n.SH VERBS\n";
  for (const Verb& verb : verbs) out += fmt::format(".SS {}\n{}.\n.PP\n.nf\n{}\n.fi\n", roff(verb.name), roff(verb.summary), roff(verb.usage));
  out += ".SH EXIT STATUS\n0 clean or done, 1 findings or failed, 2 could not judge or do, 10 a program is missing, 11 no key, 12 cannot decrypt,\n"
         "13 no secrets, 64 wrong use, 70 a fault of datamancy, 130 interrupted.\n"
         ".SH ENVIRONMENT\nWhat docker compose reads is read in the same way: COMPOSE_FILE, COMPOSE_PROFILES, COMPOSE_PROJECT_NAME,\n"
         "COMPOSE_ENV_FILES, COMPOSE_PATH_SEPARATOR, COMPOSE_DISABLE_ENV_FILE, DOCKER_HOST, DOCKER_CONTEXT. Output has no colours.\n"
         ".SH FILES\n.I .datamancy.yml\nsettings of a project, and findings that are suppressed with a reason.\n";
  return out;
}

int completion(Args& args) {
  const auto script = args.words.size() == 1 ? completion_script(args.words[0], verbs()) : std::string();
  if (script.empty()) {
    fmt::print(stderr, "datamancy: completion needs one of bash, zsh, fish\n");
    return kUsage;
  }
  return write_output({}, script) ? kClean : kFailed;
}

int manual(Args& args) {
  if (!args.words.empty()) {
    fmt::print(stderr, "datamancy: man takes no words; see 'datamancy man --help'\n");
    return kUsage;
  }
  return write_output({}, manual_page(verbs())) ? kClean : kFailed;
}

}  // namespace dm::cli
