// The state of a recovery: what the journal holds, and what is being waited for right now.
//
//   quiescing → inspecting → selecting → measuring → fetching → unpacking → (asking →) swapping → (rewiping →)
//   starting
//      → first_run → confirming → cleaning → ended(recovered)
//   pausing{then}: between two tries of a step      cancelling: a worker was told to stop, before the swap
//   stopping_node{then} → quiescing/rolling_back → the next candidate | ended
//   Beside a node that runs (options.beside): (measuring →) selecting → … → unpacking → (asking →) quiescing →
//   inspecting → swapping
//   taking_up: a worker of an earlier hasupd is waited for → dropped, unpacked, or inspecting as ever
//   looking: beyond the swap, when it is taken up and before the node is started once more → where the journal is
//   undoing_leftover: a swap whose journal is lost is rolled back before anything else
//   awaiting_head: its head stood still, and what it is under this hasupd is not known yet → quiescing, or ended,
//   also when nobody hears of it
//   Of a group (group.hpp): … → gathering → measuring …, and … → unpacking → gathering → …
//   In place (space_plan.hpp): … → fetching → (asking →) (quiescing → inspecting →) wiping_now → unpacking → …
//   Units that read the data are down only while it is touched: the quiescing right before swapping, or wiping_now,
//   takes them down, until it is confirmed or rolled back.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "recovery/action.hpp"
#include "recovery/event.hpp"
#include "recovery/group.hpp"
#include "recovery/progress.hpp"
#include "recovery/space_plan.hpp"

namespace hasup::recovery {

// A step that can be tried again after a pause.
enum class step { look, inspect, select, fetch, unpack, wipe, swap, rewipe, start, roll_back };

struct idle {};
struct quiescing {};
struct inspecting {};
struct looking {};  // beyond the swap: is the data there, and nobody else at it (data_look.hpp)
struct undoing_leftover {
  bool confirmed = false;  // it was good, and only the deletion of what it replaced was not finished
};
struct selecting {};
struct measuring {};
struct taking_up {  // a worker of an earlier hasupd fetches or unpacks
  bool beside = false;
};
struct fetching {};
struct unpacking {};
struct wiping_now {};
struct swapping_now {};
struct rewiping {};
struct starting {};  // start_node was called, the node does not run yet
struct asking {};
// The node runs, from its start until the end of confirm; progress.at says whether it is loaded.
struct running {
  bool startup_passed = false;
  bool healthy = false;
  std::optional<std::uint64_t> base;        // the head that must be passed to be loaded
  std::optional<std::uint64_t> last;        // the highest head seen
  base::mono_time last_advance;             // or when waiting for one began
  std::optional<base::mono_time> answered;  // when it said its head last, whether higher or not
  bool stands = false;                      // it answers, its head stands still, and perhaps those of all
  std::optional<base::mono_time> told_at;   // of that, last
  std::optional<base::mono_time> since;     // confirming since
};
struct cleaning {
  bool worker_busy = true;
  bool cleaned = false;
  bool node_up = true;
  bool node_starting = false;
  bool pausing = false;  // before it is started once more
  bool told = false;     // that others are waited for
};
struct rolling_back_now {};
struct pausing {
  step then = step::select;
};
struct stopping_node {
  bool park = false;  // else roll back, as the journal says
};
struct cancelling {};
// The replacement is ready, and nobody has asked the node for its head since the recovery was taken up.
struct awaiting_head {};
struct gathering {};  // waits for others of the group; done.at says at which point
struct ended {
  outcome how = outcome::recovered;
};

using activity =
    std::variant<idle, quiescing, inspecting, looking, undoing_leftover, selecting, measuring, taking_up, fetching,
                 unpacking, wiping_now, swapping_now, rewiping, starting, asking, running, cleaning, rolling_back_now,
                 pausing, stopping_node, cancelling, awaiting_head, gathering, ended>;

// The units that read the data, as this recovery has left them.
enum class readers_of_data {
  unknown,   // an earlier hasupd, or a recovery that deleted the data, may have kept them down
  released,  // they run as they are wanted to
  down       // and kept from starting
};

struct state {
  progress done;
  memory remembered;
  activity now = idle{};
  unsigned tries = 0;                        // of the step that is being repeated
  bool source_is_down = false;               // a whole round of tries was in vain: further candidates get one each
  unsigned environment_exits = 0;            // of the current candidate's node, in a row
  std::optional<base::mono_time> first_try;  // of the current candidate's node; later by what it had to wait since
  bool to_take_up = false;                   // taken up: a worker may still be at it
  bool head_unknown = false;                 // beside a node whose head stood still: whether it still does
  bool head_passed = false;                  // it does not, and its recovery is not called off yet
  bool node_given = false;                   // options.beside: the node has ended, for it or by itself
  bool to_look = false;                      // taken up: much may have happened to the data since
  std::string waits_for;                     // what the last look found, as told; ""
  base::mono_time waits_since;               // where that is not ""
  readers_of_data readers = readers_of_data::unknown;
  bool inspected = false;                 // with the node down: nobody has the data open, no swap is half done
  bool tainted = false;                   // the node was cut off on state that is not wiped before its next start
  bool wipe_was_tried = false;            // and nobody knows how far it came
  std::optional<ports::warm_set> warm;    // what a prefetch left, until it is looked at
  std::optional<ports::room_found> room;  // as measured, as long as nothing was fetched since
  std::optional<space_need> need;         // of the current candidate, since there was room for it
  std::uint64_t device = 0;               // where that need is
  bool in_place = false;                  // the current candidate's way: the old state is deleted first
  bool archive_ready = false;             // in place: all is here and verified, the deletion comes next
  std::set<unsigned> not_swappable;       // plans that replace what cannot be renamed, as last measured
  unsigned without_room = 0;              // so many candidates in a row did not fit
  std::string sum;                        // of the current candidate, for a person; "" = not measured
  bool stop = false;                      // a person wants the unit down
  bool stop_by_force = false;             // and does not wait for the first new block
  std::vector<member_view> others;        // of the group, as last seen
  bool others_seen = false;               // at least once since it began or was taken up
  bool confirmed_by_itself = false;       // the node that runs; the group has to be as well
  std::string abandoned;                  // why it is being stopped for the group's sake; ""
  std::string gave_up_on;                 // see member_view
  std::string gave_up_why;
};

template <class T>
bool is(const state& s) {
  return std::holds_alternative<T>(s.now);
}

// Phase for status (section 7 of the design); "" when no recovery is under way.
std::string_view phase_of(const state& s);

// While the node, or an import, runs: what is still waited for. Nothing in any other step.
struct outlook {
  std::optional<std::uint64_t> head;           // the highest seen
  std::optional<base::mono_time> confirms_at;  // the head must go on advancing until then
  std::optional<base::mono_time> gives_up_at;  // without a further advance, or an end of the import, by then
  bool stands = false;                         // the head stands still, and only others that advance end the waiting
};
outlook outlook_of(const state& s);

// What it, or its node, will still write on the file system `device`: not free for others. Not known any more after a
// restart of the daemon beyond `staged`; too much while a worker of an earlier one goes on, whose `device` is 0: that
// of the data directory.
struct room_promised {
  std::uint64_t device = 0;
  std::uint64_t bytes = 0;
};
std::optional<room_promised> promised_room(const state& s, const ports::worker_progress& progress);

// Is the restored node good, and does it run? What requires it may start on it, though the recovery goes on: it
// deletes the old state, or waits for others of its group.
bool serves(const state& s);

// May the recovery be thrown away, because nothing of it has touched the data?
bool before_swap(const state& s);

}  // namespace hasup::recovery
