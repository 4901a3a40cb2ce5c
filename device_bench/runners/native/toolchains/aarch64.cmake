# Debian's compiler for arm64 (package g++-aarch64-linux-gnu). -DMD and -DJSON_INCLUDE say where
# Debian's arm64 packages of the libraries were unpacked; this machine's own would not fit.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
