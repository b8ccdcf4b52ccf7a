// The file of events: complete, in order, and never behind what hasupd has forgotten.
#include "daemon/event_log.hpp"

#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>

#include "daemon/disk_thread.hpp"
#include "daemon/intent.hpp"
#include "show_result.hpp"

using namespace hasup;

namespace {

struct directory {
  std::string path =
      (std::filesystem::temp_directory_path() / ("hasup-events-" + std::to_string(::getpid()))).string();
  directory() { std::filesystem::create_directories(path); }
  directory(const directory&) = delete;
  directory& operator=(const directory&) = delete;
  ~directory() { std::filesystem::remove_all(path); }
};

control::event started(int n) {
  control::event e;
  e.unit = "leap";
  e.kind = "started";
  e.state = "running";
  e.reason = "start " + std::to_string(n);
  return e;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

void run_until(boost::asio::io_context& loop, const bool& done) {
  const auto work = boost::asio::make_work_guard(loop);
  while (!done) loop.run_one();
}

}  // namespace

TEST_CASE("events are in the file while another disk job hangs, in order and numbered", "[events]") {
  const directory d;
  boost::asio::io_context loop;
  daemon::disk_thread writer(loop);
  std::promise<void> answers;
  daemon::disk_thread disk(loop);
  disk.run([hangs = answers.get_future().share()] { hangs.wait(); });

  daemon::event_log events(writer, d.path);
  bool written = false;
  for (int n = 1; n <= 500; ++n) events.append(started(n), std::chrono::system_clock::now());
  events.when_written(events.newest(), [&] { written = true; });
  run_until(loop, written);
  const auto lines = lines_of(d.path + "/events.jsonl");
  answers.set_value();
  REQUIRE(lines.size() == 500);
  for (int n = 1; n <= 500; ++n) {
    const auto e = control::decode_event(lines[static_cast<std::size_t>(n - 1)]);
    REQUIRE(e);
    CHECK(e->seq == static_cast<std::uint64_t>(n));
    CHECK(e->reason == "start " + std::to_string(n));
  }

  bool at_once = false;
  events.when_written(events.newest(), [&] { at_once = true; });
  CHECK(at_once);
}

TEST_CASE("who waits for an event does not wait for those that come after it", "[events]") {
  const directory d;
  boost::asio::io_context loop;
  std::promise<void> answers;
  daemon::disk_thread writer(loop);
  daemon::event_log events(writer, d.path);
  events.append(started(1), std::chrono::system_clock::now());
  const auto first = events.newest();
  writer.wait_done();
  writer.run([hangs = answers.get_future().share()] { hangs.wait(); });
  events.append(started(2), std::chrono::system_clock::now());
  bool at_once = false;
  bool later = false;
  events.when_written(first, [&] { at_once = true; });
  events.when_written(events.newest(), [&] { later = true; });
  CHECK(at_once);
  CHECK_FALSE(later);
  answers.set_value();
  run_until(loop, later);
  CHECK(lines_of(d.path + "/events.jsonl").size() == 2);
}

TEST_CASE("a recovery that takes long does not push its beginning out of the story", "[events]") {
  const directory d;
  boost::asio::io_context loop;
  daemon::disk_thread writer(loop);
  daemon::event_log events(writer, d.path);
  const auto append = [&](control::event e) { events.append(std::move(e), std::chrono::system_clock::now()); };
  append(started(1));
  auto far = started(0);
  far.kind = "recovery_progress";
  for (int n = 0; n < 100; ++n) append(far);
  append(started(2));
  auto other = started(3);
  other.instance = 1;
  append(other);
  append(started(4));
  const auto reasons = [](const std::vector<control::event>& all) {
    std::vector<std::string> out;
    for (const auto& e : all) out.push_back(e.reason);
    return out;
  };
  using texts = std::vector<std::string>;
  CHECK(reasons(events.story_of("leap", 0, 20)) == texts{"start 1", "start 2", "start 4"});
  CHECK(reasons(events.story_of("leap", 0, 2)) == texts{"start 2", "start 4"});
  CHECK(reasons(events.of("leap", 0, 3)) == texts{"start 0", "start 2", "start 4"});
}

TEST_CASE("a recovery is told from what led to it, however many candidates it tried", "[events]") {
  const directory d;
  boost::asio::io_context loop;
  daemon::disk_thread writer(loop);
  daemon::event_log events(writer, d.path);
  const auto append = [&](std::initializer_list<const char*> kinds) {
    for (const auto* kind : kinds) {
      auto e = started(0);
      e.kind = kind;
      events.append(std::move(e), std::chrono::system_clock::now());
    }
  };
  const auto story = [&] {
    std::vector<std::string> out;
    for (const auto& e : events.story_of("leap", 0, 4)) out.push_back(e.kind);
    return out;
  };
  using kinds = std::vector<std::string>;
  append({"started", "exited", "recovering", "recovery_began", "recovery_ended", "started", "became_healthy"});
  append({"exited", "recovering", "recovery_began", "recovery_trying", "recovery_progress", "recovery_dropped"});
  append({"recovery_trying", "recovery_swapped"});
  const kinds so_far{"exited",           "recovering",      "recovery_began",  "recovery_trying",
                     "recovery_dropped", "recovery_trying", "recovery_swapped"};
  CHECK(story() == so_far);
  append({"recovery_ended", "failed"});
  CHECK(story().size() == so_far.size() + 2);
  CHECK(story().front() == "exited");
  // Once it is long over it is as any event.
  append({"started", "running", "became_unhealthy", "became_healthy"});
  CHECK(story() == kinds{"started", "running", "became_unhealthy", "became_healthy"});
}

TEST_CASE("the next log goes on behind the last number, also behind a torn line", "[events]") {
  const directory d;
  boost::asio::io_context loop;
  {
    daemon::disk_thread writer(loop);
    daemon::event_log events(writer, d.path);
    for (int n = 1; n <= 3; ++n) events.append(started(n), std::chrono::system_clock::now());
  }  // what was appended is written before the thread ends
  const auto file = d.path + "/events.jsonl";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 5);
  {
    daemon::disk_thread writer(loop);
    daemon::event_log events(writer, d.path);
    CHECK(events.since(0, 10).size() == 2);
    CHECK(events.last_state("leap", 0) == "running");
    CHECK(events.last_state("leap", 1).empty());
    events.append(started(3), std::chrono::system_clock::now());
  }
  const auto lines = lines_of(file);
  REQUIRE(lines.size() == 4);
  CHECK_FALSE(control::decode_event(lines[2]));
  CHECK(control::decode_event(lines[3])->seq == 3);
}

TEST_CASE("an intent that waits for the events is not written before them", "[events][intent]") {
  const directory d;
  boost::asio::io_context loop;
  daemon::disk_thread writer(loop);
  daemon::disk_thread disk(loop);
  std::promise<void> about_to_write;
  const auto begun = about_to_write.get_future().share();
  bool too_early = true;
  writer.run([&, begun] {
    begun.wait();
    too_early = std::filesystem::exists(d.path + "/intent.json");
  });
  daemon::intent_file intent(disk, d.path + "/intent.json");
  intent.before_write = [&] {
    about_to_write.set_value();
    writer.wait_done();
  };
  bool saved = false;
  intent.write([] { return encode(daemon::intent{}); },
               [&](const base::result<void>& done) { saved = done.has_value(); });
  run_until(loop, saved);
  CHECK_FALSE(too_early);
  CHECK(std::filesystem::exists(d.path + "/intent.json"));
}

TEST_CASE("contents that come while a write is under way make one more write", "[intent]") {
  const directory d;
  boost::asio::io_context loop;
  daemon::disk_thread disk(loop);
  daemon::intent_file intent(disk, d.path + "/intent.json");
  int asked = 0;
  bool last = false;
  for (int n = 0; n < 100; ++n)
    intent.write(
        [&] {
          ++asked;
          return encode(daemon::intent{});
        },
        [&, n](const base::result<void>&) { last = last || n == 99; });
  run_until(loop, last);
  CHECK(asked == 2);
}
