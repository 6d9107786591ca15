# Runs PROGRAM and compares what it prints with the file EXPECTED, which is a regular expression a line.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE output RESULT_VARIABLE result)
file(READ ${EXPECTED} expected)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${result}:\n${output}")
endif()
if(NOT output MATCHES "^${expected}$")
  message(FATAL_ERROR "${PROGRAM} printed\n${output}\nand should have printed\n${expected}")
endif()
