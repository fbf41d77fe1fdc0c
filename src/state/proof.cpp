#include "state/proof.hpp"

#include <fmt/format.h>

namespace dm::state {
namespace {

constexpr std::string_view kColumns = "control, subject, result, evidence, made, expires, engine, image, config, data, command";

Outcome outcome_of(std::string_view text) {
  if (text == "verified") return Outcome::verified;
  return text == "failed" ? Outcome::failed : Outcome::could_not_verify;
}

template <class... Args>
std::vector<Proof> select(Db& db, std::string_view rest, const Args&... args) {
  std::vector<Proof> out;
  using S = std::string;
  using I = std::int64_t;
  for (auto& [control, subject, result, evidence, made, expires, engine, image, config, data, command] :
       db.rows<S, S, S, S, I, I, S, S, S, S, S>(fmt::format("select {} from proofs {}", kColumns, rest), args...)) {
    out.push_back({control, subject, outcome_of(result), evidence, made, expires, {engine, image, config, data}, command});
  }
  return out;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::verified: return "verified";
    case Outcome::failed: return "failed";
    case Outcome::could_not_verify: return "could not verify";
  }
  return "?";
}

void add(Db& db, const Proof& proof) {
  db.run(fmt::format("insert into proofs ({}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kColumns), proof.control, proof.subject,
         to_string(proof.result), proof.evidence, proof.made, proof.expires, proof.binding.engine, proof.binding.image, proof.binding.config,
         proof.binding.data, proof.command);
}

std::vector<Proof> newest_proofs(Db& db) {
  return select(db, "as p where id = (select id from proofs as q where q.control = p.control and q.subject = p.subject "
                    "order by made desc, id desc limit 1) order by control, subject");
}

std::optional<Proof> newest_proof(Db& db, std::string_view control, std::string_view subject) {
  auto found = select(db, "where control = ? and subject = ? order by made desc, id desc limit 1", control, subject);
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Binding Present::of(std::string_view subject) const {
  if (subject.empty()) return whole;
  const auto found = services.find(subject);
  return found != services.end() ? found->second : Binding{.engine = whole.engine};
}

std::string why_void(const Proof& proof, const Binding& present, std::int64_t now) {
  if (now >= proof.expires) return "expired";
  if (proof.made > now + 300) return "dated in the future: the clock was wrong then or is now";
  const auto differs = [](const std::string& then, const std::string& today) { return !then.empty() && !today.empty() && then != today; };
  if (differs(proof.binding.engine, present.engine)) return "made on another engine";
  if (differs(proof.binding.image, present.image)) return "the image has changed since";
  if (differs(proof.binding.config, present.config)) return "the service's configuration has changed since";
  if (differs(proof.binding.data, present.data)) return "the data is another one since";
  return "";
}

Standing standing(const std::vector<Proof>& newest, std::string_view control, const Present& present, std::int64_t now, const std::function<bool(std::string_view)>& exists) {
  Standing out;
  for (const auto& proof : newest) {
    if (proof.control != control) continue;
    const bool of_a_service = !proof.subject.empty() && proof.subject.find(':') == std::string::npos && proof.subject != "project";
    if (of_a_service && !exists(proof.subject)) continue;
    const auto why = why_void(proof, present.of(proof.subject), now);
    if (!why.empty() || proof.result == Outcome::could_not_verify) out.void_reason = why.empty() ? "it could not be verified" : why;
    else (proof.result == Outcome::failed ? out.failed : out.good) = &proof;
  }
  return out;
}

CameBack came_back(const std::vector<Proof>& proofs, const std::vector<std::string>& stores, const Present& present, std::int64_t now) {
  const auto trouble = [&](const Proof& proof) { return proof.result == Outcome::verified ? why_void(proof, present.of(proof.subject), now) : std::string(to_string(proof.result)); };
  bool all = false;
  std::map<std::string_view, std::string> drilled;
  for (const auto& proof : proofs) {
    if (proof.control == "R73") all = all || trouble(proof).empty();
    if (proof.control == "drill.restore") drilled[proof.subject] = trouble(proof);
  }
  CameBack out;
  for (const auto& store : stores) {
    const auto found = drilled.find(store);
    if (all || (found != drilled.end() && found->second.empty())) out.proven.push_back(store);
    else out.lacking.emplace_back(store, found == drilled.end() ? "never done" : found->second);
  }
  return out;
}

}  // namespace dm::state
