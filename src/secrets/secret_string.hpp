/// Bytes that must not linger: wiped when they go, and no formatter takes them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dm::secrets {

/// Overwrites memory in a way that the compiler keeps.
void wipe(void* bytes, std::size_t size) noexcept;
/// The same for a string that held a secret; it is empty afterwards.
void wipe(std::string& text) noexcept;

template <class T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class U>
  explicit(false) WipingAllocator(const WipingAllocator<U>&) noexcept {}
  T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* bytes, std::size_t n) noexcept {
    wipe(bytes, n * sizeof(T));
    std::allocator<T>().deallocate(bytes, n);
  }
  friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
};

/// A secret: a password, a key, a decrypted file. All of its bytes live in memory that is wiped when it is given back, also when it
/// grows. It has no begin(), no formatter and no stream operator on purpose: only `reveal()` shows it, and that word is easy to find.
class SecretString {
 public:
  SecretString() = default;
  explicit SecretString(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) {}
  /// Takes over the content and wipes the string that held it.
  static SecretString take(std::string&& text) {
    SecretString out{std::string_view(text)};
    wipe(text);
    return out;
  }
  static SecretString zeros(std::size_t size) {
    SecretString out;
    out.bytes_.resize(size);
    return out;
  }

  /// Valid until the next change. Never put it into a message, an argv or a file.
  std::string_view reveal() const& { return {bytes_.data(), bytes_.size()}; }
  std::string_view reveal() && = delete;
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  void append(std::string_view more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }
  void append(char byte) { bytes_.push_back(byte); }
  void reserve(std::size_t size) { bytes_.reserve(size); }
  void resize(std::size_t size) { bytes_.resize(size); }
  void clear() {
    wipe(bytes_.data(), bytes_.size());
    bytes_.clear();
  }
  char* data() { return bytes_.data(); }
  unsigned char* udata() { return reinterpret_cast<unsigned char*>(bytes_.data()); }
  const unsigned char* udata() const { return reinterpret_cast<const unsigned char*>(bytes_.data()); }
  /// In constant time for equal lengths.
  friend bool operator==(const SecretString& a, const SecretString& b);

 private:
  std::vector<char, WipingAllocator<char>> bytes_;
};

/// Exit statuses that the specification promises for troubles with secrets.
enum Trouble : int { kProgramMissing = 10, kNoKey = 11, kCannotDecrypt = 12, kNoSecrets = 13 };

/// `fail` with one of them.
inline tl::unexpected<Error> fail_as(Trouble exit, Errc code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message), {}, exit});
}
/// Damaged, tampered with, or not supported: exit 12.
inline tl::unexpected<Error> undecryptable(std::string message) { return fail_as(kCannotDecrypt, Errc::corrupt, std::move(message)); }

/// For programs that hold secrets: no core dumps, and no other process of the same user may attach or read our memory.
void forbid_dumps() noexcept;

}  // namespace dm::secrets
