# Warnings for our own targets. They are errors only in the presets, so that a newer compiler never breaks a user's
# build.
function(tuskv_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    # Under -Wconversion clang, unlike g++, also warns about the sign of every conversion; size arithmetic drowns in it.
    target_compile_options(${target} PRIVATE -Wthread-safety -Wno-sign-conversion)
  endif()
endfunction()
