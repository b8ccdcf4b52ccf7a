// hasupd's own messages: a terminal that stalls costs the oldest of them, and never the time of who logs.
#include "hasupd/log_queue.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <map>
#include <optional>
#include <vector>

using namespace hasup;

namespace {

// A terminal that takes nothing while it is stalled.
class terminal : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    std::unique_lock lock(mutex_);
    ++begun_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !stalled_; });
    written_.emplace_back(message.payload.begin(), message.payload.end());
    writer_ = std::this_thread::get_id();
    pthread_sigmask(SIG_SETMASK, nullptr, &mask_);
    changed_.notify_all();
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  void stall(bool on) {
    const std::lock_guard lock(mutex_);
    stalled_ = on;
    changed_.notify_all();
  }
  // Until a message is on its way out.
  void await_begun(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_ >= count; });
  }
  std::vector<std::string> await_written(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return written_.size() >= count; });
    return written_;
  }
  std::vector<std::string> written() {
    const std::lock_guard lock(mutex_);
    return written_;
  }
  std::thread::id writer() {
    const std::lock_guard lock(mutex_);
    return writer_;
  }
  bool blocks(int number) {
    const std::lock_guard lock(mutex_);
    return sigismember(&mask_, number) == 1;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stalled_ = false;
  std::size_t begun_ = 0;
  std::vector<std::string> written_;
  std::thread::id writer_;
  sigset_t mask_{};
};

struct bench {
  explicit bench(std::size_t most) { log.emplace("test", std::make_shared<hasupd::log_queue>(out, most)); }
  void say(const std::string& text) { log->info(text); }

  std::shared_ptr<terminal> out = std::make_shared<terminal>();
  std::optional<spdlog::logger> log;  // the one owner of the queue
};

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("messages are written in order, by a thread of their own that gets no signal", "[log_queue]") {
  bench b(16);
  for (int i = 0; i < 5; ++i) b.say("message " + std::to_string(i));
  CHECK(b.out->await_written(5) == texts{"message 0", "message 1", "message 2", "message 3", "message 4"});
  CHECK(b.out->writer() != std::this_thread::get_id());
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) CHECK(b.out->blocks(number));
  sigset_t own;
  pthread_sigmask(SIG_SETMASK, nullptr, &own);
  CHECK(sigismember(&own, SIGTERM) == 0);
}

TEST_CASE("a stalled terminal holds up nobody, and costs the oldest messages", "[log_queue]") {
  bench b(3);
  b.out->stall(true);
  b.say("on its way");
  b.out->await_begun(1);
  for (int i = 0; i < 10; ++i) b.say("waiting " + std::to_string(i));  // returns, or this test never ends
  CHECK(b.out->written().empty());
  b.out->stall(false);
  CHECK(b.out->await_written(4) == texts{"on its way", "waiting 7", "waiting 8", "waiting 9"});
  b.say("afterwards");
  CHECK(b.out->await_written(5).back() == "afterwards");
}

TEST_CASE("the end waits until all that was said is written", "[log_queue]") {
  bench b(16);
  b.out->stall(true);
  for (int i = 0; i < 4; ++i) b.say(std::to_string(i));
  b.out->await_begun(1);
  std::thread end([&] { b.log.reset(); });
  b.out->stall(false);
  end.join();
  CHECK(b.out->written() == texts{"0", "1", "2", "3"});

  bench silent(16);
  silent.log.reset();  // ends although nobody ever said anything
  CHECK(silent.out->written().empty());
}

TEST_CASE("what several threads say is whole, and in the order of each", "[log_queue]") {
  constexpr int threads = 4;
  constexpr int each = 500;
  bench b(threads * each);
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&b, t] {
      for (int i = 0; i < each; ++i) b.say(std::to_string(t) + " " + std::to_string(i));
    });
  for (auto& t : all) t.join();
  b.log.reset();
  std::map<std::string, int> next;
  const auto written = b.out->written();
  CHECK(written.size() == threads * each);
  for (const auto& line : written) {
    const auto space = line.find(' ');
    REQUIRE(line.substr(space + 1) == std::to_string(next[line.substr(0, space)]++));
  }
}
