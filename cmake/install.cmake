# What `cmake --install` puts where: the library with its headers, the tool, and what find_package and pkg-config need.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tuskv)
install(TARGETS tuskv tuskv_asio EXPORT tuskvTargets FILE_SET HEADERS)
install(EXPORT tuskvTargets NAMESPACE tuskv:: DESTINATION ${package_dir})
if(TARGET tuskv_cli)
  if(BUILD_SHARED_LIBS)
    set_target_properties(tuskv_cli PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  endif()
  install(TARGETS tuskv_cli)
endif()

# A shared library carries what it links; whoever links a static one must link that too (pkg-config --static). What
# stands in Requires.private has to be there even when it is not to be linked.
if(BUILD_SHARED_LIBS)
  set(package_is_static OFF)
  set(pkgconfig_cflags " -DTUSKV_SHARED")
  set(pkgconfig_requires "")
  set(pkgconfig_libs "")
else()
  set(package_is_static ON)
  set(pkgconfig_cflags "")
  set(pkgconfig_requires " absl_btree libxxhash")
  set(pkgconfig_libs " -Wl,-z,nodelete -pthread")
  if(TUSKV_ENCRYPTION)
    string(APPEND pkgconfig_requires " libcrypto")
  endif()
  # Not Requires.private: a static libpq would drag in libraries that come with no development package of it.
  if(TUSKV_POSTGRES)
    string(PREPEND pkgconfig_libs " -lpq")
  endif()
endif()
file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" prefix_from_pc ${prefix_from_pc})
configure_file(cmake/tuskv.pc.in tuskv.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tuskv.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# While the version is 0.x a minor version may break its users.
configure_package_config_file(cmake/tuskvConfig.cmake.in tuskvConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(tuskvConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tuskvConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/tuskvConfigVersion.cmake
  DESTINATION ${package_dir})
