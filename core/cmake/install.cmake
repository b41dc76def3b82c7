# The package that find_package(NuRaft CONFIG) finds. It holds no absolute path and may be moved.
include(CMakePackageConfigHelpers)

# Linked from the objects of the static library, which are position independent.
add_library(shared_lib SHARED $<TARGET_OBJECTS:static_lib>)
add_library(NuRaft::shared_lib ALIAS shared_lib)
set_target_properties(shared_lib PROPERTIES OUTPUT_NAME nuraft LINKER_LANGUAGE CXX)
target_include_directories(shared_lib
    INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_link_libraries(shared_lib PUBLIC ${NURAFT_LIBRARIES})

install(TARGETS static_lib shared_lib EXPORT nuraft-targets
    ARCHIVE DESTINATION lib LIBRARY DESTINATION lib RUNTIME DESTINATION bin)
install(DIRECTORY include/libnuraft DESTINATION include FILES_MATCHING PATTERN "*.hxx")
# Apart from the rest: a program that has its own copy of this sample must find that one.
install(FILES samples/in_memory_log_store.hxx DESTINATION include/libnuraft)
install(EXPORT nuraft-targets NAMESPACE NuRaft:: FILE NuRaftTargets.cmake
    DESTINATION lib/cmake/NuRaft)

configure_package_config_file(cmake/NuRaftConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/NuRaftConfig.cmake
    INSTALL_DESTINATION lib/cmake/NuRaft)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/NuRaftConfig.cmake DESTINATION lib/cmake/NuRaft)
