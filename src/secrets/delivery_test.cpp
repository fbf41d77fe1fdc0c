#include "secrets/delivery.hpp"

#include <gtest/gtest.h>

namespace dm::secrets {
namespace {

TEST(Variables, AreThoseOfTheSealedFilesWhateverComposeIsToldToRead) {
  ProjectSecrets secrets;
  ProjectSecrets::File file;
  file.path = "/somewhere/secrets.enc.env";
  file.text = SecretString("PASSWORD=abc\nURL=x://${PASSWORD}@db\n");
  file.names = {"PASSWORD", "URL"};
  secrets.files.push_back(std::move(file));
  const auto found = variables_of(secrets, {{"COMPOSE_FILE", "/elsewhere/compose.yaml:/elsewhere/more.yaml"}, {"COMPOSE_ENV_FILES", "/elsewhere/.env"}, {"PASSWORD", "exported"}});
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ((*found)[0].second.reveal(), "abc");
  EXPECT_EQ((*found)[1].second.reveal(), "x://abc@db");
}

}  // namespace
}  // namespace dm::secrets
