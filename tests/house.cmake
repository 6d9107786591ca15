# Tests of the project itself rather than of what it computes: style, public headers, packaging.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_program(CLANGXX clang++)

add_test(NAME tidy COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tools/tidy.py)
add_test(NAME tidy_test COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tools/tidy_test.py)
add_test(NAME weak_spots COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/weak_spots_test.py)
add_test(NAME count_tests COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tools/count_tests_test.py)
set_tests_properties(tidy tidy_test weak_spots count_tests PROPERTIES LABELS house)

if(TUSKV_CLI AND TUSKV_EXAMPLES)
  add_test(NAME demo COMMAND ${PROJECT_SOURCE_DIR}/tools/demo.sh ${PROJECT_BINARY_DIR})
  set_tests_properties(demo PROPERTIES LABELS "house;slow" TIMEOUT 300)
endif()

set(compilers ${CMAKE_CXX_COMPILER})
if(CLANGXX)
  list(APPEND compilers ${CLANGXX})
endif()
list(REMOVE_DUPLICATES compilers)
set(left_out)
if(NOT ASIO_INCLUDE_DIR)
  set(left_out tuskv/asio.h)
endif()
foreach(compiler IN LISTS compilers)
  cmake_path(GET compiler FILENAME compiler_name)
  foreach(standard c++20 c++2b)
    set(name headers:${compiler_name}:${standard})
    add_test(NAME ${name}
      COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/headers.sh ${PROJECT_SOURCE_DIR}/include ${compiler} ${standard} ${left_out})
    set_tests_properties(${name} PROPERTIES LABELS "house;slow" COST 7 TIMEOUT 300)
  endforeach()
endforeach()

if(TUSKV_INSTALL AND NOT BUILD_SHARED_LIBS)
  foreach(variant static shared nested)
    add_test(NAME install:${variant} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/run.sh
      ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${PROJECT_BINARY_DIR}/tests/install ${variant})
    set_tests_properties(install:${variant} PROPERTIES LABELS "house;slow" COST 50 TIMEOUT 900)
  endforeach()
  add_test(NAME install:packaging
    COMMAND Python3::Interpreter -B ${CMAKE_CURRENT_SOURCE_DIR}/install/packaging_test.py)
  set_tests_properties(install:packaging PROPERTIES
    ENVIRONMENT TUSKV_BUILD=${PROJECT_BINARY_DIR} LABELS "house;slow" COST 50 TIMEOUT 900)
endif()
