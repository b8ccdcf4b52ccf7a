// How https and wss checks know a server and show who they are; made at the first such check, because it is large.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <map>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "model/probe.hpp"

namespace hasup::probe {

class tls_contexts {
 public:
  // One for all checks with the same files. It is made anew once a file has changed: certificates are renewed under a
  // node that goes on. Valid until the next call.
  base::result<boost::asio::ssl::context*> of(const model::check& c);

 private:
  struct made {
    std::string stamp;  // of the files as they were
    std::unique_ptr<boost::asio::ssl::context> context;
  };
  std::map<std::string, made> all_;  // by the names of the files
};

}  // namespace hasup::probe
