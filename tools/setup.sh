# Sourced by ./run and ./test: Debian packages and the build. Needs bash.

# What the program and its tests are built from; all in Debian 12 and 13.
dm_packages() {
  local need=(g++ cmake ninja-build python3 git ccache mold libyaml-dev libfmt-dev libexpected-dev libcli11-dev
    libsqlite3-dev libssl-dev libargon2-dev nlohmann-json3-dev libboost-dev libxxhash-dev libgtest-dev libgmock-dev)
  [ "${1:-}" = fuzz ] && need+=(clang libclang-rt-dev)
  [ "${1:-}" = test ] && need+=(age openssh-client strace)
  local missing=() p
  for p in "${need[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup: these packages are missing and neither root nor sudo is here: ${missing[*]}" >&2; exit 10; }
    sudo=(sudo)
  fi
  echo "setup: installing ${missing[*]}" >&2
  "${sudo[@]}" apt-get update -q >&2
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" >&2
}

# dm_build FOLDER [TARGET...]: an optimised build in FOLDER/build.
dm_build() {
  local folder=$1 target=()
  shift
  [ $# -gt 0 ] && target=(--target "$@")
  if ! cmake -S "$folder" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release >"$folder/.setup.log" 2>&1; then
    cat "$folder/.setup.log" >&2
    exit 2
  fi
  rm -f "$folder/.setup.log"
  cmake --build "$folder/build" "${target[@]}" >&2
}
