# Debian's compiler for arm64 (package g++-aarch64-linux-gnu). AARCH64_ROOT holds its libmd.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
