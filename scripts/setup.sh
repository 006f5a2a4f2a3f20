#!/usr/bin/env bash
# Installs what building and running need: PostgreSQL 15 to 18, setpriv and a C compiler. Prints nothing and returns at
# once when all of them are there.
#
#   scripts/setup.sh        for make run and bench
#   scripts/setup.sh test   also the mail server of the tests, python3-aiosmtpd, openssl for its certificate, python3-fido2
#                           for their passkeys, and age, with which they open backups; mandoc, systemd-analyze and
#                           promtool, which check manual pages, the unit and the alerts; and redis-server
#   scripts/setup.sh code   also rustfmt and clippy
#   scripts/setup.sh lint   also cargo-deny and cargo-machete, built once into target/tools
#   scripts/setup.sh deb    also cargo-deb, built once into target/tools, and dpkg-dev, which finds needed libraries
set -euo pipefail
cd "$(dirname "$0")/.."

readonly DENY=0.20.2 MACHETE=0.9.2 DEB=3.8.0
readonly TOOLS=$PWD/target/tools

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Whether a folder has the programs of PostgreSQL 15 to 18.
is_postgres() {
    [ -x "$1/postgres" ] && [ -x "$1/initdb" ] || return 1
    local version
    version=$("$1/postgres" --version) && [[ $version =~ \)\ (15|16|17|18)[^0-9] ]]
}
# Looks for PostgreSQL in the places where `hims serve` looks.
have_postgres() {
    if [ -n "${HIMS_PG_BIN:-}" ]; then
        is_postgres "$HIMS_PG_BIN" || fail "HIMS_PG_BIN names no folder with PostgreSQL 15 to 18; correct or unset it."
        return
    fi
    local folder
    for folder in /usr/lib/postgresql/{15,16,17,18}/bin; do
        ! is_postgres "$folder" || return 0
    done
    have postgres && is_postgres "$(dirname "$(readlink -f "$(command -v postgres)")")"
}

# Runs a command as root, if that is possible without a password.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
may_install() { have apt-get && as_root true 2>/dev/null; }
apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2; }

install_packages() {
    say "installing $*"
    apt install --no-install-recommends -y "$@"
}

# Installs PostgreSQL 15, or else the newest offered. The package must not create a cluster: hims does not use it.
install_postgres() {
    local version chosen='' no_cluster=/etc/postgresql-common/createcluster.d/hims.conf
    for version in 15 18 17 16; do
        if apt-cache show "postgresql-$version" >/dev/null 2>&1; then chosen=$version; break; fi
    done
    [ -n "$chosen" ] || fail "this system offers no PostgreSQL 15 to 18; add apt.postgresql.org to its sources, or set HIMS_PG_BIN."
    as_root mkdir -p "${no_cluster%/*}"
    printf 'create_main_cluster = false\n' | as_root tee "$no_cluster" >/dev/null
    install_packages "postgresql-$chosen" || { as_root rm -f "$no_cluster"; exit 1; }
    as_root rm -f "$no_cluster"
    as_root rmdir --ignore-fail-on-non-empty "${no_cluster%/*}"
}

have cargo || fail "Rust is missing; install it from https://rustup.rs (rust-version in Cargo.toml says which)."

packages=()
have setpriv || packages+=(util-linux)
have cc || packages+=(gcc libc6-dev)
needs_postgres=false
have_postgres || needs_postgres=true
if [ ${#packages[@]} -gt 0 ] || $needs_postgres; then
    missing="${packages[*]:-}"
    $needs_postgres && missing="${missing:+$missing }postgresql-15"
    may_install || fail "missing: $missing; install them (PostgreSQL up to 18), or run this as root on Debian or Ubuntu."
    apt update
    [ ${#packages[@]} -eq 0 ] || install_packages "${packages[@]}"
    ! $needs_postgres || install_postgres
    have_postgres || fail "PostgreSQL was installed, but not in a folder that is searched; set HIMS_PG_BIN to the bin folder of PostgreSQL."
fi

# The tests send e-mails to a mail server written in Python, which needs a certificate, open backups with age, and check
# what is packaged.
if [ "${1:-}" = test ]; then
    packages=()
    have openssl || packages+=(openssl)
    have age-keygen || packages+=(age)
    have mandoc || packages+=(mandoc)
    have systemd-analyze || packages+=(systemd)
    have promtool || packages+=(prometheus)
    have redis-server || packages+=(redis-server)
    /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || packages+=(python3-aiosmtpd)
    /usr/bin/python3 -c 'import fido2' 2>/dev/null || packages+=(python3-fido2)
    if [ ${#packages[@]} -gt 0 ]; then
        may_install || fail "missing for the tests: ${packages[*]}; install them, or run this as root on Debian or Ubuntu."
        apt update
        install_packages "${packages[@]}"
    fi
fi

# The tools are built without optimisation and debug information: they run for seconds, and optimising takes minutes. Of two
# set-ups at once, one waits for what the other builds.
build_tool() {
    if [ -z "${alone:-}" ]; then
        mkdir -p "$TOOLS"
        exec {alone}>"$TOOLS/lock"
        flock "$alone"
    fi
    grep -qs "\"$1 $2 " "$TOOLS/.crates.toml" && [ -x "$TOOLS/bin/$1" ] && return
    say "building $1 $2, once"
    CARGO_PROFILE_DEV_DEBUG=false CARGO_TARGET_DIR=$TOOLS/build \
        cargo install --quiet --locked --debug --root "$TOOLS" "$1@$2" </dev/null 2> >(grep -v 'add .* to your PATH' >&2)
}

if [ "${1:-}" = deb ]; then
    if ! have dpkg-shlibdeps; then
        may_install || fail "missing for the package: dpkg-dev; install it, or run this as root on Debian or Ubuntu."
        apt update
        install_packages dpkg-dev
    fi
    build_tool cargo-deb "$DEB"
    rm -rf "$TOOLS/build"
fi

if [ "${1:-}" = code ]; then
    for component in rustfmt clippy; do
        tool=${component/rustfmt/fmt}
        cargo "$tool" --version >/dev/null 2>&1 && continue
        have rustup || fail "$component is missing; install the Rust component of this name."
        say "adding the Rust component $component"
        rustup component add "$component" </dev/null >&2
    done
fi

if [ "${1:-}" = lint ]; then
    build_tool cargo-machete "$MACHETE"
    build_tool cargo-deny "$DENY"
    rm -rf "$TOOLS/build"
fi
