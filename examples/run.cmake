# Runs PROGRAM in an empty DIRECTORY and compares what it prints with the file EXPECTED, which is a regular expression a
# line. With SERVER, which says where a PostgreSQL listens, the program is given the URL of a new schema there.
file(REMOVE_RECURSE ${DIRECTORY})
file(MAKE_DIRECTORY ${DIRECTORY})
set(arguments)
if(SERVER)
  file(READ ${SERVER} addresses)
  string(REGEX MATCH "^([^ ]+) ([0-9]+)" addresses "${addresses}")
  string(RANDOM LENGTH 12 ALPHABET abcdefghijklmnopqrstuvwxyz schema)
  set(arguments
    "postgresql:///postgres?host=${CMAKE_MATCH_1}&port=${CMAKE_MATCH_2}&user=tuskv&schema=example_${schema}")
endif()
execute_process(COMMAND ${PROGRAM} ${arguments} WORKING_DIRECTORY ${DIRECTORY}
  OUTPUT_VARIABLE output RESULT_VARIABLE result)
file(READ ${EXPECTED} expected)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${result}:\n${output}")
endif()
if(NOT output MATCHES "^${expected}$")
  message(FATAL_ERROR "${PROGRAM} printed\n${output}\nand should have printed\n${expected}")
endif()
