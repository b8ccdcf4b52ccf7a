# What is installed where, and the target `programs`: everything that a running hasup needs, without the tests.
include(GNUInstallDirs)

add_custom_target(programs)
foreach(program hasup hasup-probe hasupd hasup-shim hasup-worker hasup-worker-fetch hasup-worker-unpack hasup-worker-pack
        hasup-worker-logs hasup-demo-node)
  if(TARGET ${program})
    add_dependencies(programs ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

install(DIRECTORY recipes units DESTINATION ${CMAKE_INSTALL_DATADIR}/hasup FILES_MATCHING PATTERN "*.toml" PATTERN "*.template")
if(EXISTS ${CMAKE_SOURCE_DIR}/docs/man)
  foreach(section 1 5 8)
    file(GLOB pages ${CMAKE_SOURCE_DIR}/docs/man/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endforeach()
endif()

# The systemd units name the programs where they are installed, which is known only then (cmake --install --prefix).
set(install_services [[
  foreach(service hasupd hasup-nodes hasup-shutdown)
    file(READ "@CMAKE_SOURCE_DIR@/packaging/${service}.service" text)
    string(REPLACE "=/usr/bin/" "=${CMAKE_INSTALL_PREFIX}/@CMAKE_INSTALL_BINDIR@/" text "${text}")
    file(WRITE "@CMAKE_BINARY_DIR@/systemd/${service}.service" "${text}")
    file(INSTALL "@CMAKE_BINARY_DIR@/systemd/${service}.service"
         DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
  endforeach()
]])
string(CONFIGURE "${install_services}" install_services @ONLY)
install(CODE "${install_services}")
