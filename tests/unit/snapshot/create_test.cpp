// Archives are made of what is there: order, holes, links, what is refused; frames that all cores can unpack; keys.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#define ZSTD_STATIC_LINKING_ONLY  // frame headers
#include <zstd.h>

#include <cstdlib>
#include <thread>

#include "base/base64.hpp"
#include "base/unique_fd.hpp"
#include "show_result.hpp"
#include "snapshot/create/data_spans.hpp"
#include "snapshot/create/frame_compressor.hpp"
#include "snapshot/create/secret_key.hpp"
#include "snapshot/create/source_tree.hpp"
#include "snapshot/create/tar_writer.hpp"
#include "snapshot/delta/frame.hpp"
#include "snapshot/pack_stream.hpp"
#include "snapshot/unpack/zstd_frames.hpp"
#include "temp_tree.hpp"

using namespace hasup;
using namespace hasup::test;
using namespace hasup::snapshot;

namespace {

const std::function<bool()> never = [] { return false; };

outcome<source_tree> tree_of(const std::string& dir, const wipe_rules* rules = nullptr) {
  const base::unique_fd root(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(root);
  return read_source_tree(root.get(), rules, never);
}

std::vector<std::string> paths_of(const source_tree& tree) {
  std::vector<std::string> out;
  for (const auto& e : tree.entries) out.push_back(e.path);
  return out;
}

std::string compressed(const std::string& text, const frame_options& options, std::vector<chunk>* chunks = nullptr) {
  std::string out;
  auto frames =
      frame_compressor::start(options, [&](std::string_view bytes, const std::vector<chunk>& of) -> outcome<void> {
        out += bytes;
        if (chunks != nullptr) chunks->insert(chunks->end(), of.begin(), of.end());
        return {};
      });
  REQUIRE(frames.has_value());
  for (std::size_t at = 0; at < text.size(); at += 1000)
    REQUIRE((*frames)->add(text.data() + at, std::min<std::size_t>(1000, text.size() - at)).has_value());
  REQUIRE((*frames)->finish().has_value());
  return out;
}

std::string some_text(std::size_t size) {
  std::string text;
  for (unsigned i = 0; text.size() < size; ++i) text += std::to_string(i * 2654435761U);
  text.resize(size);
  return text;
}

}  // namespace

TEST_CASE("spans are joined over small holes and end with the file") {
  CHECK(joined_spans({}, 100, 10).empty());
  CHECK(joined_spans({{0, 100}}, 100, 10) == std::vector<data_span>{{0, 100}});
  CHECK(joined_spans({{0, 20}, {25, 5}, {60, 5}}, 100, 10) == std::vector<data_span>{{0, 30}, {60, 5}});
  CHECK(joined_spans({{5, 20}, {50, 45}}, 100, 10) == std::vector<data_span>{{0, 25}, {50, 50}});
  CHECK(joined_spans({{50, 4096}}, 100, 10) == std::vector<data_span>{{50, 50}});
  CHECK(joined_spans({{100, 4096}}, 100, 10).empty());
}

TEST_CASE("the data of a sparse file is found, and of a file without data none") {
  temp_tree dir;
  const auto path = dir / "f";
  const base::unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(::ftruncate(fd.get(), 64LL << 30U) == 0);
  auto spans = find_data(fd.get(), 64ULL << 30U);
  REQUIRE(spans.has_value());
  CHECK(spans->empty());
  REQUIRE(::pwrite(fd.get(), "data", 4, 32LL << 30U) == 4);
  spans = find_data(fd.get(), 64ULL << 30U);
  REQUIRE(spans.has_value());
  REQUIRE(spans->size() == 1);
  CHECK((*spans)[0].offset <= 32ULL << 30U);
  CHECK((*spans)[0].size <= 2U << 20U);
}

TEST_CASE("entries come in the order of the bytes of their paths, with links and without sockets") {
  temp_tree dir;
  put(dir / "a/b", "1");
  put(dir / "a-b", "2");
  put(dir / "a.b", "3");
  put(dir / "B", "4");
  put(dir / ".hasup/lock", "");
  fs::create_symlink("a/b", dir / "link");
  fs::create_hard_link(dir / "a.b", dir / "z");
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  const auto tree = tree_of(dir.path());
  REQUIRE(tree.has_value());
  CHECK(paths_of(*tree) == std::vector<std::string>{"B", "a", "a-b", "a.b", "a/b", "link", "z"});
  CHECK(tree->entries[6].is == source_entry::kind::hard_link);
  CHECK(tree->entries[6].target == "a.b");
  CHECK(tree->entries[5].target == "a/b");
  CHECK(tree->notes == std::vector<std::string>{"pipe is a pipe: left out"});
}

TEST_CASE("of a node's data what its plan replaces is taken, and nothing that it keeps") {
  temp_tree dir;
  put(dir / "state/db", "1");
  put(dir / "state/key", "secret");
  put(dir / "blocks/log", "2");
  put(dir / "wallet", "secret");
  const auto rules = wipe_rules::from({"state", "blocks"}, {"state/key", "wallet"}, {"blocks"});
  REQUIRE(rules.has_value());
  const auto tree = tree_of(dir.path(), &*rules);
  REQUIRE(tree.has_value());
  CHECK(paths_of(*tree) == std::vector<std::string>{"state", "state/db"});
}

TEST_CASE("what could not be restored is refused, and named") {
  for (const auto* target : {"/etc", "../x", "d/../../x"}) {
    temp_tree dir;
    fs::create_directories(dir / "d");
    fs::create_symlink(target, dir / "blocks");
    const auto tree = tree_of(dir.path());
    REQUIRE_FALSE(tree.has_value());
    CHECK(tree.error().kind == ports::worker_failure::refused);
    CHECK(tree.error().message.starts_with("blocks is a link to"));
  }
  temp_tree dir;
  put(dir / "a\nb", "1");
  CHECK_FALSE(tree_of(dir.path()).has_value());
}

TEST_CASE("the same input gives the same frames, on one core and on many") {
  const auto text = some_text(5'000'000);
  frame_options one;
  one.cores = 1;
  one.frame = 1U << 20;
  auto many = one;
  many.cores = 7;
  const auto packed = compressed(text, one);
  CHECK(compressed(text, many) == packed);
  const auto run = find_frames(packed.data(), packed.size(), {std::uint64_t{1} << 31U, 64U << 20U});
  CHECK(run.bytes == packed.size());
  CHECK(run.decompressed == text.size());
  std::string back(text.size(), '\0');
  REQUIRE(ZSTD_decompress(back.data(), back.size(), packed.data(), packed.size()) == text.size());
  CHECK(back == text);
  ZSTD_frameHeader header{};
  REQUIRE(ZSTD_getFrameHeader(&header, packed.data(), packed.size()) == 0);
  CHECK(header.checksumFlag == 1);
  CHECK(header.frameContentSize == 1U << 20U);
}

TEST_CASE("frames end where the content says so, and the index says what they are") {
  const auto text = some_text(9'000'000);
  frame_options one;
  one.cores = 1;
  one.chunks = true;
  one.doublings = GENERATE(0U, 1U, content_chunker::most_doublings);
  std::vector<chunk> chunks;
  const auto packed = compressed(text, one, &chunks);
  auto many = one;
  many.cores = 7;
  CHECK(compressed(text, many) == packed);
  content_chunker chunker(one.doublings);
  std::size_t at = 0;
  std::size_t packed_at = 0;
  for (const auto& c : chunks) {
    const auto taken = chunker.take(text.data() + at, text.size() - at);
    const auto content = std::string_view(text).substr(at, taken.bytes);
    const auto frame = compress_frame(one.level, content);
    REQUIRE(frame);
    CHECK(*frame == packed.substr(packed_at, c.packed));
    CHECK(c == chunk_of(content, *frame));
    at += taken.bytes;
    packed_at += c.packed;
  }
  CHECK(chunks.size() > (8U >> one.doublings));
  CHECK(at == text.size());
  CHECK(packed_at == packed.size());

  if (std::system("command -v unzck > /dev/null") != 0) {
    WARN("unzck is not here: not tested");
    return;
  }
  temp_tree dir;
  auto index = write_chunk_index({chunks, sha256_of(packed), one.doublings});
  index.replace(0, 5, std::string("\0ZCK1", 5));
  put(dir / "a.zck", index + packed);
  CHECK(std::system(("cd " + dir.path() + " && unzck a.zck").c_str()) == 0);
  CHECK(get(dir / "a") == text);
}

TEST_CASE("what is added after a cut begins a frame, and the same content is the same frames wherever it stands") {
  const auto text = some_text(3'000'000);
  frame_options options;
  options.chunks = true;
  std::vector<chunk> alone;
  compressed(text, options, &alone);
  std::vector<chunk> within;
  auto frames =
      frame_compressor::start(options, [&](std::string_view, const std::vector<chunk>& of) -> outcome<void> {
        within.insert(within.end(), of.begin(), of.end());
        return {};
      });
  REQUIRE(frames.has_value());
  REQUIRE((*frames)->cut().has_value());  // of nothing: no empty frame
  REQUIRE((*frames)->add("header", 6).has_value());
  REQUIRE((*frames)->cut().has_value());
  REQUIRE((*frames)->cut().has_value());
  REQUIRE((*frames)->add(text.data(), text.size()).has_value());
  REQUIRE((*frames)->cut().has_value());
  for (int i = 0; i < 1000; ++i) {
    REQUIRE((*frames)->add("small", 5).has_value());
    REQUIRE((*frames)->cut().has_value());
  }
  REQUIRE((*frames)->finish().has_value());
  REQUIRE(within.size() == alone.size() + 1001);
  CHECK(within[0].digest == sha256_of("header"));
  CHECK(std::equal(alone.begin(), alone.end(), within.begin() + 1));
  CHECK(within.back().digest == sha256_of("small"));
}

TEST_CASE("an empty input is one empty frame, and uncompressed bytes pass as they are") {
  const auto empty = compressed("", {});
  CHECK(ZSTD_getFrameContentSize(empty.data(), empty.size()) == 0);
  frame_options plain;
  plain.compress = false;
  plain.frame = 4096;
  const auto text = some_text(1'000'000);
  CHECK(compressed(text, plain) == text);
}

TEST_CASE("a sink that fails ends the work with its words") {
  frame_options options;
  options.frame = 4096;
  auto frames = frame_compressor::start(
      options, [](std::string_view, const std::vector<chunk>&) -> outcome<void> { return refusal("no more"); });
  REQUIRE(frames.has_value());
  const auto text = some_text(4096);
  outcome<void> last;
  for (int i = 0; i < 100'000 && last; ++i) last = (*frames)->add(text.data(), text.size());
  REQUIRE_FALSE(last.has_value());
  CHECK(last.error().message == "no more");
  CHECK((*frames)->finish().error().message == "no more");
}

TEST_CASE("a 64 GiB file with a little data takes a little, and its holes come back") {
  temp_tree dir;
  std::string tar;
  auto writer = tar_writer::open([&](std::string_view bytes) -> outcome<void> {
    tar += bytes;
    return {};
  });
  REQUIRE(writer.has_value());
  const std::uint64_t size = 64ULL << 30U;
  const auto text = some_text(100'000);
  source_entry e;
  e.path = "big";
  e.mode = 0600;
  e.size = size;
  const std::vector<data_span> spans{{4096, text.size()}, {size - 10, 10}};
  REQUIRE((*writer)->begin(e, spans).has_value());
  REQUIRE((*writer)->data(4096, text.data(), text.size()).has_value());
  REQUIRE((*writer)->data(size - 10, text.data(), 10).has_value());
  REQUIRE((*writer)->end().has_value());
  e.path = "hole";
  REQUIRE((*writer)->begin(e, {}).has_value());
  REQUIRE((*writer)->end().has_value());
  REQUIRE((*writer)->finish().has_value());
  CHECK(tar.size() < 200'000);

  archive* a = archive_read_new();
  archive_read_support_format_tar(a);
  REQUIRE(archive_read_open_memory(a, tar.data(), tar.size()) == ARCHIVE_OK);
  archive_entry* h = nullptr;
  REQUIRE(archive_read_next_header(a, &h) == ARCHIVE_OK);
  CHECK(archive_entry_size(h) == static_cast<la_int64_t>(size));
  const void* block = nullptr;
  std::size_t n = 0;
  la_int64_t offset = 0;
  std::map<la_int64_t, std::string> data;
  while (archive_read_data_block(a, &block, &n, &offset) == ARCHIVE_OK)
    if (n > 0) data[offset] = std::string(static_cast<const char*>(block), n);
  REQUIRE(data.size() >= 2);
  CHECK(data.begin()->first == 4096);
  CHECK(data.rbegin()->second == text.substr(0, 10));
  REQUIRE(archive_read_next_header(a, &h) == ARCHIVE_OK);
  CHECK(std::string(archive_entry_pathname(h)) == "hole");
  CHECK(archive_entry_size(h) == static_cast<la_int64_t>(size));
  CHECK(archive_read_next_header(a, &h) == ARCHIVE_EOF);
  archive_read_free(a);
}

TEST_CASE("what is packed for a sender comes out as it went in, and a cut stream is no archive") {
  const auto text = some_text(3'000'000);
  ports::worker_result made;
  made.name = "a.tar.zst";
  made.bytes = text.size();
  const auto index = some_text(15'000'000);  // nearly the largest
  for (const bool whole : {true, false}) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    std::thread packer([&] {
      CHECK(write_packed(ends[1], text).has_value());
      CHECK(write_packed_index(ends[1], index).has_value());
      if (whole) CHECK(write_pack_end(ends[1], made).has_value());
      ::close(ends[1]);
    });
    std::string got;
    const auto end = read_packed(
        ends[0],
        [&](std::string_view bytes) -> outcome<void> {
          got += bytes;
          return {};
        },
        never);
    ::close(ends[0]);
    packer.join();
    CHECK(got == text);
    REQUIRE(end.has_value() == whole);
    if (!whole) continue;
    CHECK(end->made.name == "a.tar.zst");
    CHECK(end->index == index);
  }
}

TEST_CASE("minisign takes what its keys have signed here, and a wrong password is said to be wrong") {
  if (std::system("command -v minisign > /dev/null") != 0) {
    WARN("minisign is not here: not tested");
    return;
  }
  temp_tree dir;
  const auto in = "cd " + dir.path() + " && ";
  run(in + "minisign -G -f -W -p plain.pub -s plain.key > /dev/null 2>&1");
  run(in + "printf 'geheim\\ngeheim\\n' | minisign -G -f -p locked.pub -s locked.key > /dev/null 2>&1");
  put(dir / "file", some_text(10'000));
  put(dir / "password", "geheim\n");
  put(dir / "wrong", "geheimer\n");
  run(in + "b2sum file | cut -d' ' -f1 | tr -d '\\n' > digest");
  for (const std::string name : {"plain", "locked"}) {
    auto key = signing_key::read(dir / (name + ".key"), name == "plain" ? "" : dir / "password");
    REQUIRE(key.has_value());
    put(dir / "file.minisig", key->sign(get(dir / "digest"), "of the backup host"));
    run(in + "minisign -V -q -p " + name + ".pub -m file");
  }
  const auto wrong = signing_key::read(dir / "locked.key", dir / "wrong");
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().message.find("password is wrong") != std::string::npos);
  CHECK(signing_key::read(dir / "locked.key", "").error().message.find("--password-file") != std::string::npos);
  CHECK_FALSE(signing_key::read(dir / "plain.pub", "").has_value());
}
