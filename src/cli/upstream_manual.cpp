// Roff of hasup-upstream.5: roles that several servers can fill. Its examples are loaded by a test.
#include "cli/manuals.hpp"
#include "cli/roff.hpp"

namespace hasup::cli {
namespace {

constexpr std::string_view intro = R"(.\" Made from the table of keys in config/schema; a test compares both.
.TH HASUP-UPSTREAM 5 "" "hasup" "hasup"
.SH NAME
hasup-upstream \- upstreams of hasup: which of several servers a unit uses
.SH SYNOPSIS
.I upstreams/NAME.toml
in the configuration directory, or
.B [upstream.NAME]
in a unit
.SH DESCRIPTION
An upstream is a role that several servers can fill, such as the leap of an eos-evm-node. hasupd asks each of its
endpoints how it is, takes one, and fills it into the units that name it. One of a file is shared by all units that
name it; one that stands in a unit is for that unit alone.
.PP
.B ${upstream.NAME.KEY}
is that key of the chosen endpoint. It can stand in the commands and the environment of
.BR [run] ,
in
.BR directory ,
in
.B [vars]
and in the probes.
.B ${upstream.NAME.KEYs}
is that key of all endpoints, whichever is chosen, with
.B join
between them.
.SS Choice
Nothing is taken before one endpoint is healthy and the others have answered or had their time. The chosen one is left
at once when it is unhealthy and another one is not. One that is healthy is left only as
.B switch
says, so that two that take turns by a block cause no switch. When none is healthy, nothing changes.
.PP
Heads of two chains are not to be compared. Presets
.BR antelope ", " antelope\-synced " and " evm\-chain
take
.BR chain_id :
an endpoint of another chain is unhealthy then.
.SS DNS names
An endpoint with
.B dns
in place of a host stands for every address that the name has, IPv4 ones, or IPv6 ones when it has no others: each is
an endpoint, whose host and name are the address, in brackets when it is one of IPv6, as URLs have it. They stand
sorted. An address that has two names, or is written as a host too, is one endpoint; of one name 8
addresses are used: those that are known stay, and another one joins when there is room. The other keys beside it,
such as a port, are those of each.
.PP
hasupd asks for the addresses every
.B resolve_every
by the machine's name service (getaddrinfo), on a thread of their own. An answer that fails, if only for IPv4, or is
empty changes nothing. An address that is in no answer for
.B keep_address_for
is no endpoint any more; if it is the chosen one, it is left as an unhealthy one is. An address that joins restarts
nothing, and what is known of the others stays. The addresses are kept over a restart of hasupd and of the machine, so
that it comes up without DNS too;
.B hasup apply
asks first for names that are new; what runs with an address that stood in the file keeps it until its name is found.
While none is known, units wait, and
.B hasup upstream
says why. A unit that lists all addresses by
.B ${upstream.NAME.hosts}
is another one when they differ: with
.B on_change
= restart it is restarted, as after a switch, else it takes them with its next start; it waits for an endpoint as one
does that names
.BR ${upstream.NAME.host} .
.SS Units
A start of a unit that names an upstream in a string, or in
.BR [[requires]] ,
waits until the chosen endpoint is healthy; what runs keeps the endpoint it was started with. After a switch the units
that run with the old one are restarted, instance by instance, unless
.B on_change
says
.BR keep ,
the unit is in maintenance or is being recovered; then that follows. The choice is kept over a restart of hasupd and
of the machine.
.SS Left endpoints
A class of a recipe with
.B action = \(dqnext_endpoint\(dq
(see
.BR hasup-recipe (5))
says that a unit ended because of the endpoint that it ran with, however well that answers the probe. This unit, each
instance for itself, then leaves it for
.BR leave_for :
it is started again, after the backoff of its
.BR [restart] ,
with another healthy one: the furthest, or with
.B select = \(dqpriority\(dq
the first in the file. One that is avoided is taken only when nothing else is healthy. When all have been left, the
one of longest ago is taken, so that they take turns until
.B start_limit
ends it. With one endpoint alone it is a restart like any.
.PP
Others go on with the endpoint. A unit that runs with another one than the chosen one keeps it while it is healthy,
also when the role switches; nothing is restarted when
.B leave_for
is over, only the next start may take the endpoint again. What was left survives hasupd. It is shown by
.BR "hasup upstream" ;
.B hasup reset UNIT
forgets it.
.SS Proxies
A unit that is nginx or HAProxy has
.BR [proxy] :
the list of its servers are the endpoints that are healthy, not avoided, and not behind the furthest one by more than
.B max_behind
and
.BR max_blocks_behind ;
the chosen one stands first, the others in the order of the file. hasupd makes it of a template, has the proxy check
it, and only then puts it in use and tells the proxy. An endpoint that is no good leaves at once and comes back after
.BR back_after ;
when none is good the list stays as it is. What the proxy refuses is told in an event with its words, and the one
before stays in use. It is made before the first start too, which waits for an endpoint that can be listed; while the
unit is in maintenance nothing is written. See
.BR hasup-unit (5).
.PP
.B hasup upstream
shows all of it, and
.B hasup upstream avoid
keeps an endpoint from being taken while it is worked on.
.SH EXAMPLE
)";

constexpr std::string_view upstream_example = R"(# upstreams/leap.toml
select = "best_head"
switch = { behind = "10s", for = "30s", min_dwell = "5m" }
on_change = "restart"

[probe]
kind = "http"
url = "http://${endpoint.host}:8888/v1/chain/get_info"
head = { number = "/head_block_num", time = "/head_block_time" }
max_head_age = "10s"

[[endpoint]]
host = "vm11"

[[endpoint]]
host = "vm12"
)";

constexpr std::string_view between = R"(.PP
A unit with it:
)";

constexpr std::string_view unit_example = R"(# units/eos-evm-node.toml
[run]
command = ["/usr/bin/eos-evm-node", "--ship-endpoint", "${upstream.leap.host}:8999"]
)";

constexpr std::string_view more = R"(.PP
One endpoint for each address that a name has:
)";

constexpr std::string_view names_example = R"(# upstreams/leaps.toml
resolve_every = "30s"

[probe]
kind = "http"
url = "http://${endpoint.host}:${endpoint.port}/v1/chain/get_info"
head = { number = "/head_block_num" }

[[endpoint]]
dns = "leaps.internal"
port = 8888
)";

constexpr std::string_view ending = R"(.SH SEE ALSO
.BR hasup (1),
.BR hasup-unit (5),
.BR hasup-probe (5),
.BR hasupd (8)
)";

}  // namespace

std::string upstream_manual() {
  return std::string(intro) + roff_example(upstream_example) + std::string(between) + roff_example(unit_example) +
         std::string(more) + roff_example(names_example) + ".SH KEYS\n" + roff_keys(config::upstream_keys()) +
         roff_not_yet(config::upstream_keys()) + std::string(ending);
}

}  // namespace hasup::cli
