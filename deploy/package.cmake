# What is installed, and the Debian package of it (cpack -G DEB in the build folder).
include(GNUInstallDirs)

install(FILES deploy/kennel.service deploy/kennel.socket DESTINATION lib/systemd/system)
install(FILES deploy/kennel.conf DESTINATION /etc/kennel)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
# What pipelines call: the steps, where their YAML looks for them.
install(DIRECTORY deploy/pipelines/steps/ DESTINATION share/kennel/pipelines USE_SOURCE_PERMISSIONS)
install(DIRECTORY deploy/pipelines DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN steps EXCLUDE)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

# Completion and the pages of the two programs are made by the programs themselves.
foreach(shell bash zsh)
  add_custom_command(OUTPUT kennel.${shell} COMMAND kennel completion ${shell} > kennel.${shell} DEPENDS kennel VERBATIM)
  list(APPEND documents ${CMAKE_BINARY_DIR}/kennel.${shell})
endforeach()
install(FILES ${CMAKE_BINARY_DIR}/kennel.bash DESTINATION share/bash-completion/completions RENAME kennel)
install(FILES ${CMAKE_BINARY_DIR}/kennel.zsh DESTINATION share/zsh/vendor-completions RENAME _kennel)

find_program(HELP2MAN help2man)
if(HELP2MAN)
  add_custom_command(OUTPUT kennel.h2m
    COMMAND ${CMAKE_SOURCE_DIR}/deploy/man/commands.sh $<TARGET_FILE:kennel> ${CMAKE_SOURCE_DIR}/deploy/man/kennel.h2m
      > kennel.h2m
    DEPENDS kennel deploy/man/kennel.h2m deploy/man/commands.sh VERBATIM)
  foreach(page kenneld.8 kennel.1)
    get_filename_component(program ${page} NAME_WE)
    string(REGEX REPLACE "^.*[.]" "" section ${page})
    set(include ${CMAKE_SOURCE_DIR}/deploy/man/${program}.h2m)
    if(program STREQUAL kennel)
      set(include ${CMAKE_BINARY_DIR}/kennel.h2m)
    endif()
    add_custom_command(OUTPUT ${page}
      COMMAND ${HELP2MAN} --no-info --section=${section} --include=${include} --output=${page}
        $<TARGET_FILE:${program}>
      DEPENDS ${program} ${include} VERBATIM)
    list(APPEND documents ${CMAKE_BINARY_DIR}/${page})
    install(FILES ${CMAKE_BINARY_DIR}/${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endforeach()
endif()
install(FILES deploy/man/kennel.conf.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
add_custom_target(documents ALL DEPENDS ${documents})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME kennel)
set(CPACK_PACKAGE_VENDOR Kennel)
set(CPACK_PACKAGE_CONTACT "Kennel <kennel@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "retrains, versions and serves image classifiers on the CPU")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/deploy/debian/conffiles ${CMAKE_SOURCE_DIR}/deploy/debian/postinst
  ${CMAKE_SOURCE_DIR}/deploy/debian/prerm ${CMAKE_SOURCE_DIR}/deploy/debian/postrm)
set(CPACK_STRIP_FILES ON)
include(CPack)
