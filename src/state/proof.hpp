/// Proofs: dated evidence that a control held on the running stack, void when what it was bound to changes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/db.hpp"

namespace dm::state {

/// Nothing else exists: what ended without a failure but could not be judged is never `verified`.
enum class Outcome : std::uint8_t { verified, failed, could_not_verify };
std::string_view to_string(Outcome outcome);  ///< "verified", "failed", "could not verify"

/// What a proof holds for; an empty field binds to nothing.
struct Binding {
  std::string engine{};   ///< id of the engine
  std::string image{};    ///< id of the image ("sha256:...")
  std::string config{};   ///< hash of the service's configuration, as Compose labels it
  std::string data{};     ///< identity of the data: volume name and creation time, system identifier of a database ...
  bool operator==(const Binding&) const = default;
};

/// What proofs are held against: what runs now, as a whole and each service by its name.
struct Present {
  Binding whole{};
  std::map<std::string, Binding, std::less<>> services{};
  /// The part that a proof of `subject` is about; of a volume or the project's folder only the engine is known.
  Binding of(std::string_view subject) const;
};

struct Proof {
  std::string control{};   ///< id of the control ("R14") or the check
  std::string subject{};   ///< service, datastore, volume; "" = the whole stack
  Outcome result = Outcome::could_not_verify;
  std::string evidence{};  ///< one or a few lines; never a secret
  std::int64_t made = 0;   ///< Unix seconds, UTC
  std::int64_t expires = 0;
  Binding binding{};
  std::string command{};   ///< repeats it
};

void add(Db& db, const Proof& proof);
/// The newest proof of every (control, subject), by control and subject.
std::vector<Proof> newest_proofs(Db& db);
/// The newest one, if there is any.
std::optional<Proof> newest_proof(Db& db, std::string_view control, std::string_view subject);

/// Why `proof` does not count at `now` with the present `binding`: "" = it counts. Fields that either side leaves empty do not void it.
std::string why_void(const Proof& proof, const Binding& present, std::int64_t now);

/// What the proofs of one control say together. The pointers are into the list that was given.
struct Standing {
  const Proof* good = nullptr;
  const Proof* failed = nullptr;   ///< one that still counts
  std::string void_reason{};       ///< why one of them counts no more; "" = none
};
/// `newest`: the newest of each. `exists`: whether the project has such a service; what was proven of one that is gone says nothing any more.
Standing standing(const std::vector<Proof>& newest, std::string_view control, const Present& present, std::int64_t now, const std::function<bool(std::string_view service)>& exists);

/// Which datastores came back equal in a restore drill that counts at `now`.
struct CameBack {
  std::vector<std::string> proven{};
  std::vector<std::pair<std::string, std::string>> lacking{};  ///< and why: "never done", "failed", "expired" ...
};
/// One that came back says nothing about the next; only a proof of R73 stands for all. `proofs`: the newest of each.
CameBack came_back(const std::vector<Proof>& proofs, const std::vector<std::string>& stores, const Present& present, std::int64_t now);

}  // namespace dm::state
