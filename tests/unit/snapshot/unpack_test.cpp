// What comes out of archives, and what never does.
#include "snapshot/unpack/unpack.hpp"

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "snapshot/staged.hpp"
#include "snapshot/unpack/entry_path.hpp"
#include "unpacking.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;

TEST_CASE("an archive's entries are staged with safe modes and their times", "[unpack]") {
  node n;
  const auto out = n.unpack({{"state/", "", AE_IFDIR, "", 0500},
                             {"state/a", "text a", AE_IFREG, "", 0477},
                             {"./blocks/b", "text b"},
                             {"blocks/same", "", 0, "blocks/b"},
                             {"blocks/link", "", AE_IFLNK, "../state/a"}});
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(n.staged("state/a")) == "text a");
  CHECK(get(n.staged("blocks/link")) == "text a");
  CHECK(inode(n.staged("blocks/same")) == inode(n.staged("blocks/b")));
  struct stat st {};
  REQUIRE(::stat(n.staged("state/a").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777U) == 0655U);  // readable by the owner, writable by nobody else
  CHECK(st.st_mtime == 1'700'000'000);
  REQUIRE(::stat(n.staged("state").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777U) == 0700U);
  CHECK(n.is_staged());
  CHECK(out.bytes == 12);
}

TEST_CASE("hostile and damaged entries make the snapshot bad, by the entry's name", "[unpack]") {
  const std::vector<entry> bad = GENERATE(
      values<std::vector<entry>>({{{"/etc/passwd", "x"}},
                                  {{"state/../../x", "x"}},
                                  {{"..", "x", AE_IFDIR}},
                                  {{"state/.hasup/swap.json", "x"}},
                                  {{".hasup/x", "x"}},
                                  {{".HASUP/x", "x"}},
                                  {{"state/.Hasup/swap.json", "x"}},
                                  {{".ha\u017fup/x", "x"}},
                                  {{"state/.h\u00adas\u200dup/swap.json", "x"}},
                                  {{"\ufeff.HASU\U000e0020P", "x"}},
                                  {{"state/l", "", AE_IFLNK, "../.ha\u017fup/x"}},
                                  {{"state/a", "1"}, {"state/a", "2"}},
                                  {{"state/a", "1"}, {"state/a/b", "2"}},
                                  {{"state/dev", "", AE_IFCHR}},
                                  {{"state/fifo", "", AE_IFIFO}},
                                  {{"state/s", "x", AE_IFREG, "", 04755}},
                                  {{"state/g", "x", AE_IFREG, "", 02755}},
                                  {{"state/l", "", AE_IFLNK, "/etc/passwd"}},
                                  {{"state/l", "", AE_IFLNK, "../../x"}},
                                  {{"state/l", "", AE_IFLNK, "../.hasup/x"}},
                                  {{"state/l", "", AE_IFLNK, "blocks"}, {"state/l/x", "through"}},
                                  {{"state/l", "", AE_IFLNK, "a"}, {"state/l", "again"}},
                                  {{"state/x/up", "", AE_IFLNK, "../.."}, {"state/l", "", AE_IFLNK, "x/up/../b"}},
                                  {{"state/h", "", 0, "/etc/passwd"}},
                                  {{"state/h", "", 0, "../x"}},
                                  {{"state/h", "", 0, "state/absent"}},
                                  {{"state/l", "", AE_IFLNK, "a"}, {"state/h", "", 0, "state/l"}},
                                  {{"state/" + std::string(300, 'n'), "x"}},
                                  {{"state/a\nb", "x"}},
                                  {{"unrelated", "x"}},
                                  {}}));
  node n;
  put(n.dir() + "/state/a", "live");
  const auto before = picture(n.dir());
  const auto out = n.unpack(bad);
  INFO((bad.empty() ? std::string("nothing") : bad.back().path) << ": " << out.error);
  CHECK(out.failure == worker_failure::bad_snapshot);
  CHECK(out.snapshot == "a.tar");
  CHECK_FALSE(n.is_staged());
  CHECK(picture(n.dir()) == before);
}

TEST_CASE("kept entries never come out of an archive, what may not be replaced is left out", "[unpack]") {
  node n;
  n.job.keep = {"keys", "state/priv*.json"};
  const auto out =
      n.unpack({{"state/a", "a"}, {"state/priv_validator.json", "old round"}, {"keys/k", "k"}, {"config.toml", "c"}});
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(there(n.staged("state/a")));
  CHECK_FALSE(there(n.staged("state/priv_validator.json")));
  CHECK_FALSE(there(n.staged("keys")));
  CHECK_FALSE(there(n.staged("config.toml")));
  REQUIRE(out.notes.size() == 1);
  CHECK(out.notes[0].find("config.toml") != std::string::npos);
}

TEST_CASE("an archive without what must be there for a start is bad, and nothing is staged", "[unpack]") {
  node n;
  put(n.dir() + "/state/db.dat", "live");  // what stands there is not what will
  n.job.must_bring = {"state/db.dat"};
  const auto out = n.unpack({{"state/db.lck", "l"}});
  CHECK(out.failure == worker_failure::bad_snapshot);
  CHECK(out.snapshot == "a.tar");
  CHECK(out.error == "a.tar does not bring state/db.dat, without which the node would begin from nothing");
  CHECK_FALSE(n.is_staged());
  const auto whole = n.unpack({{"backup-7/state/db.lck", "l"}, {"backup-7/state/db.dat", "d"}});
  INFO(whole.error);
  CHECK(whole.ok());
  CHECK(n.is_staged());
}

TEST_CASE("what an archive cannot bring, or need not, is not missed", "[unpack]") {
  node n;
  n.job.keep = {"keys"};
  n.job.plan.shared = {"blocks"};
  n.job.must_bring = {"keys/k", "blocks/blocks.log", "config.toml"};  // kept, shared, not replaced at all
  CHECK(n.unpack({{"state/a", "a"}}).ok());
  n.use("a.tar", model::unpack_mode::archive, "", "blocks");  // goes to another place
  n.job.plan.shared.clear();
  n.job.must_bring = {"state/a"};
  CHECK(n.unpack({{"x", "c"}}).ok());
  n.job.must_bring = {"state/a", "blocks/blocks.log"};
  CHECK(n.unpack({{"x", "c"}}).error.find("does not bring blocks/blocks.log") != std::string::npos);
  n.use("a.tar", model::unpack_mode::archive, "snapshot");  // beside the state: the node makes that of it
  CHECK(n.unpack({{"x", "c"}}).ok());
}

TEST_CASE(
    "what only a file system that folds names takes for a kept entry is refused, in both readings of a leading "
    "directory",
    "[unpack]") {
  const std::string path = GENERATE("KEYS/k", "state/PRIV_validator.json", "lead/Keys/k", "key\u017f/k",
                                    "lead/\u212aEY\u200bs/k", "state/pri\u00adv_validator.json");
  node n;
  n.job.keep = {"keys", "state/priv*.json"};
  n.job.plan.archives[0].strip = true;
  const auto out = n.unpack({{path, "k"}});
  INFO(out.error);
  CHECK(out.failure == worker_failure::bad_snapshot);
  CHECK(out.error.find("\"" + path + "\" differs from an entry that is kept only in case") != std::string::npos);
  CHECK_FALSE(n.is_staged());
}

TEST_CASE("names that no file system takes for a kept one or for hasup's come out", "[unpack]") {
  node n;
  n.job.keep = {"keys", "\u043a\u043b\u044e\u0447"};
  n.job.plan.wipe = {"*"};
  const auto out = n.unpack({{"hasup", "a"}, {".hasup2", "b"}, {"\u0434\u043e\u043c", "c"}, {"A", "d"}, {"a", "e"}});
  INFO(out.error);
  REQUIRE(out.ok());
  for (const auto* name : {"hasup", ".hasup2", "\u0434\u043e\u043c", "A", "a"}) CHECK(there(n.staged(name)));
}

TEST_CASE("an archive that grows far beyond what was announced is bad, by the entry's name", "[unpack]") {
  node n;
  n.job.chosen->snapshots[0].unpacked = 10;
  const std::string noise(40'000'000, 'x');
  auto out = n.unpack({{"state/a", noise}});
  CHECK(out.ok());  // what is small anyway may be announced wrongly
  out = n.unpack({{"state/a", noise}, {"state/b", noise}});
  CHECK(out.failure == worker_failure::bad_snapshot);
  CHECK(out.error.find("\"state/b\" makes it grow beyond the 10B that were announced") != std::string::npos);
  CHECK_FALSE(n.is_staged());
}

TEST_CASE("a single leading directory goes away unless it is one of the data directory's own", "[unpack]") {
  node n;
  REQUIRE(n.unpack({{"backup-7/state/a", "a"}, {"backup-7/keys/k", "k"}}).ok());
  CHECK(get(n.staged("state/a")) == "a");
  CHECK_FALSE(there(n.staged("keys")));
  REQUIRE(n.unpack({{"state/a", "b"}}).ok());
  CHECK(get(n.staged("state/a")) == "b");
  n.use("a.tar", model::unpack_mode::archive, "", "state");
  REQUIRE(n.unpack({{"state/x", "c"}}).ok());
  CHECK(get(n.staged("state/x")) == "c");
  put(n.dir() + "/state/inner/live", "live");
  REQUIRE(n.unpack({{"inner/x", "d"}}).ok());
  CHECK(get(n.staged("state/inner/x")) == "d");
  n.job.plan.archives[0].strip = false;
  n.job.plan.archives[0].into = ".";
  CHECK(n.unpack({{"backup-7/state/a", "a"}}).failure == worker_failure::bad_snapshot);
  n.use("a.tar", model::unpack_mode::archive, "", "elsewhere");
  CHECK(n.unpack({{"x", "c"}}).failure == worker_failure::refused);
}

TEST_CASE("an archive that is cut off anywhere is bad, even between two entries", "[unpack]") {
  node n;
  const std::string tar = n.cached();
  make_tar(tar, {{"state/a", std::string(1000, 'a')}, {"state/b", std::string(1000, 'b')}});
  const auto whole = get(tar);
  REQUIRE(n.unpack().ok());
  const std::string suffix = GENERATE("", ".zst", ".gz", ".xz");
  std::string packed = whole;
  if (!suffix.empty()) {
    run((suffix == ".zst" ? "zstd -q -f " : suffix == ".gz" ? "gzip -k -f " : "xz -k -f ") + tar);
    packed = get(tar + suffix);
  }
  n.use("a.tar" + suffix);
  put(n.cached(), packed);
  REQUIRE(n.unpack().ok());
  CHECK(get(n.staged("state/b")) == std::string(1000, 'b'));
  // For the plain file: inside a header, at the end of a header, in the data, exactly between two entries.
  const std::vector<std::size_t> cuts =
      suffix.empty() ? std::vector<std::size_t>{100, 512, 700, 1536, 1700, 3072}
                     : std::vector<std::size_t>{1, packed.size() / 2, packed.size() - 9, packed.size() - 1};
  for (const auto cut : cuts) {
    put(n.cached(), packed.substr(0, cut));
    const auto out = n.unpack();
    INFO(suffix << " cut at " << cut << ": " << out.error);
    CHECK(out.failure == worker_failure::bad_snapshot);
    CHECK_FALSE(n.is_staged());
  }
  if (suffix.empty()) return;
  auto flipped = packed;
  flipped[packed.size() / 2] = static_cast<char>(~flipped[packed.size() / 2]);
  put(n.cached(), flipped);
  CHECK(n.unpack().failure == worker_failure::bad_snapshot);
}

TEST_CASE("a single compressed file is decompressed, an uncompressed one is linked", "[unpack]") {
  node n;
  const std::string text = "snapshot " + std::string(3'000'000, 's');
  put(n.dir() + "/.hasup/cache/snap.bin", text);
  n.use("snap.bin", model::unpack_mode::decompress, "snapshot");
  auto out = n.unpack();
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(out.archive_paths.at("snapshot") == n.dir() + "/.hasup/staging/archives/snapshot/snap.bin");
  CHECK(inode(out.archive_paths.at("snapshot")) == inode(n.cached()));
  const std::string tool = GENERATE("zstd -q -f --long=31 --ultra -22", "xz -k -f", "gzip -k -f");
  run(tool + " " + n.dir() + "/.hasup/cache/snap.bin");
  const auto suffix = tool[0] == 'z' ? ".zst" : tool[0] == 'x' ? ".xz" : ".gz";
  n.use(std::string("snap.bin") + suffix, model::unpack_mode::decompress, "snapshot");
  out = n.unpack();
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(out.archive_paths.at("snapshot")) == text);
  CHECK(out.bytes == text.size());
  n.use(std::string("snap.bin") + suffix, model::unpack_mode::decompress, "", "state");
  REQUIRE(n.unpack().ok());
  CHECK(get(n.staged("state")) == text);
  n.use(std::string("snap.bin") + suffix, model::unpack_mode::none, "", "state");
  REQUIRE(n.unpack().ok());
  CHECK(get(n.staged("state")) == get(n.cached()));
  CHECK(inode(n.staged("state")) != inode(n.cached()));
}

TEST_CASE("zstd windows beyond libarchive's limit are read", "[unpack]") {
  node n;
  // 300 MiB apart: the match that --long=31 finds needs a window above 128 MiB.
  run("cd " + n.dir() +
      "/.hasup/cache && head -c 2000000 /dev/urandom >r && truncate -s 300M z && cat r z r >snap.bin && "
      "rm r z && zstd -q -1 --long=31 snap.bin");
  n.use("snap.bin.zst", model::unpack_mode::decompress, "snapshot");
  const auto out = n.unpack();
  INFO(out.error);
  REQUIRE(out.ok());
  const auto path = out.archive_paths.at("snapshot");
  run("cmp " + path + " " + n.dir() + "/.hasup/cache/snap.bin");
  CHECK(blocks_of(path) < 16U << 20U);  // the zeros became a hole
}

TEST_CASE("sparse regions and runs of zeros stay holes", "[unpack]") {
  node n;
  run("cd " + n.dir() +
      " && mkdir state && truncate -s 20M state/sparse && "
      "printf end | dd of=state/sparse bs=1 seek=15000001 conv=notrunc status=none && "
      "head -c 3000000 /dev/zero >state/zeros && tar -S -cf .hasup/cache/a.tar state");
  const auto out = n.unpack();
  INFO(out.error);
  REQUIRE(out.ok());
  run("cmp " + n.dir() + "/state/sparse " + n.staged("state/sparse"));
  run("cmp " + n.dir() + "/state/zeros " + n.staged("state/zeros"));
  CHECK(blocks_of(n.staged("state/sparse")) < 200'000U);
  CHECK(blocks_of(n.staged("state/zeros")) < 200'000U);
}

TEST_CASE("an entry that is larger than a file can be is hostile, and no full disk", "[unpack]") {
  node n;
  struct statfs fs {};
  REQUIRE(::statfs(n.dir().c_str(), &fs) == 0);
  if (fs.f_type != EXT4_SUPER_MAGIC) return;  // others take a file of any size
  put(n.dir() + "/make.py", R"py(
import io, sys, tarfile
with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as tar:
    entry = tarfile.TarInfo("state/GNUSparseFile.0/big")
    entry.size = 1024
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "state/big",
                         "GNU.sparse.realsize": str(1 << 62)}
    tar.addfile(entry, io.BytesIO(b"1\n0\n512\n".ljust(512, b"\0") + b"x" * 512))
)py");
  run("python3 " + (n.dir() + "/make.py") + " " + n.cached());
  const auto out = n.unpack();
  CHECK(out.failure == worker_failure::bad_snapshot);
  CHECK(out.error.find("entry \"state/big\" is larger than a file can be here") != std::string::npos);
}

TEST_CASE("unpacking begins anew after a kill, and refuses once a swap has begun", "[unpack]") {
  node n;
  put(n.staged("state/leftover"), "half");
  put(n.dir() + "/.hasup/staging/staged.json", "{\"plan\":\"p\",\"archive_paths\":{}}");
  REQUIRE(n.unpack({{"state/a", "a"}}).ok());
  CHECK_FALSE(there(n.staged("state/leftover")));
  put(n.dir() + "/.hasup/swap.json",
      R"({"version":1,"phase":"swapped","plan":"p","wipe":[],"keep":[],"shared":[],"made_dirs":[],"entries":[]})");
  CHECK(n.unpack({{"state/a", "b"}}).failure == worker_failure::refused);
  CHECK(get(n.staged("state/a")) == "a");
}

TEST_CASE("a cached archive that was changed since it was verified is not used", "[unpack]") {
  node n;
  REQUIRE(n.unpack({{"state/a", "a"}}).ok());
  put(n.cached(), get(n.cached()) + "x");
  snapshot::job_control control;
  CHECK(snapshot::unpack(n.job, control).failure == worker_failure::internal);
}

TEST_CASE("too little space is a refusal with numbers, and a full disk is no bad snapshot", "[unpack]") {
  node n;
  n.job.min_free = UINT64_MAX;
  auto out = n.unpack({{"state/a", "a"}});
  CHECK(out.failure == worker_failure::no_space);
  CHECK(out.error.find("free") != std::string::npos);

  temp_tree small;
  if (::geteuid() != 0 || ::mount("none", small.path().c_str(), "tmpfs", 0, "size=4m") != 0) return;
  {
    node full(small / "node");
    out = full.unpack({{"state/a", std::string(900'000, 'a')}});
    CHECK(out.ok());
    std::string noise(1'300'000, 'x');
    out = full.unpack({{"state/a", noise}, {"state/b", noise}});
    CHECK(out.failure == worker_failure::no_space);
    CHECK(out.error.find("at entry \"state/b\"") != std::string::npos);
    CHECK_FALSE(full.is_staged());
  }
  CHECK(::umount(small.path().c_str()) == 0);
}

TEST_CASE("entry paths and link targets are judged by text alone", "[unpack]") {
  using namespace hasup::snapshot;
  CHECK(*clean_entry_path("./a//b/") == "a/b");
  CHECK((*clean_entry_path("./")).empty());
  CHECK_FALSE(clean_entry_path("/a").has_value());
  CHECK_FALSE(clean_entry_path("a/../b").has_value());
  CHECK(link_stays_inside("a/b", "../c"));
  CHECK_FALSE(link_stays_inside("a/b", "../../c"));
  CHECK_FALSE(link_stays_inside("a", ".."));
  CHECK_FALSE(link_stays_inside("a", "/c"));
  CHECK(without_compression_suffix("a.bin.zst") == "a.bin");
  CHECK(without_compression_suffix("a.bin") == "a.bin");
}
