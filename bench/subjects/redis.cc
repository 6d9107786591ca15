// Redis through hiredis, a connection for each caller.
#include <hiredis/hiredis.h>

#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "bench/redis_server.h"
#include "bench/subjects/peers.h"

namespace tuskv::bench {
namespace {

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, FreeContext>;
using Reply = std::unique_ptr<redisReply, FreeReply>;

class Redis final : public LocalSubject {
 public:
  explicit Redis(const std::string& directory) : server_(directory) {}

  void load(const Dataset& data) override {
    KeyWriter keys(data.key_bytes);
    const ValueSource values(data.value_bytes, 1);
    for (std::uint64_t n = 0; n < data.entries; ++n) server_.set(keys.key(n), values.value(n));
    server_.finish_sets();
  }
  std::unique_ptr<Session> session() override;
  std::uint64_t read_all() override { return 0; }
  std::string version() const override { return version_; }

 private:
  class CallerSession;

  RedisServer server_;
  const std::string version_ = server_.info("redis_version");
  std::vector<Context> idle_;  ///< kept between turns
};

class Redis::CallerSession final : public Session {
 public:
  CallerSession(Redis& redis, Context context) : redis_(redis), context_(std::move(context)) {}
  ~CallerSession() override { redis_.idle_.push_back(std::move(context_)); }

  void set(std::string_view key, std::string_view value) override {
    const Reply reply = run(std::array<std::string_view, 3>{"SET", key, value});
    if (reply->type != REDIS_REPLY_STATUS) throw std::runtime_error("Redis did not set");
  }
  bool get(std::string_view key, std::string& value) override {
    const Reply reply = run(std::array<std::string_view, 2>{"GET", key});
    if (reply->type == REDIS_REPLY_NIL) return false;
    if (reply->type != REDIS_REPLY_STRING) throw std::runtime_error("Redis did not get");
    value.assign(reply->str, reply->len);
    return true;
  }

 private:
  template <std::size_t N>
  Reply run(const std::array<std::string_view, N>& words) {
    std::array<const char*, N> data;
    std::array<std::size_t, N> sizes;
    for (std::size_t i = 0; i < N; ++i) {
      data[i] = words[i].data();
      sizes[i] = words[i].size();
    }
    Reply reply(static_cast<redisReply*>(redisCommandArgv(context_.get(), int{N}, data.data(), sizes.data())));
    if (!reply) throw std::runtime_error(std::string("Redis: ") + context_->errstr);
    return reply;
  }

  Redis& redis_;
  Context context_;
};

std::unique_ptr<Session> Redis::session() {
  Context context;
  if (!idle_.empty()) {
    context = std::move(idle_.back());
    idle_.pop_back();
  } else {
    context.reset(redisConnectUnix(server_.socket().c_str()));
    if (!context || context->err != 0) throw std::runtime_error("cannot connect to Redis");
  }
  return std::make_unique<CallerSession>(*this, std::move(context));
}

}  // namespace

std::unique_ptr<Subject> make_redis(const SubjectOptions& options) {
  if (!RedisServer::available()) return nullptr;
  return std::make_unique<Redis>(options.directory);
}

}  // namespace tuskv::bench
