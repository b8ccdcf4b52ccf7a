#include "model/unit.hpp"

namespace hasup::model {

std::string log_file_name(const unit& u) {
  return (u.instances > 1 ? to_text(u.id) : u.id.unit) + ".log";
}

}  // namespace hasup::model
