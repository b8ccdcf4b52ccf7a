// The journal of one unit in one file. Durable: `then` of an append is called only after fdatasync.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace hasup::journal {

// Blocking core; used on one thread at a time.
class journal_file {
 public:
  explicit journal_file(std::string path);

  // All whole records, oldest first; none when there is no file. Cuts a torn tail off, durably. Damage or a version
  // of a newer hasup is an error and leaves the file alone.
  base::result<std::vector<std::string>> read_all();
  // Creates the file when there is none. After an error the file holds what it held before, and a further append may
  // be tried (a full disk).
  base::result<void> append(const std::string& record);
  // Deletes the file; fine when there is none.
  base::result<void> clear();
  // Renames the file, whatever it holds, so that a new journal can begin: PATH.damaged, or PATH.damaged.2 and so on
  // where that is taken. The new path; "" when there is no file.
  base::result<std::string> set_aside();

 private:
  base::result<void> open_for_append();
  base::result<void> cut_back();
  base::error not_appended(base::error e);

  std::string path_;
  base::unique_fd file_;
  std::size_t size_ = 0;               // of the whole records
  std::optional<std::size_t> cut_to_;  // what lies behind that is of an append that failed
};

// The same with all file work on the disk executor (which must run one piece of work at a time, as one thread does)
// and all answers on the loop, in the order of the calls. Calls still on their way when this object ends are carried
// out, and answered as long as the loop runs.
class file_journal {
 public:
  file_journal(std::string path, boost::asio::any_io_executor disk, boost::asio::any_io_executor loop);

  void read_all(std::function<void(base::result<std::vector<std::string>>)> then);
  void append(std::string record, std::function<void(base::result<void>)> then);
  void clear(std::function<void(base::result<void>)> then);
  void set_aside(std::function<void(base::result<std::string>)> then);

 private:
  std::shared_ptr<journal_file> file_;
  boost::asio::any_io_executor disk_;
  boost::asio::any_io_executor loop_;
};

}  // namespace hasup::journal
