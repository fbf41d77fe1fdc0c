#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "compose/stages.hpp"

namespace dm::compose {
namespace {

constexpr std::size_t kMaxUnset = 1000;  // more warnings help nobody
constexpr int kMaxNesting = 100;  // `${A:-${B:-...}}`

bool name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool name_char(char c) { return name_start(c) || (c >= '0' && c <= '9'); }

/// One pass over a template. Where the scalar is written plainly, offsets in the decoded text are offsets in the file.
class Expander {
 public:
  Expander(std::string_view raw, Location where, const Lookup& lookup, Context& context, std::vector<Segment>* segments,
           std::vector<VariableUse>* uses)
      : raw_(raw), where_(where), lookup_(lookup), context_(context), segments_(segments), uses_(uses) {
    exact_ = context.project.texts.text(where) == raw;
    const auto source = context.project.texts.text(where);
    if (!exact_ && source.size() == raw.size() + 2) {  // quoted without escapes
      exact_ = source.substr(1, raw.size()) == raw;
      shift_ = exact_ ? 1 : 0;
    }
  }

  bool expand(std::size_t begin, std::size_t end, std::string& out, int depth) {  // NOLINT(misc-no-recursion)
    if (depth > kMaxNesting) return error(begin, end, "variables nested too deeply", "simplify the default");
    std::size_t literal = out.size();
    std::size_t literal_at = begin;
    const auto flush = [&](std::size_t upto) {
      if (depth == 0 && segments_ != nullptr && out.size() > literal)
        segments_->push_back({Segment::Kind::literal, false, {}, static_cast<std::uint32_t>(literal),
                              static_cast<std::uint32_t>(out.size()), place(literal_at, upto), {}});
    };
    for (std::size_t i = begin; i < end;) {
      if (raw_[i] != '$') {
        const auto dollar = std::min(raw_.find('$', i), end);
        out += raw_.substr(i, dollar - i);
        i = dollar;
        continue;
      }
      if (i + 1 < end && raw_[i + 1] == '$') {
        out += '$';
        i += 2;
        continue;
      }
      if (i + 1 < end && name_start(raw_[i + 1])) {
        std::size_t stop = i + 1;
        while (stop < end && name_char(raw_[stop])) ++stop;
        flush(i);
        variable(raw_.substr(i + 1, stop - i - 1), VariableUse::Form::plain, i, stop, out, depth);
        i = literal_at = stop;
        literal = out.size();
        continue;
      }
      if (i + 1 < end && raw_[i + 1] == '{') {
        const auto close = closing(i + 2, end);
        if (close == std::string_view::npos)
          return error(i, end, fmt::format("invalid interpolation format: \"{}\"", raw_.substr(i, end - i)),
                       "close it with '}', or write $$ for a dollar sign");
        flush(i);
        if (!braced(i, close, out, depth)) return false;
        i = literal_at = close + 1;
        literal = out.size();
        continue;
      }
      out += '$';  // `$1`, `$(x)`, a `$` at the end: literal
      ++i;
    }
    flush(end);
    return true;
  }

 private:
  /// The brace that closes one opened just before `from`.
  std::size_t closing(std::size_t from, std::size_t end) const {
    int open = 1;
    for (std::size_t i = from; i < end; ++i) {
      if (raw_[i] == '{') ++open;
      if (raw_[i] == '}' && --open == 0) return i;
    }
    // `${U:-{}`: an inner brace that is never closed is text, and the last brace ends the reference.
    const auto last = raw_.substr(0, end).rfind('}');
    return last != std::string_view::npos && last >= from ? last : std::string_view::npos;
  }

  bool braced(std::size_t dollar, std::size_t close, std::string& out, int depth) {  // NOLINT(misc-no-recursion)
    std::size_t i = dollar + 2;
    std::size_t stop = i;
    if (stop < close && name_start(raw_[stop]))
      while (stop < close && name_char(raw_[stop])) ++stop;
    const auto name = raw_.substr(i, stop - i);
    const auto whole = raw_.substr(dollar, close + 1 - dollar);
    if (name.empty())
      return error(dollar, close + 1, fmt::format("invalid interpolation format: \"{}\"", whole),
                   "a name begins with a letter or '_'; write $$ for a dollar sign");
    if (stop == close) {
      variable(name, VariableUse::Form::plain, dollar, close + 1, out, depth);
      return true;
    }
    const bool colon = raw_[stop] == ':';
    const char op = stop + (colon ? 1 : 0) < close ? raw_[stop + (colon ? 1 : 0)] : '\0';
    if (op != '-' && op != '?' && op != '+')
      return error(dollar, close + 1, fmt::format("invalid interpolation format: \"{}\"", whole),
                   name.empty() || raw_[stop] == ' ' ? "known forms: ${A}, ${A:-default}, ${A:?message}, ${A:+replacement}, and these without ':'"
                                                     : fmt::format("if a shell in the container is to read it, write ${}; Compose itself knows ${{A:-default}}, ${{A:?message}}, ${{A:+replacement}}", whole));
    if (whole.find('\n') != std::string_view::npos)
      return error(dollar, close + 1, "invalid interpolation format: a line break inside ${...}", "write it on one line");
    const auto rest = stop + (colon ? 2 : 1);
    std::string alternative;
    if (!expand(rest, close, alternative, depth + 1)) return false;  // the unused branch is evaluated too
    const auto* found = lookup_(name);
    const bool present = found != nullptr && (!colon || !found->value.empty());
    const auto form = op == '-'   ? VariableUse::Form::default_value
                      : op == '?' ? VariableUse::Form::required
                                  : VariableUse::Form::alternative;
    note(name, form, found != nullptr, dollar, close + 1);
    if (op == '?' && !present && context_.options.lenient) {
      // A clone without its .env: the guard is right, so the audit goes on with an unknown value.
      const std::size_t at = out.size();
      context_.warn(place(dollar, close + 1), fmt::format("required variable {} has no value here", name),
                    fmt::format("set {} in .env or in the environment before a start", name));
      segment(Segment::Kind::variable, name, nullptr, at, at, dollar, close + 1, depth);
      return true;
    }
    if (op == '?' && !present)
      return error(dollar, close + 1,
                   alternative.empty() ? fmt::format("required variable {} is missing a value", name)
                                       : fmt::format("required variable {} is missing a value: {}", name, alternative),
                   fmt::format("set {} in .env or in the environment", name));
    const bool use_alternative = op == '-' ? !present : op == '+' && present;
    const std::size_t before = out.size();
    if (use_alternative) out += alternative;
    else if (op != '+') out += found->value;
    segment(use_alternative ? Segment::Kind::fallback : Segment::Kind::variable, name, found, before, out.size(), dollar,
            close + 1, depth);
    return true;
  }

  void variable(std::string_view name, VariableUse::Form form, std::size_t begin, std::size_t end, std::string& out,
                int depth) {
    const auto* found = lookup_(name);
    note(name, form, found != nullptr, begin, end);
    if (found == nullptr && context_.unset_variables.size() < kMaxUnset && context_.unset_variables.emplace(name).second) {
      if (context_.unset_variables.size() == kMaxUnset)
        context_.warn({}, fmt::format("{} variables are not set; the others are not named", kMaxUnset), "is there an env file missing?");
      context_.warn(place(begin, end), fmt::format("the variable \"{}\" is not set, so it is replaced by nothing", name),
                    fmt::format("set it in .env, or write ${{{}:?}} to stop here", name));
    }
    const std::size_t before = out.size();
    if (found != nullptr) out += found->value;
    segment(Segment::Kind::variable, name, found, before, out.size(), begin, end, depth);
  }

  void note(std::string_view name, VariableUse::Form form, bool defined, std::size_t begin, std::size_t end) {
    if (uses_ != nullptr)
      uses_->push_back({context_.project.arena.keep(name), form, defined, place(begin, end), {}, {}});
  }

  void segment(Segment::Kind kind, std::string_view name, const VariableDefinition* found, std::size_t from,
               std::size_t to, std::size_t begin, std::size_t end, int depth) {
    if (depth > 0 || segments_ == nullptr) return;
    segments_->push_back({kind, found != nullptr, context_.project.arena.keep(name), static_cast<std::uint32_t>(from),
                          static_cast<std::uint32_t>(to), place(begin, end), found != nullptr ? found->where : Location{}});
  }

  bool error(std::size_t begin, std::size_t end, std::string message, std::string hint) {
    context_.error(place(begin, end), std::move(message), std::move(hint));
    return false;
  }

  Location place(std::size_t begin, std::size_t end) const {
    if (!exact_) return where_;
    const auto base = where_.span.begin + shift_;
    return {where_.file, {base + static_cast<std::uint32_t>(begin), base + static_cast<std::uint32_t>(end)}};
  }

  std::string_view raw_;
  Location where_;
  const Lookup& lookup_;
  Context& context_;
  std::vector<Segment>* segments_;
  std::vector<VariableUse>* uses_;
  bool exact_ = false;
  std::uint32_t shift_ = 0;
};

enum class Cast : std::uint8_t { none, boolean, integer, real };

/// The fields that Compose converts after a substitution; `*` is any name, a sequence index counts as `[]`.
struct CastRow {
  std::string_view path;
  Cast cast;
};
constexpr CastRow kCasts[] = {
    {"configs.*.external", Cast::boolean},
    {"networks.*.attachable", Cast::boolean},
    {"networks.*.enable_ipv4", Cast::boolean},
    {"networks.*.enable_ipv6", Cast::boolean},
    {"networks.*.external", Cast::boolean},
    {"networks.*.internal", Cast::boolean},
    {"secrets.*.external", Cast::boolean},
    {"services.*.attach", Cast::boolean},
    {"services.*.build.no_cache", Cast::boolean},
    {"services.*.build.privileged", Cast::boolean},
    {"services.*.build.pull", Cast::boolean},
    {"services.*.build.ulimits.*", Cast::integer},
    {"services.*.build.ulimits.*.hard", Cast::integer},
    {"services.*.build.ulimits.*.soft", Cast::integer},
    {"services.*.cpu_count", Cast::integer},
    {"services.*.cpu_percent", Cast::real},
    {"services.*.cpu_period", Cast::integer},
    {"services.*.cpu_quota", Cast::integer},
    {"services.*.cpu_rt_period", Cast::integer},
    {"services.*.cpu_rt_runtime", Cast::integer},
    {"services.*.cpu_shares", Cast::integer},
    {"services.*.cpus", Cast::real},
    {"services.*.depends_on.*.restart", Cast::boolean},
    {"services.*.deploy.replicas", Cast::integer},
    {"services.*.deploy.resources.limits.pids", Cast::integer},
    {"services.*.deploy.resources.reservations.generic_resources.[].discrete_resource_spec.value", Cast::integer},
    {"services.*.deploy.restart_policy.max_attempts", Cast::integer},
    {"services.*.deploy.rollback_config.max_failure_ratio", Cast::real},
    {"services.*.deploy.rollback_config.parallelism", Cast::integer},
    {"services.*.deploy.update_config.max_failure_ratio", Cast::real},
    {"services.*.deploy.update_config.parallelism", Cast::integer},
    {"services.*.deploy.placement.max_replicas_per_node", Cast::integer},
    {"services.*.develop.watch.[].exec.privileged", Cast::boolean},
    {"services.*.env_file.[].required", Cast::boolean},
    {"services.*.healthcheck.disable", Cast::boolean},
    {"services.*.healthcheck.retries", Cast::integer},
    {"services.*.init", Cast::boolean},
    {"services.*.oom_kill_disable", Cast::boolean},
    {"services.*.oom_score_adj", Cast::integer},
    {"services.*.pids_limit", Cast::integer},
    {"services.*.ports.[].target", Cast::integer},
    {"services.*.post_start.[].privileged", Cast::boolean},
    {"services.*.pre_stop.[].privileged", Cast::boolean},
    {"services.*.privileged", Cast::boolean},
    {"services.*.read_only", Cast::boolean},
    {"services.*.scale", Cast::integer},
    {"services.*.stdin_open", Cast::boolean},
    {"services.*.tty", Cast::boolean},
    {"services.*.ulimits.*", Cast::integer},
    {"services.*.ulimits.*.hard", Cast::integer},
    {"services.*.ulimits.*.soft", Cast::integer},
    {"services.*.volumes.[].read_only", Cast::boolean},
    {"services.*.volumes.[].bind.create_host_path", Cast::boolean},
    {"services.*.volumes.[].volume.nocopy", Cast::boolean},
    {"volumes.*.external", Cast::boolean},
};

class Walker {
 public:
  Walker(const Lookup& lookup, Context& context, bool replace = true) : lookup_(lookup), context_(context), replace_(replace) {}

  void walk(Value& value) {  // NOLINT(misc-no-recursion): bounded by the parser
    if (value.is_mapping()) {
      for (Entry& entry : *value.entries) {
        path_.push_back(entry.key);
        walk(*entry.value);
        path_.pop_back();
      }
    } else if (value.is_sequence()) {
      for (Value* item : *value.items) {
        path_.push_back("[]");
        walk(*item);
        path_.pop_back();
      }
    } else if (value.is_string() && value.text.find('$') != std::string_view::npos) {
      scalar(value);
    } else if (value.is_string() && replace_) {
      cast(value);
    }
  }

 private:
  void scalar(Value& value) {
    std::string out;
    std::vector<Segment> segments;
    std::vector<VariableUse> uses;
    Expander expander(value.text, value.where, lookup_, context_, &segments, &uses);
    const bool fine = expander.expand(0, value.text.size(), out, 0);
    std::string joined;
    for (const auto part : path_) {
      if (uses.empty()) break;
      if (!joined.empty()) joined += '.';
      joined += part;
    }
    const auto path = uses.empty() ? std::string_view() : context_.project.arena.keep(joined);
    for (VariableUse& use : uses) {
      use.path = path;
      if (path_.size() > 1 && path_[0] == "services") use.service = path_[1];
      context_.project.variables.push_back(std::move(use));
    }
    if (!fine || !replace_) return;
    const bool substituted = !segments.empty() && (segments.size() > 1 || segments[0].kind != Segment::Kind::literal);
    if (out != value.text) value.raw = value.text;
    value.text = context_.project.arena.keep(out);
    if (substituted) {
      auto* kept = context_.project.arena.segments();
      kept->assign(segments.begin(), segments.end());
      value.segments = kept;
    }
    cast(value);
  }

  static bool matches(std::string_view pattern, const std::vector<std::string_view>& path) {
    for (std::size_t i = 0; i < path.size(); ++i) {
      const auto dot = pattern.find('.');
      const auto part = pattern.substr(0, dot);
      if (part != "*" && part != path[i]) return false;
      if (dot == std::string_view::npos) return i + 1 == path.size();
      pattern.remove_prefix(dot + 1);
    }
    return false;
  }

  void cast(Value& value) {
    if (path_.size() < 3) return;
    Cast kind = Cast::none;
    for (const CastRow& row : kCasts)
      if (matches(row.path, path_)) kind = row.cast;
    if (kind == Cast::none) return;
    if (kind == Cast::boolean) return boolean(value);
    double number = 0;
    const auto* end = value.text.data() + value.text.size();
    const auto* begin = value.text.data() + (value.text.starts_with('+') ? 1 : 0);
    if (kind == Cast::integer) {
      std::int64_t whole = 0;
      const auto [stop, error] = std::from_chars(begin, end, whole);
      if (error == std::errc() && stop == end && !value.text.empty()) {
        value.kind = Kind::integer;
        value.integer = whole;
        return;
      }
    } else if (const auto [stop, error] = std::from_chars(begin, end, number);
               error == std::errc() && stop == end && !value.text.empty()) {
      value.kind = Kind::real;
      value.real = number;
      return;
    }
    context_.error(value.where, fmt::format("'{}' must be a number, but is \"{}\"", path_.back(), value.text), mend(value, "write a number"));
  }

  static std::string mend(const Value& value, std::string_view plain) {
    return value.segments != nullptr ? "a variable in it may be unset: give it a default" : std::string(plain);
  }

  void boolean(Value& value) {
    std::string lower(value.text);
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const bool yes = lower == "true" || lower == "yes" || lower == "y" || lower == "on" ;
    const bool no = lower == "false" || lower == "no" || lower == "n" || lower == "off";
    if (!yes && !no) {
      context_.error(value.where, fmt::format("'{}' must be true or false, but is \"{}\"", path_.back(), value.text), mend(value, "write true or false"));
      return;
    }
    value.kind = Kind::boolean;
    value.boolean = yes;
  }

  const Lookup& lookup_;
  Context& context_;
  bool replace_;
  std::vector<std::string_view> path_;
};

}  // namespace

void interpolate(Value& root, const Lookup& lookup, Context& context) {
  if (root.where) {  // growing by doubling would need three times the room
    const std::string_view text = context.project.texts.at(root.where.file).content;
    auto& uses = context.project.variables;
    const auto most = uses.size() + static_cast<std::size_t>(std::count(text.begin(), text.end(), '$'));
    if (most > uses.capacity()) uses.reserve(most);
  }
  Walker(lookup, context).walk(root);
}

void collect_variables(Value& root, Context& context) {
  std::vector<Diagnostic> ignored;
  Options lenient;  // a missing required variable must not end the search
  lenient.lenient = true;
  Context quiet{lenient, context.project, ignored};
  Walker([](std::string_view) { return nullptr; }, quiet, /*replace=*/false).walk(root);
}

bool interpolate_text(std::string_view raw, Location where, const Lookup& lookup, Context& context, std::string& out,
                      std::vector<Segment>* segments) {
  return Expander(raw, where, lookup, context, segments, nullptr).expand(0, raw.size(), out, 0);
}

}  // namespace dm::compose
