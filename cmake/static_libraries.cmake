# Libraries that a program has in itself need not be found, mapped and bound at each of its starts: of the 4 ms that
# `hasup status` took, 3 were that. The headers stay the packages', so nothing is compiled differently; where a package
# has no static library, its bodies are compiled here. OpenSSL, libcurl and libarchive stay shared, because they are
# what security updates are about, and no program that has to start quickly needs them.
function(hasup_link_statically target library)
  get_target_property(type ${target} TYPE)
  find_library(HASUP_STATIC_${library} lib${library}.a)
  mark_as_advanced(HASUP_STATIC_${library})
  if(NOT HASUP_STATIC_${library})
    return()
  endif()
  if(type STREQUAL "INTERFACE_LIBRARY")
    get_target_property(others ${target} INTERFACE_LINK_LIBRARIES)
    list(FILTER others EXCLUDE REGEX "lib${library}\\.so$")
    set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${HASUP_STATIC_${library}};${others}")
  else()
    get_target_property(configurations ${target} IMPORTED_CONFIGURATIONS)
    foreach(configuration ${configurations})
      set_target_properties(${target} PROPERTIES IMPORTED_LOCATION_${configuration} ${HASUP_STATIC_${library}})
    endforeach()
  endif()
endfunction()

hasup_link_statically(Boost::json boost_json)
hasup_link_statically(Boost::url boost_url)
hasup_link_statically(PkgConfig::RE2 re2)
hasup_link_statically(PkgConfig::ZSTD zstd)

# NAME OF: the library of cmake/NAME.cpp, with the headers and definitions of the package's target OF.
function(hasup_compiled_library name of)
  add_library(hasup_${name} STATIC ${CMAKE_SOURCE_DIR}/cmake/${name}.cpp)
  foreach(property INTERFACE_COMPILE_DEFINITIONS INTERFACE_COMPILE_OPTIONS INTERFACE_INCLUDE_DIRECTORIES)
    get_target_property(value ${of} ${property})
    if(value)
      set_property(TARGET hasup_${name} PROPERTY ${property} "${value}")
      string(REPLACE "INTERFACE_" "" own ${property})
      set_property(TARGET hasup_${name} PROPERTY ${own} "${value}")
    endif()
  endforeach()
  set_target_properties(hasup_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(hasup_${name} PRIVATE hasup_sanitizers)
endfunction()

hasup_compiled_library(fmt fmt::fmt)
hasup_compiled_library(toml PkgConfig::TOMLPP)

# For programs whose libraries are all static: the C++ runtime too.
add_library(hasup_quick_start INTERFACE)
if(NOT HASUP_SANITIZE)
  target_link_options(hasup_quick_start INTERFACE -static-libstdc++ -static-libgcc)
endif()
