# Tests of what programs that use the library see: its headers and its package.

# Programs may be C++11, and may include any header alone.
if(NOT RAFT3D_SANITIZE)  # They make nothing of headers.
    file(GLOB public_headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/include/libnuraft/*.hxx)
    set(public_header_sources)
    foreach(path ${public_headers})
        get_filename_component(header ${path} NAME)
        set(source ${CMAKE_CURRENT_BINARY_DIR}/public_headers/${header}.cxx)
        # Twice, so that a missing guard shows.
        file(CONFIGURE OUTPUT ${source}
            CONTENT "#include \"libnuraft/@header@\"\n#include \"libnuraft/@header@\"\n" @ONLY)
        list(APPEND public_header_sources ${source})
    endforeach()
    add_library(public_headers OBJECT EXCLUDE_FROM_ALL ${public_header_sources})
    set_target_properties(public_headers PROPERTIES CXX_STANDARD 11 UNITY_BUILD OFF)  # Alone is alone.
    target_compile_options(public_headers PRIVATE -Wall -Wextra -Werror)
    target_include_directories(public_headers PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/include)
    add_test(NAME public_headers_alone_as_cxx11
        COMMAND ${CMAKE_COMMAND} --build ${CMAKE_BINARY_DIR} --target public_headers)
    # Runs the build tool in this directory.
    set_tests_properties(public_headers_alone_as_cxx11 PROPERTIES RUN_SERIAL ON TIMEOUT 600)
endif()

add_test(NAME package_is_found_after_a_move
    COMMAND ${CMAKE_COMMAND}
        -D BUILD_DIR=${CMAKE_CURRENT_BINARY_DIR} -D CONFIG=$<CONFIG>
        -D CONSUMER=${CMAKE_CURRENT_SOURCE_DIR}/cmake/consumer
        -D CXX_COMPILER=${CMAKE_CXX_COMPILER} -D SANITIZE=${RAFT3D_SANITIZE}
        -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/test_package.cmake)
# Each builds the whole library: an ordinary build only, where the compiler cache helps.
if(NOT RAFT3D_SANITIZE)
    foreach(option DISABLE_SSL DISABLE_ASIO)
        add_test(NAME builds_with_${option}
            COMMAND ${CMAKE_COMMAND}
                -D SOURCE_DIR=${CMAKE_CURRENT_SOURCE_DIR} -D BUILD_DIR=${CMAKE_CURRENT_BINARY_DIR}
                -D CONFIG=$<CONFIG> -D CXX_COMPILER=${CMAKE_CXX_COMPILER} -D OPTION=${option}
                -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/test_options.cmake)
        set_tests_properties(builds_with_${option} PROPERTIES TIMEOUT 1500)
    endforeach()
endif()
# Runs the build tool in this directory.
set_tests_properties(package_is_found_after_a_move PROPERTIES RUN_SERIAL ON TIMEOUT 600)
