#include "model/unit.hpp"

namespace hasup::model {

std::string shown_name(const unit& u) {
  return u.instances > 1 ? to_text(u.id) : u.id.unit;
}

std::string log_file_name(const unit& u) {
  return shown_name(u) + ".log";
}

}  // namespace hasup::model
