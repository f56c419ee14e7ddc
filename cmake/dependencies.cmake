# Every library comes from Debian's packages; ARCHITECTURE.md says why each is there.
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
# 0.15 (plain bookworm) lets a new leader commit entries of older terms by counting replicas,
# which Raft §5.4.2 forbids: never build with it.
pkg_check_modules(RAFT REQUIRED IMPORTED_TARGET raft>=0.22.1)
pkg_check_modules(MHD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(NFTABLES REQUIRED IMPORTED_TARGET libnftables)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
if(SHOAL_TESTS)
	pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
