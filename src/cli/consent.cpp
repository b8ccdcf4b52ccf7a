#include "cli/consent.hpp"

namespace hasup::cli {

consent consent_to(const replacement& r) {
  if (r.said_yes) return consent::given;
  if (!r.on_terminal) return r.asks_later ? consent::given : consent::missing;
  return r.is_fine || r.deletes ? consent::to_be_asked : consent::given;
}

}  // namespace hasup::cli
