# Installs the library, moves what was installed, and builds and runs a program against it.
# Takes BUILD_DIR (of the library), CONFIG, CONSUMER (source of the program), CXX_COMPILER, SANITIZE.
cmake_minimum_required(VERSION 3.18)

set(work ${BUILD_DIR}/package_test)
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})

set(flags)
if(SANITIZE)
    set(flags -fsanitize=${SANITIZE})
endif()

execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD_DIR} --config ${CONFIG}
    --prefix ${work}/installed COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${work}/installed ${work}/moved)
execute_process(COMMAND ${CMAKE_COMMAND} -S ${CONSUMER} -B ${work}/build
    -D CMAKE_PREFIX_PATH=${work}/moved -D CMAKE_BUILD_TYPE=${CONFIG}
    -D CMAKE_CXX_COMPILER=${CXX_COMPILER} -D CMAKE_CXX_FLAGS=${flags} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${work}/build COMMAND_ERROR_IS_FATAL ANY)
foreach(program with_static_lib with_shared_lib)
    execute_process(COMMAND ${work}/build/${program} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(REMOVE_RECURSE ${work})
