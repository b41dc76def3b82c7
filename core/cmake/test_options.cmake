# Builds the library without TLS, and without a transport, and a program against each.
# Several files at once, as this is about what is in them, not about what each includes.
# Takes SOURCE_DIR (of the library), BUILD_DIR, CONFIG, CXX_COMPILER, OPTION (DISABLE_SSL or DISABLE_ASIO).
cmake_minimum_required(VERSION 3.18)

set(work ${BUILD_DIR}/option_test/${OPTION})
file(REMOVE_RECURSE ${work}/consumer)

foreach(step
    "${CMAKE_COMMAND};-S;${SOURCE_DIR};-B;${work}/library;-D;${OPTION}=ON;-D;CMAKE_BUILD_TYPE=${CONFIG};-D;CMAKE_CXX_FLAGS=-O0;-D;CMAKE_UNITY_BUILD=ON;-D;CMAKE_CXX_COMPILER=${CXX_COMPILER};-D;CMAKE_INSTALL_PREFIX=${work}/installed"
    "${CMAKE_COMMAND};--build;${work}/library;--target;install"
    "${CMAKE_COMMAND};-S;${SOURCE_DIR}/cmake/option_consumer;-B;${work}/consumer;-D;OPTION=${OPTION};-D;CMAKE_PREFIX_PATH=${work}/installed;-D;CMAKE_CXX_COMPILER=${CXX_COMPILER}"
    "${CMAKE_COMMAND};--build;${work}/consumer"
    "${work}/consumer/consumer")
    execute_process(COMMAND ${step} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
