#include "product/product.hpp"

#include <gtest/gtest.h>

#include <map>

#include "product/embedded.hpp"

namespace dm::product {
namespace {

TEST(Products, EveryFileParsesAndSaysWhereItsFactsComeFrom) {
  std::map<std::string, std::string> owners;
  for (const auto& file : embedded_files()) {
    const std::string id(file.name.substr(0, file.name.rfind('.')));
    const auto product = parse_product(id, file.content);
    ASSERT_TRUE(product) << product.error().describe();
    EXPECT_FALSE(product->name.empty()) << id;
    EXPECT_FALSE(product->kind.empty()) << id;
    EXPECT_FALSE(product->sources.empty()) << id;
    for (const auto& image : product->images) EXPECT_TRUE(owners.emplace(image, id).second) << image << " is claimed twice";
  }
  EXPECT_GE(embedded_files().size(), 45U);
}

TEST(Products, AreFoundByAnyFormOfAnImageReference) {
  const Catalogue catalogue;
  for (const auto* image : {"postgres", "postgres:16-alpine", "docker.io/library/postgres:16", "registry.example:5000/postgres@sha256:00"}) {
    ASSERT_NE(catalogue.by_image(image), nullptr) << image;
    EXPECT_EQ(catalogue.by_image(image)->id, "postgres");
  }
  EXPECT_EQ(catalogue.by_image("example/postgres-exporter:1"), nullptr);
}

TEST(Products, AnUnknownKeyIsAnErrorWithItsLine) {
  const auto product = parse_product("x", "name: X\nimages: [x]\ncolour: red\n");
  ASSERT_FALSE(product);
  EXPECT_EQ(product.error().message, "x.yaml:3: unknown key 'colour'");
}

TEST(Products, AMistypedKeyInsideAFactIsAnErrorToo) {
  EXPECT_FALSE(parse_product("x", "images: [x]\nports: [{port: 80, purpsoe: http}]\n"));
  EXPECT_FALSE(parse_product("x", "images: [x]\ndata: [/data]\n"));
  EXPECT_FALSE(parse_product("x", "images: [x]\nquiesce: {how: freeze, why: x}\n"));
  EXPECT_FALSE(parse_product("x", "images: [x]\nquiesce: {how: pause}\n"));
}

TEST(Products, EveryImageOfAFileLeadsToIt) {
  const Catalogue catalogue;
  for (const auto& file : embedded_files()) {
    const std::string id(file.name.substr(0, file.name.rfind('.')));
    const auto product = parse_product(id, file.content);
    ASSERT_TRUE(product) << product.error().describe();
    for (const auto& image : product->images) {
      ASSERT_NE(catalogue.by_image(image + ":1"), nullptr) << image;
      EXPECT_EQ(catalogue.by_image(image + ":1")->id, id);
    }
    for (const auto& other : product->versions_together) EXPECT_NE(catalogue.by_id(other), nullptr) << id << " names " << other;
  }
}

TEST(Products, BitnamiImagesKeepTheirDataElsewhere) {
  const Catalogue catalogue;
  const auto* product = catalogue.by_image("bitnami/postgresql:16");
  ASSERT_NE(product, nullptr);
  EXPECT_EQ(product->data.front().path, "/bitnami/postgresql");
}

TEST(Products, SomeImagesSpellTheirFileVariablesDifferently) {
  const Catalogue catalogue;
  EXPECT_EQ(catalogue.by_id("grafana")->file_variables.front().file_variable, "GF_SECURITY_ADMIN_PASSWORD__FILE");
  EXPECT_EQ(catalogue.by_id("postgres")->file_variables.front().file_variable, "POSTGRES_PASSWORD_FILE");
}

TEST(Products, AUsersFileMayListImagesInAnyForm) {
  Catalogue catalogue;
  ASSERT_TRUE(catalogue.add("mine", "name: Mine\nimages:\n  - team/mine\n"));
  ASSERT_NE(catalogue.by_image("registry.example/team/mine:2"), nullptr);
}

TEST(Images, AreSplitIntoTheirParts) {
  const auto name = split_image("localhost:5000/team/app:1.2@sha256:ab");
  EXPECT_EQ(name.registry, "localhost:5000");
  EXPECT_EQ(name.repository, "team/app");
  EXPECT_EQ(name.tag, "1.2");
  EXPECT_EQ(name.digest, "sha256:ab");
  EXPECT_EQ(split_image("redis").tag, "");
}

}  // namespace
}  // namespace dm::product
