/// What one backup run saved: written last, into the repository and into the state store. A snapshot that no manifest names does
/// not count as a backup.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backup/driver.hpp"
#include "backup/stack_record.hpp"
#include "state/proof.hpp"

namespace dm::backup {

using state::Outcome;

/// One stream of a run.
struct Saved {
  std::string subject{};         ///< "db" (a service), "volume:shop_uploads", "project"
  std::string item{};            ///< "shop", "(roles)", "." for a tree
  std::string path{};            ///< in the repository
  std::string snapshot{};        ///< "" = nothing is kept
  bool inside = false;           ///< it is part of the manifest: `snapshot` is the manifest's
  std::optional<std::string> content{};  ///< of such a one, where the manifest came from the repository
  std::uint64_t bytes = 0;       ///< of the stream
  std::uint64_t added = 0;       ///< that the repository grew by
  std::string checksum{};        ///< of the whole stream, 128 bits
  double seconds = 0;
  std::int64_t at = 0;           ///< when the stream began: the recovery point
  Outcome outcome = Outcome::could_not_verify;
  std::string trouble{};         ///< why it is not verified
  std::vector<std::string> notes{};
  Fingerprint fingerprint{};
  Target target{};               ///< what it came from; `container` is empty
  std::string config_hash{};     ///< as Compose labels it

  /// What stands beside the databases: "(roles)", "(users)", "(aliases)". A server that stays may have more of it than was saved.
  bool beside() const { return item.starts_with('('); }
  /// Whether it can be held against such a server nevertheless: it says what belongs to which account, in words of the same version.
  bool by_account(Compare how) const { return beside() && fingerprint.format == "mariadb" && !fingerprint.parts.empty() && how != Compare::data; }
};

struct Manifest {
  std::string run{};             ///< unique
  std::string project{}, engine{};
  std::string tool{};            ///< "datamancy 0.1.0, restic 0.19.1"
  std::int64_t started = 0, finished = 0;
  std::vector<Saved> saved{};
  bool partial = false;          ///< only what was named: a safety copy, a single service
  std::vector<std::string> uncovered{};  ///< what was found and not saved, with the reason
  StackRecord stack{};           ///< of whole runs; empty in those of older programs
  /// The worst of all; `could_not_verify` where there was nothing.
  Outcome outcome() const;
  std::uint64_t bytes() const;
  std::uint64_t added() const;
  /// For people and for the state store: without what small streams hold.
  std::string json() const { return written(false); }
  /// As it is stored in the repository, which is encrypted.
  std::string whole() const { return written(true); }
  /// Small streams have the snapshot `itself`, where it was read from one. Errors: `unsupported` (of a newer program), `corrupt`.
  static Result<Manifest> parse(std::string_view json, const std::string& itself = {});

 private:
  std::string written(bool contents) const;
};

/// "/shop/manifest.json", the path of all manifests of a project.
std::string manifest_path(std::string_view project);

}  // namespace dm::backup
