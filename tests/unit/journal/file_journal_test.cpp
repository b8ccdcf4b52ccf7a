// The journal and atomic files on a real file system.
#include "journal/file_journal.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "journal/atomic_file.hpp"
#include "journal/journal_text.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
namespace fs = std::filesystem;

namespace {

struct temporary_directory {
  std::string path;

  temporary_directory() {
    std::string pattern = (fs::temp_directory_path() / "hasup-journal-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~temporary_directory() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path + "/" + name; }
};

void put(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Files of this process cannot grow beyond `bytes` while it lives: a disk that is full.
struct file_size_limit {
  explicit file_size_limit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before);
    old_handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = before;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~file_size_limit() {
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old_handler);
  }
  rlimit before{};
  void (*old_handler)(int) = nullptr;
};

}  // namespace

TEST_CASE("records survive the object that wrote them") {
  const temporary_directory dir;
  const auto path = dir / "leap.journal";
  CHECK(journal::journal_file(path).read_all()->empty());
  {
    journal::journal_file file(path);
    REQUIRE(file.append("one").has_value());
    REQUIRE(file.append("two").has_value());
  }
  journal::journal_file file(path);
  REQUIRE(file.append("three").has_value());
  CHECK(*file.read_all() == std::vector<std::string>{"one", "two", "three"});
  REQUIRE(file.append("four").has_value());
  CHECK(*file.read_all() == std::vector<std::string>{"one", "two", "three", "four"});
  struct stat facts {};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);
}

TEST_CASE("a torn tail is cut off and written over, wherever it was torn") {
  const temporary_directory dir;
  const auto path = dir / "leap.journal";
  const auto kept = std::string(journal::journal_header) + journal::frame("one");
  const auto torn = journal::frame("a second record");
  for (std::size_t size = 0; size < torn.size(); ++size) {
    put(path, kept + torn.substr(0, size));
    journal::journal_file file(path);
    REQUIRE(*file.read_all() == std::vector<std::string>{"one"});
    REQUIRE(fs::file_size(path) == kept.size());
    REQUIRE(file.append("three").has_value());
    REQUIRE(*journal::journal_file(path).read_all() == std::vector<std::string>{"one", "three"});
  }
}

TEST_CASE("an append cuts a torn tail off by itself") {
  const temporary_directory dir;
  const auto path = dir / "leap.journal";
  put(path, std::string(journal::journal_header).substr(0, 5));
  journal::journal_file file(path);
  REQUIRE(file.append("one").has_value());
  CHECK(*file.read_all() == std::vector<std::string>{"one"});
}

TEST_CASE("damage and newer versions are errors and leave the file alone") {
  const temporary_directory dir;
  const auto path = dir / "leap.journal";
  auto text = std::string(journal::journal_header) + journal::frame("one") + journal::frame("two");
  text[journal::journal_header.size() + 12] ^= 0x01;
  for (const auto& bad : {text, std::string("hasup journal 9\n")}) {
    put(path, bad);
    journal::journal_file file(path);
    const auto read = file.read_all();
    REQUIRE(!read);
    CHECK(read.error().message.find(path) != std::string::npos);
    CHECK(!file.append("three"));
    CHECK(*journal::read_whole(path) == bad);
  }
}

TEST_CASE("clearing deletes the file, also when there is none") {
  const temporary_directory dir;
  const auto path = dir / "leap.journal";
  journal::journal_file file(path);
  REQUIRE(file.clear().has_value());
  REQUIRE(file.append("one").has_value());
  REQUIRE(file.clear().has_value());
  CHECK(!fs::exists(path));
  REQUIRE(file.append("two").has_value());
  CHECK(*file.read_all() == std::vector<std::string>{"two"});
}

TEST_CASE("a journal that is set aside is kept, and a new one begins") {
  const temporary_directory dir;
  const auto path = dir / "leap.journal";
  journal::journal_file file(path);
  CHECK(file.set_aside()->empty());
  put(path, "not a journal");
  REQUIRE(!file.append("one"));
  CHECK(*file.set_aside() == path + ".damaged");
  REQUIRE(file.append("one").has_value());
  CHECK(*file.set_aside() == path + ".damaged.2");
  REQUIRE(file.append("two").has_value());
  CHECK(*file.read_all() == std::vector<std::string>{"two"});
  CHECK(*journal::read_whole(path + ".damaged") == "not a journal");
  CHECK(*journal::journal_file(path + ".damaged.2").read_all() == std::vector<std::string>{"one"});
}

TEST_CASE("a full disk leaves the records before it, and room makes it work again") {
  const temporary_directory dir;
  const auto path = dir / "leap.journal";
  journal::journal_file file(path);
  REQUIRE(file.append("one").has_value());
  {
    const file_size_limit full(64);
    const auto failed = file.append(std::string(500, 'x'));
    REQUIRE(!failed);
    CHECK(failed.error().message.find(path) != std::string::npos);
  }
  CHECK(*journal::journal_file(path).read_all() == std::vector<std::string>{"one"});
  REQUIRE(file.append("two").has_value());
  CHECK(*file.read_all() == std::vector<std::string>{"one", "two"});
}

TEST_CASE("a record that could not be made durable is not there twice when it is written again") {
  const temporary_directory dir;
  const auto path = dir / "leap.journal";
  journal::journal_file file(path);
  const base::unique_fd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));  // and one for the journal, in a moment
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  auto few = before;
  few.rlim_cur = static_cast<rlim_t>(next.get()) + 2;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);  // no descriptor is left for its directory
  const auto failed = file.append("one");
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(!failed);
  CHECK(failed.error().code == EMFILE);
  REQUIRE(fs::exists(path));
  CHECK(journal::journal_file(path).read_all()->empty());
  REQUIRE(file.append("one").has_value());
  CHECK(*journal::journal_file(path).read_all() == std::vector<std::string>{"one"});
}

TEST_CASE("a directory that is not there is an error that names it") {
  journal::journal_file file("/nonexistent/leap.journal");
  const auto failed = file.append("one");
  REQUIRE(!failed);
  CHECK(failed.error().message.find("/nonexistent/leap.journal") != std::string::npos);
}

TEST_CASE("file work is done on the disk executor and answered on the loop in order") {
  const temporary_directory dir;
  boost::asio::thread_pool disk(1);
  boost::asio::io_context loop;
  auto busy = boost::asio::make_work_guard(loop);
  const auto loop_thread = std::this_thread::get_id();
  std::vector<std::string> answers;
  {
    journal::file_journal file(dir / "leap.journal", disk.get_executor(), loop.get_executor());
    for (const auto* name : {"one", "two", "three"})
      file.append(name, [&, name](base::result<void> r) {
        CHECK(std::this_thread::get_id() == loop_thread);
        answers.push_back(r ? name : r.error().message);
      });
    file.read_all([&](base::result<std::vector<std::string>> r) {
      REQUIRE(r.has_value());
      answers.push_back(std::to_string(r->size()));
    });
    file.clear([&](base::result<void> r) {
      answers.push_back(r ? "cleared" : r.error().message);
      busy.reset();
    });
  }
  loop.run();
  CHECK(answers == std::vector<std::string>{"one", "two", "three", "3", "cleared"});
  disk.join();
}

TEST_CASE("an atomic write is there whole or not at all") {
  const temporary_directory dir;
  const auto path = dir / "intent.json";
  CHECK(journal::read_whole(path).error().code == ENOENT);
  REQUIRE(journal::write_atomic(path, "first").has_value());
  REQUIRE(journal::write_atomic(path, "second", 0640).has_value());
  CHECK(*journal::read_whole(path) == "second");
  struct stat facts {};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0640);
  {
    const file_size_limit full(10);
    CHECK(!journal::write_atomic(path, std::string(100, 'x')));
  }
  CHECK(*journal::read_whole(path) == "second");
  CHECK(!fs::exists(path + ".new"));
  REQUIRE(journal::remove_durably(path).has_value());
  REQUIRE(journal::remove_durably(path).has_value());
  CHECK(!journal::write_atomic("/nonexistent/x", "y"));
}

TEST_CASE("an atomic write on the disk executor is answered on the loop") {
  const temporary_directory dir;
  boost::asio::thread_pool disk(1);
  boost::asio::io_context loop;
  auto busy = boost::asio::make_work_guard(loop);
  bool ok = false;
  journal::write_atomic_on(disk.get_executor(), loop.get_executor(), dir / "intent.json", "x",
                           [&](base::result<void> r) {
                             ok = r.has_value();
                             busy.reset();
                           });
  loop.run();
  CHECK(ok);
  CHECK(*journal::read_whole(dir / "intent.json") == "x");
  disk.join();
}
