// Reads the node's two pipes, cuts what comes into lines, and hands them to the evidence ring and the line queue.
//
// The node must not feel the log's disk. When the queue is full, reading pauses while the writer catches up, which is
// what any pipe does to a writer: until half of the queue is free, but for 250 ms at most when the writer does not
// get on at all, and for a second when it does. After that the disk counts as stalled or far too slow: whole lines
// are dropped and counted, and four times the length of that pause passes before the next one.
#pragma once

#include "base/unique_fd.hpp"
#include "shim/evidence_ring.hpp"
#include "shim/line_queue.hpp"
#include "shim/log_writer.hpp"

namespace hasup::shim {

class output_reader {
 public:
  output_reader(evidence_ring& evidence, line_queue& queue);

  // Read ends, non-blocking. Either may be empty.
  void begin(base::unique_fd out, base::unique_fd err);
  // One of them later, or again; an empty one changes nothing.
  void attach(output stream, base::unique_fd fd);
  [[nodiscard]] bool has(output stream) { return static_cast<bool>(at(stream).fd); }
  // The descriptor of a stream while it wants to be polled, else -1.
  [[nodiscard]] int poll_fd(output stream);
  void read_some(output stream);
  // Takes what is in the pipes right now and no more, so that it ends even if something goes on writing. Lines
  // without an end are closed.
  void drain();
  void end();

  // When poll must come back for the pause to end, in monotonic ms; 0: no need.
  [[nodiscard]] uint64_t deadline() const { return pause_ends_ms_; }
  void on_room();
  void on_deadline(uint64_t now_ms);

 private:
  struct stream_state {
    base::unique_fd fd;
    char* pending = nullptr;  // the beginning of a line whose end has not come
    size_t pending_length = 0;
    bool parted = false;      // parts of this line were handed on
    bool skipping = false;    // the rest of this line is dropped
    bool must_close = false;  // a parted line lost its end: an empty last part is due
  };

  void give_memory_back(size_t got);
  void wait_for_room();
  bool may_read();
  size_t read_chunk(output stream, size_t limit);
  void take(output stream, const char* data, size_t length);
  void collect(output stream, const char* data, size_t length);
  void finish_line(output stream, const char* rest, size_t length);
  void hand_on(output stream, piece kind, const char* first, size_t first_length, const char* second,
               size_t second_length);
  void close_pending(output stream);
  void mark_gap();
  stream_state& at(output stream) { return streams_[static_cast<size_t>(stream)]; }

  evidence_ring& evidence_;
  line_queue& queue_;
  stream_state streams_[2];
  char* scratch_;
  size_t since_let_go_ = 0;
  int64_t read_at_ns_ = 0;
  uint64_t pause_ends_ms_ = 0;
  uint64_t pause_began_ms_ = 0;
  uint64_t taken_before_ = 0;
  uint64_t no_pause_before_ms_ = 0;
  uint64_t gap_ = 0;  // dropped lines of which the writer does not know yet
  bool dropping_ = false;
};

}  // namespace hasup::shim
