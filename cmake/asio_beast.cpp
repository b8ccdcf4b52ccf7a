// The one place where the bodies of Boost.Asio (without TLS) and Boost.Beast are compiled.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
