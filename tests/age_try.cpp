// age_try: opens the age file on standard input with the identities and passphrases of the environment (AGE_IDENTITIES,
// AGE_PASSPHRASES: one a line). Writes the plaintext; the exit status is the program's. For tests/secrets/age_kit.py.
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <list>
#include <sstream>

#include "secrets/age.hpp"

int main() {
  std::string file;
  for (int c; (c = std::getchar()) != EOF;) file += static_cast<char>(c);
  std::list<dm::secrets::X25519Identity> identities;
  std::list<dm::secrets::Passphrase> passphrases;
  std::vector<dm::secrets::AgeIdentity> all;
  const auto lines = [](const char* name, auto&& take) {
    const char* text = std::getenv(name);
    std::istringstream in(text != nullptr ? text : "");
    for (std::string line; std::getline(in, line);) take(line);
  };
  lines("AGE_IDENTITIES", [&](const std::string& line) {
    if (auto identity = dm::secrets::parse_identity(line)) all.emplace_back(&identities.emplace_back(std::move(*identity)));
  });
  lines("AGE_PASSPHRASES", [&](const std::string& line) { all.emplace_back(&passphrases.emplace_back(dm::secrets::Passphrase{dm::secrets::SecretString(line)})); });
  const auto opened = dm::secrets::age_open(file, all);
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().describe().c_str());
    return opened.error().exit;
  }
  std::fwrite(opened->reveal().data(), 1, opened->size(), stdout);
  return 0;
}
