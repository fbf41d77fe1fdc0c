#include "backup/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <future>
#include <optional>

#include "backup/places.hpp"

namespace dm::backup {
namespace {

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// What passes by is counted, hashed and read.
struct Meter {
  DumpReader& reader;
  Hasher hash{};
  std::uint64_t bytes = 0;
  Result<void> take(std::string_view piece) {
    bytes += piece.size();
    hash.add(piece);
    return reader.take(piece);
  }
};

/// Of a small stream. One that is larger gets a snapshot of its own.
constexpr std::size_t kInside = 1U << 20U;

/// A small stream, saved apart from the others while those are under way.
struct Apart {
  std::string content{}, checksum{};
  Fingerprint fingerprint{};
  std::vector<std::string> notes{};
  double seconds = 0;
  bool large = false;  ///< too large to be kept like that
};

Result<Apart> save_apart(engine::Engine& engine, const Driver& driver, const Target& target, const Item& item, const Deadline& deadline) {
  Apart out;
  const auto begin = Clock::now();
  try {  // what a library throws fails one stream, not the run
    const auto reader = driver.reader(item);
    Meter meter{*reader};
    const auto dumped = driver.dump(engine, target, item, [&](std::string_view piece) -> Result<void> {
      out.large = out.content.size() + piece.size() > kInside;
      if (out.large) return fail(Errc::unsupported, "it is not small");
      out.content += piece;
      return meter.take(piece);
    }, out.notes, deadline);
    if (out.large) return out;
    if (!dumped) return fail(dumped.error());
    DM_TRY(out.fingerprint, reader->finish());
    out.checksum = meter.hash.take().hex();
  } catch (const std::exception& error) {
    return fail(Errc::failed, error.what());
  }
  out.seconds = since(begin);
  return out;
}

class Run {
 public:
  Run(engine::Engine& engine, Places& places, const RunOptions& options, Manifest& manifest) : engine_(engine), places_(places), options_(options), manifest_(manifest) {}

  /// `before_last` is called before the last stream of the subject begins.
  Result<void> subject(const Subject& subject, const std::function<void()>& before_last, const Deadline& deadline) {
    const auto* driver = driver_of(subject.target.kind);
    Target target = subject.target;
    Saved blank;
    blank.subject = subject.id;
    blank.item = "?";
    blank.target = target;
    blank.config_hash = subject.config_hash;
    blank.at = unix_now();
    const auto give_up = [&](const Error& error) -> Result<void> {
      if (deadline.stopped()) return fail(error);
      DM_CHECK(settle(0, deadline));
      blank.outcome = Outcome::failed;
      blank.trouble = error.describe();
      blank.target.container.clear();
      manifest_.saved.push_back(blank);
      return {};
    };
    if (driver == nullptr) return give_up({Errc::unsupported, fmt::format("no driver for {}", subject.target.kind), {}});
    if (subject.what == Subject::What::datastore && !subject.running) return give_up({Errc::conflict, fmt::format("service '{}' does not run, so it cannot be asked for a dump", subject.id), {}});
    if (auto examined = driver->examine(engine_, target, deadline); !examined) return give_up(examined.error());
    auto items = driver->items(engine_, target, deadline);
    if (!items) return give_up(items.error());
    Quiesce quiesce(engine_, subject.still, options_.quiesced);
    quiesce.limit(std::chrono::seconds(subject.still_limit));
    if (auto begun = quiesce.begin(deadline); !begun) {
      const auto went_on = quiesce.end();
      auto error = std::move(begun).error();
      if (!went_on) error.message += fmt::format("; and {}", went_on.error().describe());
      return give_up(error);
    }
    for (auto& item : *items)
      for (const auto& what : item.unsaved) {
        if (subject.unsaved_why.empty()) manifest_.uncovered.push_back(fmt::format("{}: {}", subject.id, what));
        else item.notes.push_back(fmt::format("{} ({})", what, subject.unsaved_why));
      }
    std::vector<std::string> files;  // that get snapshots of their own
    for (const auto& item : *items)
      if (!item.small) files.push_back(item.file);
    places_.only(subject.id, files);
    if (files.empty()) before_last();
    std::size_t next = 0;
    for (const auto& item : *items) {
      Under one{.saved = blank};
      one.saved.item = item.name;
      one.saved.target = target;
      one.saved.target.container.clear();
      one.saved.notes = item.notes;
      one.saved.path = places_.path(subject.id, item.file);
      one.saved.at = unix_now();
      one.driver = driver;
      one.item = item;
      one.live = target;
      if (item.small) {
        one.apart = std::async(std::launch::async, [this, driver, target, item, &deadline] { return save_apart(engine_, *driver, target, item, deadline); });
        under_way_.push_back(std::move(one));
        continue;
      }
      one.place = places_.take(subject.id, item.file);
      if (++next < files.size()) places_.prepare(subject.id, files[next]);
      else before_last();
      feed(one, deadline);
      if (!subject.still.empty()) {
        // The copy is made; what the repository still does with it they need not wait for.
        const auto stood = since(one.begin);
        const auto went_on = quiesce.end();
        if (quiesce.expired()) one.torn = fmt::format("its services went on after {} s (quiesce_limit), before it was copied whole: it is not of one moment. Let them stand still for longer, or save it where uploading takes less", subject.still_limit);
        if (!went_on) one.saved.notes.push_back(went_on.error().describe());
        else if (one.torn.empty()) one.saved.notes.push_back(fmt::format("{} of its containers stood still for {:.1f} s", subject.still.size(), stood));
      }
      under_way_.push_back(std::move(one));
      if (deadline.stopped()) {
        DM_CHECK(settle(0, deadline));
        return fail(Errc::conflict, "interrupted");
      }
      DM_CHECK(settle(1, deadline));
    }
    return {};
  }

  /// Waits for the repository's answers until only `left` streams are without one.
  Result<void> settle(std::size_t left, const Deadline& deadline) {
    while (under_way_.size() > left) {
      Under one = std::move(under_way_.front());
      under_way_.pop_front();
      if (one.apart.valid()) {
        if (auto apart = one.apart.get(); !apart || !apart->large) {
          manifest_.saved.push_back(kept_inside(std::move(one.saved), std::move(apart)));
          continue;
        }
        one.place = places_.take(one.saved.subject, one.item.file);
        feed(one, deadline);
      }
      auto stored = one.place->answer();
      // A repository that does not open is trouble with the whole: nobody wants to wait for the rest.
      if (!stored && one.fed && (stored.error().code == Errc::denied || stored.error().code == Errc::conflict || stored.error().code == Errc::not_found || stored.error().code == Errc::timeout)) return fail(std::move(stored).error());
      auto& saved = one.saved;
      saved.seconds = since(one.begin);
      if (stored && stored->bytes != saved.bytes) stored = fail(Errc::corrupt, fmt::format("{} bytes were sent, the repository says that it read {}", saved.bytes, stored->bytes));
      saved.outcome = !stored ? Outcome::failed : one.torn.empty() ? Outcome::verified : Outcome::could_not_verify;
      if (stored) saved.trouble = one.torn;
      if (stored) {
        saved.snapshot = stored->id;
        saved.added = stored->added;
        tell(saved, since(one.begin), true);
      } else {
        saved.trouble = stored.error().describe();
      }
      manifest_.saved.push_back(std::move(saved));
    }
    return {};
  }

 private:
  /// A stream that the repository has been told the end of.
  struct Under {
    Saved saved{};
    std::unique_ptr<Place> place{};
    std::future<Result<Apart>> apart{};  ///< of a small one, which has no place
    const Driver* driver = nullptr;
    Item item{};
    Target live{};     ///< with its container
    std::string torn{};  ///< why it is no copy of one moment
    Clock::time_point begin = Clock::now();
    bool fed = false;  ///< whole, as far as we can tell: what fails from here on is the repository
  };

  Saved kept_inside(Saved saved, Result<Apart> apart) const {
    saved.outcome = apart ? Outcome::verified : Outcome::failed;
    if (!apart) {
      saved.trouble = apart.error().describe();
      return saved;
    }
    saved.inside = true;
    saved.bytes = apart->content.size();
    saved.content = std::move(apart->content);
    saved.checksum = std::move(apart->checksum);
    saved.fingerprint = std::move(apart->fingerprint);
    saved.seconds = apart->seconds;
    std::ranges::move(apart->notes, std::back_inserter(saved.notes));
    tell(saved, saved.seconds, true);
    return saved;
  }

  void feed(Under& one, const Deadline& deadline) {
    const auto& driver = *one.driver;
    const auto& target = one.live;
    const auto& item = one.item;
    one.begin = Clock::now();
    auto& saved = one.saved;
    saved.at = unix_now();
    const auto reader = driver.reader(item);
    Meter meter{*reader};
    auto told = one.begin;
    one.place->feed(
        [&](const Sink& out) {
          auto pushed = Result<void>();
          auto dumped = driver.dump(engine_, target, item, [&](std::string_view piece) -> Result<void> {
            DM_CHECK(meter.take(piece));
            if (Clock::now() - told > std::chrono::milliseconds(200)) {
              told = Clock::now();
              saved.bytes = meter.bytes;
              tell(saved, since(one.begin), false);
            }
            pushed = out(piece);
            return pushed;
          }, saved.notes, deadline);
          one.fed = dumped || !pushed;
          return dumped || pushed ? std::move(dumped) : std::move(pushed);
        },
        // Before the repository learns that the stream has ended: is it whole?
        [&]() -> Result<void> {
          one.fed = false;
          DM_TRY(saved.fingerprint, reader->finish());
          one.fed = true;
          return {};
        });
    saved.bytes = meter.bytes;
    saved.checksum = meter.hash.take().hex();
  }

  void tell(const Saved& saved, double seconds, bool done) const {
    if (!options_.progress) return;
    std::uint64_t expected = 0;
    if (options_.previous != nullptr)
      for (const auto& old : options_.previous->saved)
        if (old.subject == saved.subject && old.item == saved.item) expected = old.bytes;
    options_.progress({fmt::format("{}/{}", saved.subject, saved.item), saved.bytes, expected, seconds, done});
  }

  engine::Engine& engine_;
  Places& places_;
  const RunOptions& options_;
  Manifest& manifest_;
  std::deque<Under> under_way_;
};

/// What a small stream holds, by the manifest that it is part of.
Result<std::string> content_of(Repository& repository, const Saved& saved, const Deadline& deadline) {
  if (saved.content) return *saved.content;
  Snapshot snapshot;
  snapshot.id = saved.snapshot;
  snapshot.path = manifest_path(saved.target.project);
  DM_TRY(const auto text, manifest_text(repository, snapshot, deadline));
  DM_TRY(const auto manifest, Manifest::parse(text, saved.snapshot));
  for (const auto& one : manifest.saved)
    if (one.subject == saved.subject && one.item == saved.item && one.content) return *one.content;
  return fail(Errc::corrupt, "its manifest does not hold it");
}

bool chosen(const RunOptions& options, const Subject& subject) {
  if (options.only.empty()) return true;
  return std::ranges::any_of(options.only, [&](const std::string& id) {
    return id == subject.id || (subject.what != Subject::What::datastore && std::ranges::find(subject.services, id) != subject.services.end());
  });
}

}  // namespace

std::vector<std::string> standstills(const Inventory& inventory, const RunOptions& options) {
  std::vector<std::string> out;
  for (const auto& subject : inventory.subjects)
    if (!subject.still.empty() && chosen(options, subject)) out.push_back(fmt::format("while {} is copied, for {} s at most ({})", subject.id, subject.still_limit, fmt::join(subject.quiesce, "; ")));
  return out;
}

std::int64_t unix_now() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

Result<Manifest> run_backup(engine::Engine& engine, const Inventory& inventory, Repository& repository, const RunOptions& options, const Deadline& deadline) {
  Manifest manifest;
  DM_TRY(const auto program, repository.program(deadline));
  std::optional<Places> own;
  Places& places = options.places != nullptr ? *options.places : own.emplace(repository, inventory.project, !options.only.empty(), deadline);
  manifest.tool = fmt::format("{}, {}", options.tool, program);
  manifest.project = inventory.project;
  manifest.engine = inventory.engine_id;
  manifest.started = places.started();
  manifest.partial = !options.only.empty();
  manifest.stack = options.stack;
  manifest.run = places.run();
  for (const auto& skipped : inventory.skipped)
    if (skipped.finding) manifest.uncovered.push_back(fmt::format("{}: {}", skipped.id, skipped.reason));
  for (const auto& only : options.only)
    if (std::ranges::none_of(inventory.subjects, [&](const Subject& subject) { RunOptions one; one.only = {only}; return chosen(one, subject); }))
      return fail(Errc::not_found, fmt::format("nothing to save is called '{}'; 'datamancy backup coverage' lists what there is", only));
  std::vector<const Subject*> subjects;
  for (const auto& subject : inventory.subjects)
    if (chosen(options, subject)) subjects.push_back(&subject);
  std::unique_ptr<Place> last;
  Run run(engine, places, options, manifest);
  for (const auto* subject : subjects)
    DM_CHECK(run.subject(*subject, [&] { if (subject == subjects.back()) last = places.manifest(); }, deadline));
  DM_CHECK(run.settle(0, deadline));
  if (!last) last = places.manifest();
  manifest.finished = unix_now();
  const auto text = manifest.whole();
  DM_TRY(const Stored stored, during("writing the manifest, without which nothing of this run counts", last->stream([&](const Sink& out) { return out(text); }, [] { return Result<void>(); })));
  if (stored.bytes != text.size()) return fail(Errc::corrupt, "the manifest was not stored whole: nothing of this run counts");
  for (auto& saved : manifest.saved)
    if (saved.inside) {
      saved.snapshot = stored.id;
      saved.content.reset();  // who reads it back reads what is stored
    }
  return manifest;
}

Result<void> read_back(Repository& repository, const Saved& saved, const Sink& also, const Deadline& deadline) {
  const auto* driver = driver_of(saved.target.kind);
  if (driver == nullptr) return fail(Errc::unsupported, fmt::format("no driver for {}", saved.target.kind));
  Item item;
  item.name = saved.item;
  item.file = saved.path.substr(saved.path.rfind('/') + 1);
  const auto reader = driver->reader(item);
  Meter meter{*reader};
  Snapshot snapshot;
  snapshot.id = saved.snapshot;
  snapshot.path = saved.path;
  const Sink sink = [&](std::string_view piece) -> Result<void> {
    DM_CHECK(meter.take(piece));
    if (also) return also(piece);
    return {};
  };
  if (saved.inside) {
    DM_TRY(const auto content, content_of(repository, saved, deadline));
    DM_CHECK(sink(content));
  } else {
    DM_CHECK(repository.fetch(snapshot, sink, deadline));
  }
  if (meter.bytes != saved.bytes) return fail(Errc::corrupt, fmt::format("{} bytes came back of {}", meter.bytes, saved.bytes));
  if (meter.hash.take().hex() != saved.checksum) return fail(Errc::corrupt, "what came back is not what was saved: the checksum differs");
  DM_TRY(const auto print, reader->finish());
  if (const auto lines = differences(saved.fingerprint, print, Compare::everything); !lines.empty()) return fail(Errc::corrupt, lines.front());
  return {};
}

std::vector<Verdict> verify(Repository& repository, const Manifest& manifest, Depth depth, std::int64_t objective, const OnProgress& progress, const Deadline& deadline) {
  std::vector<Verdict> out;
  const auto report = repository.check(depth, deadline);
  const auto name = fmt::format("repository '{}'", repository.location().name);
  if (!report) {
    out.push_back({name, Outcome::could_not_verify, report.error().describe()});
  } else if (!report->troubles.empty()) {
    out.push_back({name, Outcome::failed, fmt::format("{}", fmt::join(report->troubles, "; "))});
  } else {
    out.push_back({name, Outcome::verified, report->read_data ? "structure and all data" : depth == Depth::sample ? "structure and a part of the data" : "structure"});
  }
  bool lost = !report && report.error().code == Errc::timeout;  // nobody answers who could be asked for the rest
  for (const auto& saved : manifest.saved) {
    const auto what = fmt::format("{}/{}", saved.subject, saved.item);
    if (saved.snapshot.empty()) {
      out.push_back({what, Outcome::failed, saved.trouble.empty() ? "it was not saved" : saved.trouble});
      continue;
    }
    if (lost) {
      out.push_back({what, Outcome::could_not_verify, "not tried: the repository has not answered before"});
      continue;
    }
    const auto begin = Clock::now();
    const auto back = read_back(repository, saved, {}, deadline);
    lost = !back && back.error().code == Errc::timeout;
    if (progress) progress({what, saved.bytes, saved.bytes, since(begin), true});
    if (back) {
      out.push_back({what, saved.outcome, fmt::format("{} bytes read to the end, {} rows in {} parts as in the manifest", saved.bytes, saved.fingerprint.rows(), saved.fingerprint.parts.size())});
    } else {
      const bool is_proof = back.error().code == Errc::corrupt || back.error().code == Errc::failed || back.error().code == Errc::not_found;
      out.push_back({what, is_proof ? Outcome::failed : Outcome::could_not_verify, back.error().describe()});
    }
  }
  const auto age = unix_now() - manifest.started;
  const auto hours = static_cast<double>(age) / 3600;
  if (age > objective) out.push_back({"age", Outcome::failed, fmt::format("the newest backup is {:.1f} h old, the objective is {:.0f} h", hours, static_cast<double>(objective) / 3600)});
  else out.push_back({"age", Outcome::verified, fmt::format("{:.1f} h of {:.0f} h", hours, static_cast<double>(objective) / 3600)});
  for (const auto& uncovered : manifest.uncovered) out.push_back({"coverage", Outcome::failed, uncovered});
  return out;
}

}  // namespace dm::backup
