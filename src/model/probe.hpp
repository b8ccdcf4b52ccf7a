// What a probe asks and what it expects, as written in a unit or a preset, all variables and parameters filled in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"

namespace hasup::model {

enum class check_kind { http, jsonrpc, websocket, tcp, exec, log };
inline constexpr base::enum_names<check_kind, 6> check_kind_names{{{{check_kind::http, "http"},
                                                                    {check_kind::jsonrpc, "jsonrpc"},
                                                                    {check_kind::websocket, "websocket"},
                                                                    {check_kind::tcp, "tcp"},
                                                                    {check_kind::exec, "exec"},
                                                                    {check_kind::log, "log"}}}};

enum class time_format { rfc3339, unix, unix_ms };
inline constexpr base::enum_names<time_format, 3> time_format_names{
    {{{time_format::rfc3339, "rfc3339"}, {time_format::unix, "unix"}, {time_format::unix_ms, "unix_ms"}}}};

// Who must own the listening socket of a probe: the unit's own process tree, or anybody.
enum class port_owner { unit, any };
inline constexpr base::enum_names<port_owner, 2> port_owner_names{
    {{{port_owner::unit, "unit"}, {port_owner::any, "any"}}}};

// A condition on one value of a JSON answer. All members that are set must hold. "0x1f" counts as a number; numbers
// that do not fit 64 bits are compared as decimal text of arbitrary length.
struct expectation {
  std::string pointer;                            // JSON pointer, RFC 6901; "" = the whole answer
  std::optional<std::string> equals;              // JSON text: "false", "\"ok\"", "12"
  std::optional<std::string> min;                 // decimal
  std::optional<std::string> max;                 // decimal
  std::optional<std::string> matches;             // RE2, unanchored, on a string value
  std::optional<base::duration> max_age;          // the value is a time not older than this
  time_format time = time_format::rfc3339;        // for max_age
  std::optional<base::duration> advances_within;  // the number grew since it was last seen, at most this long ago

  friend bool operator==(const expectation&, const expectation&) = default;
};

// Where the head of a chain is in the answer; JSON pointers, empty = absent. Of a log check: names of groups.
struct head_pointers {
  std::string number;
  std::string time;
  std::string weight;
  time_format format = time_format::rfc3339;
  std::string chain{};  // which chain it is, where the node says it
  std::string peers{};  // how many it is connected with, likewise

  [[nodiscard]] bool empty() const {
    return number.empty() && time.empty() && weight.empty() && chain.empty() && peers.empty();
  }

  friend bool operator==(const head_pointers&, const head_pointers&) = default;
};

struct check {
  check_kind kind = check_kind::tcp;
  std::string url;     // http, jsonrpc: http://HOST:PORT/PATH, https://…, unix:/path.sock:/PATH; websocket: ws, wss
  std::string method;  // http: GET; jsonrpc: the JSON-RPC method
  std::string params;  // jsonrpc: JSON text of the array or object; "" = []
  std::map<std::string, std::string> headers;
  std::string header_file;         // lines "Name: value", read at each check; keeps tokens out of unit files
  std::string ca_file;             // https, wss: who vouches for the server; "" = whom the system trusts
  std::string client_certificate;  // https, wss: shown to the server; "" = none
  std::string client_key;          // "" = in client_certificate
  std::string body;
  std::string subprotocol;          // websocket: which one the server must agree to; "" = none is asked for
  std::optional<std::string> send;  // websocket: a text message to send; its answer, or what comes first, is awaited
  std::vector<int> status = {200};
  std::string address;                      // tcp: HOST:PORT, [V6]:PORT or unix:/path
  std::vector<std::string> command;         // exec: argv; exit 0 passes
  std::string pattern;                      // log: RE2, unanchored, on each line; groups "head" and "time"
  std::optional<base::duration> max_age;    // log: of the newest line that matches
  std::optional<std::string> body_matches;  // RE2, unanchored, on the whole answer
  std::vector<expectation> expect;
  head_pointers head;
  std::optional<port_owner> owner;  // not set: unit for loopback addresses, any for the rest
  std::string through;              // the unit that answers for this one; "" = it does itself

  friend bool operator==(const check&, const check&) = default;
};

// Somebody else's node, and all that it is asked; it has answered when all of it passed.
struct reference_node {
  std::string name;  // for people and events: a URL without user, password, path and query
  std::vector<check> checks;

  friend bool operator==(const reference_node&, const reference_node&) = default;
};

// Whose heads a node is held against.
struct probe_reference {
  std::vector<reference_node> nodes;  // the furthest counts
  base::duration interval{10'000};    // between two questions to one of them
  base::duration timeout{5'000};      // they are not on this machine

  friend bool operator==(const probe_reference&, const probe_reference&) = default;
};

enum class probe_role { startup, readiness, liveness };
inline constexpr base::enum_names<probe_role, 3> probe_role_names{
    {{{probe_role::startup, "startup"}, {probe_role::readiness, "readiness"}, {probe_role::liveness, "liveness"}}}};

// A probe passes when all its checks pass.
struct probe {
  std::vector<check> checks;
  std::string preset;  // where it came from, for people; "" = inline
  base::duration interval{2000};
  base::duration timeout{1000};                   // of one check
  unsigned failures = 3;                          // in a row until the verdict turns bad
  unsigned successes = 1;                         // in a row until it turns good
  std::optional<base::duration> max_head_age;     // applies to the head of whichever check declares head.time
  std::optional<base::duration> advances_within;  // the head number must grow within this
  std::vector<std::string> needs;                 // "upstream.NAME" and units; not all of them healthy = no verdict
  std::optional<probe_reference> reference;       // with at least one of the two below, which are nothing without it
  std::optional<base::duration> max_behind;       // the time of the own head is at most so much before that of theirs
  std::optional<std::uint64_t> max_blocks_behind;  // the same of the numbers, for nodes of one chain

  [[nodiscard]] bool tells_head() const {
    for (const auto& c : checks)
      if (!c.head.number.empty()) return true;
    return false;
  }

  friend bool operator==(const probe&, const probe&) = default;
};

// A head as it was read.
struct head {
  std::optional<std::uint64_t> number;
  std::optional<base::wall_time> time;
  std::string weight;   // decimal text of any length; "" = none
  std::string chain{};  // as the node names its chain; "" = it was not asked, or does not say
  std::optional<std::uint64_t> peers{};

  friend bool operator==(const head&, const head&) = default;
};

}  // namespace hasup::model
