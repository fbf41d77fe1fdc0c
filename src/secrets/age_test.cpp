#include "secrets/age.hpp"

#include <gtest/gtest.h>

#include "secrets/crypto.hpp"

namespace dm::secrets {
namespace {

std::string unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  return out;
}

constexpr std::string_view kIdentity = "AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0SWRYDWG";
constexpr std::string_view kRecipient = "age13aqvttdk3ujkyjh9kg2w5an6dmy5mq5a84a4uxk3hfhnugfc9p0sy5p2wh";
// Made by the rules of the format with fixed randomness; read by age 1.1.1 and 1.3.2.
constexpr std::string_view kFile =
    "6167652d656e6372797074696f6e2e6f72672f76310a2d3e20583235353139204e594279316a5a59674e4775366a4b61333545684f446852375347696a6a74313657585130733057"
    "596c510a456459733665614b6f774c6a44644f4d6b7253654a74355044336a6671717945556e356a415a5176316c550a2d2d2d2058584e72354962692b764c31442f452f426a4e54"
    "6a7255432b68687a6b795a396448494a754a566672364d0ab0b1b2b3b4b5b6b7b8b9babbbcbdbebf7591dce5f789b195dc16035bbc63c268518d5f596867415eec50";

TEST(Age, TheKnownAnswerIsWrittenAndRead) {
  const auto identity = parse_identity(kIdentity);
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->recipient(), kRecipient);
  const auto text = identity_text(*identity);
  EXPECT_EQ(text.reveal(), kIdentity);
  const AgeRandom random{SecretString(unhex("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")), SecretString(unhex("202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f")),
                         unhex("b0b1b2b3b4b5b6b7b8b9babbbcbdbebf")};
  EXPECT_EQ(hex(age_seal_with("datamancy\n", identity->point, random)), kFile);
  const AgeIdentity with[] = {&*identity};
  const auto opened = age_open(unhex(kFile), with);
  ASSERT_TRUE(opened) << opened.error().describe();
  EXPECT_EQ(opened->reveal(), "datamancy\n");
}

TEST(Age, EverySizeAroundAChunkComesBackAlsoInArmor) {
  const auto identity = make_identity();
  const auto other = make_identity();
  const AgeIdentity with[] = {&identity};
  for (const std::size_t size : {0U, 1U, 65535U, 65536U, 65537U, 131072U, 200000U}) {
    const auto plain = random_bytes(size);
    const std::string to[] = {other.recipient(), identity.recipient()};
    const auto sealed = age_seal(plain, to);
    ASSERT_TRUE(sealed);
    for (const auto& file : {*sealed, armor(*sealed)}) {
      const auto opened = age_open(file, with);
      ASSERT_TRUE(opened) << opened.error().describe();
      EXPECT_TRUE(opened->reveal() == plain);
    }
  }
}

TEST(Age, AChangedByteAnywhereIsNoticed) {
  const auto identity = make_identity();
  const AgeIdentity with[] = {&identity};
  const std::string to[] = {identity.recipient()};
  const auto sealed = age_seal("the text", to);
  ASSERT_TRUE(sealed);
  for (std::size_t i = 0; i < sealed->size(); ++i) {
    auto changed = *sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(age_open(changed, with)) << "byte " << i;
    EXPECT_FALSE(age_open(sealed->substr(0, i), with)) << "cut at " << i;
  }
  EXPECT_FALSE(age_open(*sealed + "x", with));
}

TEST(Age, AnotherKeyIsExit11AndDamageIsExit12) {
  const auto identity = make_identity();
  const auto other = make_identity();
  const std::string to[] = {identity.recipient()};
  const auto sealed = age_seal("x", to);
  ASSERT_TRUE(sealed);
  const AgeIdentity with_other[] = {&other};
  EXPECT_EQ(age_open(*sealed, with_other).error().exit, kNoKey);
  const AgeIdentity with[] = {&identity};
  EXPECT_EQ(age_open(sealed->substr(0, sealed->size() - 1), with).error().exit, kCannotDecrypt);
}

TEST(Age, APassphraseProtects) {
  const Passphrase right{SecretString("correct horse"), 10}, wrong{SecretString("battery staple"), 10};
  const auto sealed = age_seal("kept", right);
  const AgeIdentity with[] = {&right}, with_wrong[] = {&wrong};
  const auto opened = age_open(sealed, with);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->reveal(), "kept");
  EXPECT_EQ(age_open(sealed, with_wrong).error().exit, kNoKey);
}

TEST(Age, RecipientsAreToldApart) {
  EXPECT_EQ(recipient_kind(kRecipient), RecipientKind::x25519);
  EXPECT_EQ(recipient_kind("ssh-ed25519 AAAA"), RecipientKind::ssh);
  EXPECT_EQ(recipient_kind("age1yubikey1qwt"), RecipientKind::plugin);
  EXPECT_EQ(recipient_kind("age1pq1qwt"), RecipientKind::post_quantum);
  auto typo = std::string(kRecipient);
  typo[20] = typo[20] == 'q' ? 'p' : 'q';
  EXPECT_EQ(recipient_kind(typo), RecipientKind::unknown);
}

TEST(Age, AnIdentityIsNeverPartOfAnError) {
  const auto bad = parse_identity("AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0SWRYDWQ");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().describe().find("QQQSY"), std::string::npos);
}

TEST(SecretString, AMovedOutTextIsWiped) {
  std::string text(100, 's');
  const char* where = text.data();
  const auto secret = SecretString::take(std::move(text));
  EXPECT_EQ(secret.size(), 100U);
  EXPECT_EQ(*where, '\0');
}

}  // namespace
}  // namespace dm::secrets
