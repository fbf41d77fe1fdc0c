# Flags shared by every target we own. Third-party headers come in as SYSTEM.
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Boost REQUIRED)  # headers: Asio and Beast, inside engine only
find_package(Threads REQUIRED)
find_library(DM_ARGON2 argon2 REQUIRED)
set(CMAKE_CXX_EXTENSIONS OFF)

find_program(DM_CCACHE ccache)
if(DM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without this ccache leaves everything that uses a precompiled header to the compiler.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${DM_CCACHE})
endif()

add_library(dm_flags INTERFACE)
target_compile_features(dm_flags INTERFACE cxx_std_20)
target_include_directories(dm_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(dm_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Wswitch-enum
  $<$<BOOL:${DM_WERROR}>:-Werror>
  $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2> -D_GLIBCXX_ASSERTIONS -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13 AND (NOT CMAKE_BUILD_TYPE STREQUAL Debug OR DM_SANITIZE))
  # GCC 12 reports these wrongly inside std::string, optional and variants once it inlines (GCC bugs 105329, 105651, 105562); from a
  # precompiled header even where system headers are silent.
  target_compile_options(dm_flags INTERFACE -Wno-restrict -Wno-stringop-overread -Wno-stringop-overflow -Wno-array-bounds
    -Wno-maybe-uninitialized)
endif()
find_program(DM_MOLD mold)
if(DM_MOLD)
  target_link_options(dm_flags INTERFACE -fuse-ld=mold)
endif()
if(DM_SANITIZE)
  target_compile_options(dm_flags INTERFACE -fsanitize=${DM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(dm_flags INTERFACE -fsanitize=${DM_SANITIZE})
endif()

# Nine tenths of the time to compile a small file are the standard library and fmt: read once, as a precompiled header of all.
target_link_libraries(dm_flags INTERFACE Threads::Threads)
add_library(dm_precompiled STATIC ${PROJECT_SOURCE_DIR}/cmake/empty.cpp)
target_link_libraries(dm_precompiled PRIVATE dm_flags fmt::fmt)
target_precompile_headers(dm_precompiled PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled.hpp)

# dm_module(<name> [USES <module>...] [EXTERNAL <target>...])
# src/<name>/**/*.cpp is the module; the *_test.cpp beside them are its tests (target <name>_test).
# Plain static libraries are enough: registries are visible lists that name every entry, so the linker drops none.
function(dm_module name)
  cmake_parse_arguments(M "" "" "USES;EXTERNAL" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cpp)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  if(NOT sources)
    set(sources ${PROJECT_SOURCE_DIR}/cmake/empty.cpp)
  endif()
  add_library(dm_${name} STATIC ${sources})
  list(TRANSFORM M_USES PREPEND dm_)
  target_precompile_headers(dm_${name} REUSE_FROM dm_precompiled)
  target_link_libraries(dm_${name} PUBLIC dm_flags ${M_USES} ${M_EXTERNAL})
  if(DM_TESTS AND tests)
    find_package(GTest REQUIRED)
    include(GoogleTest)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE dm_${name} GTest::gmock GTest::gtest_main)
    target_precompile_headers(${name}_test REUSE_FROM dm_precompiled)
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60)
  endif()
endfunction()

# dm_embed_tree(<module> <folder>): every file below the folder, by its path in it, in dm::<module>::embedded_files().
function(dm_embed_tree module folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${folder}/*)  # hidden files, too
  list(FILTER files EXCLUDE REGEX "/bin/datamancy$")
  set(out ${PROJECT_BINARY_DIR}/generated/${module}_embedded.cpp)
  add_custom_command(OUTPUT ${out}
    COMMAND ${PROJECT_SOURCE_DIR}/tools/embed.py ${module} ${out} --under ${folder} ${files}
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/tools/embed.py VERBATIM)
  target_sources(dm_${module} PRIVATE ${out})
endfunction()

# dm_embed(<module> <glob>): the files become string literals in dm::<module>::embedded_files().
function(dm_embed module glob)
  file(GLOB files CONFIGURE_DEPENDS ${glob})
  set(out ${PROJECT_BINARY_DIR}/generated/${module}_embedded.cpp)
  add_custom_command(OUTPUT ${out}
    COMMAND ${PROJECT_SOURCE_DIR}/tools/embed.py ${module} ${out} ${files}
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/tools/embed.py VERBATIM)
  target_sources(dm_${module} PRIVATE ${out})
endfunction()
