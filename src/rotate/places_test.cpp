#include "rotate/places.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/files.hpp"
#include "secrets/age.hpp"
#include "secrets/sealed.hpp"

namespace dm::rotate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kCompose = R"(services:
  client:
    image: example/app:1
    env_file: [env/client.enc.env, env/shared.env]
  db:
    image: postgres:17
    env_file: [env/db.enc.env]
  other:
    image: example/app:1
    environment: {TOKEN: "${TOKEN}"}
)";

/// The project above as it is loaded with what its sealed files hold.
struct World {
  sources::MemoryFiles disk;
  secrets::ProjectSecrets secrets;
  compose::Loaded loaded;

  explicit World(std::string_view client = "DB_PASSWORD=a-long-password\nURL=postgres://app:a-long-password@db/x\nNEAR=xa-long-passwordx\nPOSTGRES_PASSWORD=of-the-client\n") {
    disk.add("/p/compose.yaml", std::string(kCompose));
    disk.add("/p/env/shared.env", "SHOWN=${TOKEN}\n");
    secrets.files.push_back(file("/p/secrets.enc.env", "TOKEN=token-of-the-project\n"));
    secrets.service_files.push_back(file("/p/env/client.enc.env", client));
    secrets.service_files.push_back(file("/p/env/db.enc.env", "POSTGRES_PASSWORD=a-long-password\nPOSTGRES_USER=shop\n"));
    const secrets::UnsealedFiles view(secrets, secrets::UnsealedFiles::Show::values, disk);
    compose::Options options;
    options.working_directory = "/p";
    options.files = {"/p/compose.yaml"};
    options.env_files = {"/p/secrets.enc.env"};
    loaded = compose::load(options, view);
    EXPECT_TRUE(loaded.ok);
  }
  static secrets::ProjectSecrets::File file(std::string path, std::string_view text) {
    secrets::ProjectSecrets::File out{std::move(path), SecretString(text), {}, {}};
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) out.names.emplace_back(text.substr(at, text.find('=', at) - at));
    return out;
  }
};

TEST(Places, ANameInTheEnvFileOfAServiceIsThePasswordOfThatServer) {
  const World world;
  const auto found = find_target(*world.loaded.project, {"POSTGRES_PASSWORD", "/p/env/db.enc.env", false}, "", "");
  ASSERT_TRUE(found.target);
  EXPECT_EQ(found.target->service, "db");
  EXPECT_EQ(found.target->account, "shop");
  EXPECT_THAT(found.users, ElementsAre("db"));
}

TEST(Places, AVariableOfTheProjectIsFoundInPlainEnvFilesThatReferToIt) {
  const World world;
  EXPECT_THAT(find_target(*world.loaded.project, {"TOKEN"}, "", "").users, ElementsAre("client", "other"));
}

TEST(Places, AnImageOfOnesOwnIsTheServerThatTheProjectSaysItIs) {
  sources::MemoryFiles disk;
  disk.add("/p/compose.yaml", R"(services:
  cache:
    image: registry.example/club/kv:3
    x-datamancy: {product: valkey}
    environment: {REDIS_PASSWORD: "${CACHE_PASSWORD}"}
  client:
    image: registry.example/club/web:3
    environment: {REDIS_PASSWORD: "${CACHE_PASSWORD}"}
)");
  compose::Options options;
  options.working_directory = "/p";
  options.files = {"/p/compose.yaml"};
  options.environment.emplace("CACHE_PASSWORD", "a-long-password");
  const auto loaded = compose::load(options, disk);
  ASSERT_TRUE(loaded.ok);
  const auto found = find_target(*loaded.project, {"CACHE_PASSWORD"}, "", "");
  ASSERT_TRUE(found.target);
  EXPECT_EQ(found.target->service, "cache");
  EXPECT_EQ(found.target->kind, Server::valkey);
  EXPECT_TRUE(found.certain);
}

TEST(Places, OfSeveralFilesWithTheNameItIsTheOneOfTheServer) {
  const World world;
  const auto secret = find_secret(world.secrets, *world.loaded.project, "POSTGRES_PASSWORD", "");
  ASSERT_TRUE(secret) << secret.error().message;
  EXPECT_EQ(called(*secret, "/p"), "env/db.enc.env:POSTGRES_PASSWORD") << "not the client's variable of that name";
  const auto named = find_secret(world.secrets, *world.loaded.project, "POSTGRES_PASSWORD", "/p/env/client.enc.env");
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->file, "/p/env/client.enc.env");
  World cut_off;
  cut_off.secrets.service_files[0].names.emplace_back("POSTGRES_PASSWORD__NEXT");
  const auto begun = find_secret(cut_off.secrets, *cut_off.loaded.project, "POSTGRES_PASSWORD", "");
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_EQ(begun->file, "/p/env/client.enc.env") << "the one that is under way";
  World two;
  two.secrets.service_files[0].names.emplace_back("POSTGRES_USER");
  const auto either = find_secret(two.secrets, *two.loaded.project, "POSTGRES_USER", "");
  ASSERT_FALSE(either);
  EXPECT_THAT(either.error().message, HasSubstr("--in FILE: env/client.enc.env env/db.enc.env"));
  const auto one = find_secret(world.secrets, *world.loaded.project, "TOKEN", "");
  ASSERT_TRUE(one);
  EXPECT_EQ(called(*one, "/p"), "TOKEN");
}

TEST(Places, AFileThatIsSealedAsAWholeIsRefusedWithTheWayToMendIt) {
  World world;
  world.secrets.service_files[1].whole = true;
  const auto secret = find_secret(world.secrets, *world.loaded.project, "POSTGRES_PASSWORD", "/p/env/db.enc.env");
  ASSERT_FALSE(secret);
  EXPECT_THAT(secret.error().message, HasSubstr("secrets open '/p/env/db.enc.env' | datamancy secrets seal -"));
}

TEST(Places, CopiesAreWholeValuesAndPartsOfOthersButNotOfLongerWords) {
  const World world;
  const Secret secret{"POSTGRES_PASSWORD", "/p/env/db.enc.env", false};
  const SecretString now("a-long-password"), weak("short");
  const auto copies = copies_of(world.secrets, secret, {&now});
  ASSERT_TRUE(copies) << copies.error().message;
  ASSERT_EQ(copies->size(), 2U);
  EXPECT_EQ((*copies)[0].secret.name, "DB_PASSWORD");
  EXPECT_TRUE((*copies)[0].whole);
  EXPECT_EQ((*copies)[1].secret.name, "URL");
  EXPECT_FALSE((*copies)[1].whole);
  const World alike("DB_PASSWORD=short\n");
  const auto none = copies_of(alike.secrets, secret, {&weak});
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty()) << "a short value may be the same by chance";
}

TEST(Places, APasswordThatIsAlsoTheNameOfAnAccountOrADatabaseChangesOnlyWhereItIsThePassword) {
  const World world("DB_USER=wordpress\nDB_NAME='wordpress'\nDB_PASS=wordpress\nURL=wordpress://wordpress:wordpress@wordpress/wordpress\nSITE=https://wordpress.example\n");
  const SecretString now("wordpress"), strong("b5d1e0c7a98f");
  const auto copies = copies_of(world.secrets, {"POSTGRES_PASSWORD", "/p/env/db.enc.env", false}, {&now});
  ASSERT_TRUE(copies) << copies.error().message;
  std::vector<std::string> names;
  for (const auto& copy : *copies) names.push_back(copy.secret.name);
  EXPECT_THAT(names, ElementsAre("DB_PASS", "URL"));
  const World other("LOGIN=b5d1e0c7a98f\n");
  const auto same = copies_of(other.secrets, {"POSTGRES_PASSWORD", "/p/env/db.enc.env", false}, {&strong});
  ASSERT_TRUE(same);
  EXPECT_EQ(same->size(), 1U) << "nothing has such a value by chance";
}

TEST(Places, AllFilesAreWrittenSealedAndBackAgain) {
  const auto identity = secrets::make_identity();
  const auto key = secrets::identity_text(identity);
  auto keys = secrets::Keyring::load({{{"SOPS_AGE_KEY", std::string(key.reveal())}}, {}, false});
  ASSERT_TRUE(keys);
  auto folder = testing::TempDir() + "dm-places-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto seal = [&](const std::string& name, std::string_view text) {
    const auto sealed = secrets::seal_text(text, secrets::Store::dotenv, {{identity.recipient()}, {}, false, {}});
    EXPECT_TRUE(sealed && write_atomic(folder + "/" + name, *sealed));
  };
  const auto plain = [&](const std::string& name) {
    const auto file = secrets::open_sealed(folder + "/" + name, *keys);
    return file ? std::string(secrets::plain_text(file->opened)->reveal()) : file.error().message;
  };
  seal("db", "# note\nPW='old pass$word'\nUSER=x\n");
  seal("client", "DB_PW=\"old pass$word\"\nREF=x:${DB_PW}\n");
  const Secret secret{"PW", folder + "/db", false};
  const std::vector<Copy> copies{{{"DB_PW", folder + "/client", false}, true}};
  const SecretString old("old pass$word"), wanted("0123456789abcdef");
  ASSERT_TRUE(write(secret, copies, {.value = old, .beside = "PW__NEXT", .other = &wanted, .before = {&old, &wanted}}, *keys));
  EXPECT_EQ(plain("db"), "# note\nPW='old pass$word'\nUSER=x\nPW__NEXT=0123456789abcdef\n");
  ASSERT_TRUE(write(secret, copies, {.value = wanted, .beside = "PW__PREVIOUS", .other = &old, .before = {&old, &wanted}}, *keys));
  EXPECT_EQ(plain("db"), "# note\nPW=0123456789abcdef\nUSER=x\nPW__PREVIOUS='old pass$word'\n");
  EXPECT_EQ(plain("client"), "DB_PW=\"old pass$word\"\nREF=x:${DB_PW}\n") << "in double quotes $word is a reference: not the same value";
  const std::vector<Copy> same{{{"REF", folder + "/client", false}, false}, {{"URL", folder + "/url", false}, false}};
  seal("url", "URL=postgres://x:0123456789abcdef@db/0123456789abcdef\n");
  const SecretString next("fedcba9876543210");
  ASSERT_TRUE(write(secret, same, {.value = next, .beside = "", .other = nullptr, .before = {&wanted, &next}}, *keys));
  EXPECT_EQ(plain("url"), "URL=postgres://x:fedcba9876543210@db/fedcba9876543210\n");
  EXPECT_EQ(plain("db"), "# note\nPW=fedcba9876543210\nUSER=x\n");
  seal("weak", "URL=postgres://postgres:postgres@postgres/postgres\n");
  const std::vector<Copy> weak{{{"URL", folder + "/weak", false}, false}};
  const SecretString word("postgres");
  ASSERT_TRUE(write(secret, weak, {.value = wanted, .beside = "", .other = nullptr, .before = {&word, &wanted}}, *keys));
  EXPECT_EQ(plain("weak"), "URL=postgres://postgres:0123456789abcdef@postgres/postgres\n");
  ASSERT_TRUE(write(secret, weak, {.value = word, .beside = "", .other = nullptr, .before = {&word, &wanted}}, *keys));
  EXPECT_EQ(plain("weak"), "URL=postgres://postgres:postgres@postgres/postgres\n");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace dm::rotate
