// May `hasup recover` replace a unit's state as the command line stands? Pure.
#pragma once

namespace hasup::cli {

enum class consent {
  given,
  to_be_asked,  // on the terminal, first
  missing,      // nobody is there to ask, and nobody has said --yes
};

struct replacement {
  bool said_yes = false;
  bool on_terminal = false;  // somebody can answer
  bool asks_later = false;   // hasupd prepares all, and asks before it touches anything: mode ask
  bool is_fine = false;      // the node is healthy, and would be stopped for it
  bool deletes = false;      // the old state is deleted first, with no way back
};

consent consent_to(const replacement& r);

}  // namespace hasup::cli
