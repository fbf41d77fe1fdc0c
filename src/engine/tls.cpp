// TLS over TCP: OpenSSL on a non-blocking socket. One lock for its state; waiting happens outside of it.
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>

#include <memory>
#include <mutex>

#include "engine/sockets.hpp"
#include "engine/transport.hpp"

namespace dm::engine {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* what) const {
    Free(what);
  }
};
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freed<SSL_free>>;
using Memory = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

std::string why() {
  std::string out;
  for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {  // NOLINT(google-runtime-int): OpenSSL's type
    char text[256];
    ERR_error_string_n(code, text, sizeof text);
    out = text;
  }
  return out.empty() ? "no details" : out;
}

/// OpenSSL writes without MSG_NOSIGNAL: a peer that has gone must not end us. Only this thread, and undone.
class NoSigpipe {
 public:
  NoSigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &old_);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;
  ~NoSigpipe() {
    const timespec at_once{0, 0};
    while (::sigtimedwait(&pipe_, nullptr, &at_once) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &old_, nullptr);
  }

 private:
  sigset_t pipe_{}, old_{};
};

class TlsConnection final : public Connection {
 public:
  TlsConnection(Fd fd, Ssl ssl) : fd_(std::move(fd)), ssl_(std::move(ssl)) {}

  Result<void> handshake(const std::string& where, const Deadline& deadline) {
    auto done = repeat(deadline, [&] { return SSL_connect(ssl_.get()); });
    if (done) return {};
    if (const auto verdict = SSL_get_verify_result(ssl_.get()); verdict != X509_V_OK)
      return fail(Errc::denied, fmt::format("the engine at {} is not who it should be: {}", where, X509_verify_cert_error_string(verdict)));
    return fail(std::move(done).error());
  }
  Result<std::size_t> read(char* buffer, std::size_t size, const Deadline& deadline) override {
    DM_TRY(const int got, repeat(deadline, [&] { return SSL_read(ssl_.get(), buffer, static_cast<int>(std::min<std::size_t>(size, 1U << 20U))); }));
    return static_cast<std::size_t>(got);
  }
  Result<void> write(std::string_view bytes, const Deadline& deadline) override {
    while (!bytes.empty()) {
      DM_TRY(const int put, repeat(deadline, [&] { return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 1U << 20U))); }));
      if (put == 0) return fail(Errc::unavailable, "the engine closed the connection");
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }
  Result<void> finish_writing() override {
    const std::lock_guard lock(mutex_);
    const NoSigpipe guard;
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    return {};
  }
  bool idle() const override {
    const std::lock_guard lock(mutex_);
    return SSL_pending(ssl_.get()) == 0 && quiet(fd_.get());
  }

 private:
  /// What the call gave, 0 at the end.
  template <class F>
  Result<int> repeat(const Deadline& deadline, F&& call) {
    for (;;) {
      short events = POLLIN;
      {
        const std::lock_guard lock(mutex_);
        const NoSigpipe guard;
        ERR_clear_error();
        const int got = call();
        if (got > 0) return got;
        const int error = SSL_get_error(ssl_.get(), got);
        if (error == SSL_ERROR_ZERO_RETURN) return 0;
        if (error == SSL_ERROR_WANT_WRITE) {
          events = POLLOUT;
        } else if (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0) {
          return fail(Errc::unavailable, "the engine broke the TLS connection off");
        } else if (error != SSL_ERROR_WANT_READ) {
          return fail(Errc::unavailable, "TLS with the engine failed: " + why());
        }
      }
      DM_CHECK(wait_until(fd_.get(), events, deadline));
    }
  }

  Fd fd_;
  Ssl ssl_;
  mutable std::mutex mutex_;
};

Memory memory(const std::string& text) { return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

class TlsTransport final : public Transport {
 public:
  TlsTransport(std::string host, std::string port, Context context, bool verify) : host_(std::move(host)), port_(std::move(port)), context_(std::move(context)), verify_(verify) {}

  Result<std::unique_ptr<Connection>> connect(const Deadline& deadline) const override {
    DM_TRY(Fd fd, connect_tcp(host_, port_, deadline));
    Ssl ssl(SSL_new(context_.get()));
    in6_addr scratch{};
    const bool literal = ::inet_pton(AF_INET, host_.c_str(), &scratch) == 1 || ::inet_pton(AF_INET6, host_.c_str(), &scratch) == 1;
    if (!literal) SSL_set_tlsext_host_name(ssl.get(), host_.c_str());  // NOLINT: OpenSSL's macro casts
    if (verify_ && literal) X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host_.c_str());
    if (verify_ && !literal) SSL_set1_host(ssl.get(), host_.c_str());
    SSL_set_fd(ssl.get(), fd.get());
    auto connection = std::make_unique<TlsConnection>(std::move(fd), std::move(ssl));
    DM_CHECK(connection->handshake(host_ + ":" + port_, deadline));
    return std::unique_ptr<Connection>(std::move(connection));
  }
  std::string host() const override { return host_ + ":" + port_; }

 private:
  std::string host_, port_;
  Context context_;
  bool verify_;
};

}  // namespace

Result<std::unique_ptr<Transport>> tls_transport(std::string host, std::string port, TlsFiles files) {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail(Errc::failed, "TLS cannot be set up: " + why());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context.get(), files.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (files.ca.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else {
    const auto text = memory(files.ca);
    bool any = false;
    for (;;) {
      const Certificate one(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
      if (!one) break;
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), one.get());
      any = true;
    }
    ERR_clear_error();
    if (!any) return fail(Errc::invalid_input, "ca.pem of the engine has no certificate");
  }
  if (!files.cert.empty()) {
    const auto chain = memory(files.cert);
    const Certificate own(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
    if (!own || SSL_CTX_use_certificate(context.get(), own.get()) != 1) return fail(Errc::invalid_input, "cert.pem of the engine is no certificate: " + why());
    for (;;) {
      X509* next = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr);
      if (next == nullptr) break;
      SSL_CTX_add0_chain_cert(context.get(), next);  // NOLINT: takes it over
    }
    ERR_clear_error();
    const auto text = memory(files.key);
    const Key key(PEM_read_bio_PrivateKey(text.get(), nullptr, [](char*, int, int, void*) { return -1; }, nullptr));
    if (!key) return fail(Errc::invalid_input, "key.pem of the engine is no private key without a passphrase");
    if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) return fail(Errc::invalid_input, "key.pem of the engine does not belong to cert.pem");
  }
  const bool verify = files.verify;
  return std::unique_ptr<Transport>(std::make_unique<TlsTransport>(std::move(host), std::move(port), std::move(context), verify));
}

}  // namespace dm::engine
