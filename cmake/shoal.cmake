# Compiler flags and the two helpers with which every folder says what it is.

add_compile_definitions(_GNU_SOURCE SHOAL_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
	-Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings -Wno-unused-parameter
	-fno-strict-aliasing -fno-common -fstack-protector-strong)
# Some of the kernel's structures end in an array and must still be followed by others.
add_compile_options($<$<C_COMPILER_ID:Clang>:-Wno-gnu-variable-sized-type-not-at-end>)
if(SHOAL_WERROR)
	add_compile_options(-Werror)
endif()
# Assertions stay on in release: they guard our own state, never outside input.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-O3" "-O2 -g1" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
if(SHOAL_SANITIZE)
	add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer
		-fno-sanitize-recover=undefined)
	add_link_options(-fsanitize=address,undefined)
else()
	add_compile_definitions($<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
endif()
# Everything is instrumented but the mains; the fuzzers' own link adds libFuzzer's.
if(SHOAL_FUZZ)
	if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
		message(FATAL_ERROR "SHOAL_FUZZ needs clang: -DCMAKE_C_COMPILER=clang")
	endif()
	add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer)
	add_link_options(-fsanitize=address,undefined)
endif()
add_compile_options(-ffunction-sections -fdata-sections)
add_link_options(-Wl,--as-needed -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now)

# shoal_library(NAME DEPS lib...): the static library of this folder, from all its .c files.
# A folder may depend only on what stands below it; tests/tidy checks the includes.
function(shoal_library name)
	cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
	file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
	if(NOT sources)
		return()
	endif()
	add_library(shoal_${name} STATIC ${sources})
	target_include_directories(shoal_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
	foreach(dep ${ARG_DEPS})
		if(TARGET shoal_${dep} OR TARGET PkgConfig::${dep} OR TARGET ${dep})
			if(TARGET shoal_${dep})
				target_link_libraries(shoal_${name} PUBLIC shoal_${dep})
			elseif(TARGET PkgConfig::${dep})
				target_link_libraries(shoal_${name} PUBLIC PkgConfig::${dep})
			else()
				target_link_libraries(shoal_${name} PUBLIC ${dep})
			endif()
		endif()
	endforeach()
endfunction()

# shoal_tests(FOLDER LIBS lib...): every tests/unit/FOLDER/test_*.c is one cmocka program.
function(shoal_tests folder)
	cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
	file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/test_*.c)
	string(REPLACE "/" "_" prefix ${folder})
	foreach(source ${sources})
		get_filename_component(name ${source} NAME_WE)
		set(target unit_${prefix}_${name})
		add_executable(${target} ${source})
		target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src
			${PROJECT_SOURCE_DIR}/tests)
		target_compile_definitions(${target} PRIVATE
			TEST_DIR="${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
		target_link_libraries(${target} PRIVATE ${ARG_LIBS} PkgConfig::CMOCKA)
		# So that a test can put its own function before one of libc.
		set_target_properties(${target} PROPERTIES ENABLE_EXPORTS ON)
		add_test(NAME unit/${folder}/${name} COMMAND ${target})
		set_tests_properties(unit/${folder}/${name} PROPERTIES TIMEOUT 120)
	endforeach()
endfunction()
