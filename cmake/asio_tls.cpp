// The one place where the bodies of Boost.Asio's TLS are compiled: a library of its own, so that only programs that
// speak TLS load OpenSSL, which takes longer than all else that `hasup status` does.
#include <boost/asio/ssl/impl/src.hpp>
