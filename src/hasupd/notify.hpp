// Tells systemd how the daemon is: the datagram protocol of sd_notify(3).
#pragma once

#include <string>

namespace hasup::hasupd {

// "READY=1\nSTATUS=…" to $NOTIFY_SOCKET; nothing happens when that is not set.
void notify(const std::string& state);

}  // namespace hasup::hasupd
