# Everything comes from the distribution's packages (packaging/packages.sh lists them); the build downloads nothing.
find_package(Boost 1.81 REQUIRED COMPONENTS json url filesystem)
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Threads REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(date REQUIRED)  # time zones: the standard library of g++ 12 has none
find_package(spdlog REQUIRED)
pkg_check_modules(TOMLPP REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)  # libarchive refuses windows above 128 MiB

# Asio and Beast are compiled once, here, and not in every file that includes them.
add_library(hasup_asio STATIC ${CMAKE_SOURCE_DIR}/cmake/asio_beast.cpp)
target_compile_definitions(hasup_asio PUBLIC BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
                                             BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(hasup_asio PUBLIC Boost::headers Threads::Threads PRIVATE hasup_sanitizers)

add_library(hasup_tls STATIC ${CMAKE_SOURCE_DIR}/cmake/asio_tls.cpp)
target_link_libraries(hasup_tls PUBLIC hasup_asio OpenSSL::SSL OpenSSL::Crypto PRIVATE hasup_sanitizers)

include(cmake/static_libraries.cmake)
