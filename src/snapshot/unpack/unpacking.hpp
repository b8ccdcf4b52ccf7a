// Stages the archives of a plan: what both the ordinary job and the one beside a download do.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "snapshot/cache_seal.hpp"
#include "snapshot/data_tree.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/unpack/archive_reader.hpp"
#include "snapshot/unpack/checked_entry.hpp"
#include "snapshot/unpack/sparse_writer.hpp"
#include "snapshot/wipe_rules.hpp"

namespace hasup::snapshot {

// Where the archives come from, one after the other.
class archive_supply {
 public:
  archive_supply() = default;
  archive_supply(const archive_supply&) = delete;
  archive_supply& operator=(const archive_supply&) = delete;
  virtual ~archive_supply() = default;

  struct given {
    archive_file file;  // lives until the next is asked for
    std::uint64_t size = 0;
  };
  virtual outcome<given> open(std::size_t index, const model::snapshot& s) = 0;
};

// The seal of a whole archive of the cache.
outcome<cache_seal> sealed_archive(const data_tree& tree, const model::snapshot& s);

class from_cache : public archive_supply {
 public:
  explicit from_cache(const data_tree& tree) : tree_(tree) {}
  outcome<given> open(std::size_t index, const model::snapshot& s) override;

 private:
  const data_tree& tree_;
  base::unique_fd fd_;
};

class unpacking {
 public:
  struct options {
    std::string place = "staging";  // below .hasup: where new/, archives/ and unpack/ are made
    std::size_t memory = archive_reader::options{}.memory;
    std::function<std::uint64_t()> spoken_for{};  // bytes on the disk that are not to be used
  };

  unpacking(const ports::worker_job& job, job_control& control, const data_tree& tree, wipe_rules rules, options o);

  // Whether the job can be done at all.
  [[nodiscard]] outcome<void> check() const;
  [[nodiscard]] outcome<void> check_space() const { return guard_.check(); }
  outcome<void> make_places();
  // All archives, until all that came out of them is on the disk and nothing is missing. What failed names its
  // archive.
  outcome<void> run(archive_supply& supply);

  [[nodiscard]] std::uint64_t bytes() const { return guard_.logical(); }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] const std::map<std::string, std::string>& archive_paths() const { return archive_paths_; }
  // Entries of the data directory that decided something, and whether they are there.
  [[nodiscard]] const std::map<std::string, bool>& in_data() const { return in_data_; }

 private:
  archive_reader::options reading() const;
  [[nodiscard]] std::string in_new(std::string_view path) const { return joined(options_.place + "/new", path); }
  std::string in_archives(const std::string& as, const std::string& file);
  outcome<void> one(const model::archive_spec& spec, const model::snapshot& s, std::size_t index,
                    archive_supply& supply);
  outcome<void> archive(const model::archive_spec& spec, const model::snapshot& s, const archive_file& file,
                        std::size_t index);
  outcome<void> single(const model::archive_spec& spec, const model::snapshot& s, const archive_file& file);
  outcome<void> decompress(archive_reader& reader, const std::string& target);
  outcome<void> copy(const model::archive_spec& spec, const model::snapshot& s, const archive_file& file,
                     const std::string& target);
  outcome<bool> share(const model::archive_spec& spec, const model::snapshot& s, const archive_file& file,
                      const std::string& target);
  outcome<base::unique_fd> create(const std::string& target);
  outcome<std::string> leading_dir(const model::archive_spec& spec, const std::string& scratch) const;
  [[nodiscard]] outcome<void> check_complete() const;
  [[nodiscard]] bool holds_a_volume(const std::string& path) const;
  [[nodiscard]] outcome<void> check_volumes(const std::string& below, const std::string& name) const;
  bool belongs(const model::archive_spec& spec, const std::string& top) const;
  outcome<void> move_into_new(const model::snapshot& s, const std::string& from);
  outcome<void> move_whole(const std::string& from, const std::string& to, const model::snapshot& s);
  admission admit(const model::archive_spec& spec, const std::string& path) const;

  const ports::worker_job& job_;
  job_control& control_;
  const data_tree& tree_;
  wipe_rules rules_;
  options options_;
  space_guard guard_;
  disk disk_;
  std::vector<char> buffer_;
  std::vector<std::string> notes_;
  std::map<std::string, std::string> archive_paths_;
  mutable std::map<std::string, bool> in_data_;
};

}  // namespace hasup::snapshot
