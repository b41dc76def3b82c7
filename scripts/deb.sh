#!/usr/bin/env bash
# Packs a built program into a Debian package: deb.sh PROGRAM DIRECTORY writes
# DIRECTORY/raft3d_VERSION_ARCHITECTURE.deb and prints its path.
#
# By dpkg-deb itself and not by cargo-deb: a Debian machine that builds C++ has it or one small
# package more, and the files and scripts stay ordinary files in deploy/debian.
set -euo pipefail
program=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
cd "$(dirname "$0")/.."
source=deploy/debian

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root

install_file() { # MODE FILE TARGET
    install -D -m "$1" "$2" "$root/$3"
}

install_file 755 "$program" usr/bin/raft3d
strip --strip-unneeded "$root/usr/bin/raft3d"
install_file 644 $source/raft3d.service usr/lib/systemd/system/raft3d.service
install_file 644 $source/raft3d.sysusers usr/lib/sysusers.d/raft3d.conf
install_file 644 $source/raft3d.toml etc/raft3d/raft3d.toml
install_file 644 $source/copyright usr/share/doc/raft3d/copyright
for page in README.md docs/*.md deploy/prometheus/alerts.yml deploy/grafana/raft3d.json; do
    install_file 644 "$page" "usr/share/doc/raft3d/$page"
done

complete() { # SHELL TARGET
    "$program" completions "$1" >"$stage/completions"
    install_file 644 "$stage/completions" "$2"
}
complete bash usr/share/bash-completion/completions/raft3d
complete zsh usr/share/zsh/vendor-completions/_raft3d
complete fish usr/share/fish/vendor_completions.d/raft3d.fish

"$program" man --out "$stage/man"
gzip --best --no-name "$stage"/man/*.1
for page in "$stage"/man/*.1.gz; do
    install_file 644 "$page" "usr/share/man/man1/$(basename "$page")"
done

# What the program is linked to, with the oldest version that will do. The tool wants to be in a
# source package.
mkdir -p "$stage/source/debian"
printf 'Source: raft3d\n\nPackage: raft3d\nArchitecture: any\n' >"$stage/source/debian/control"
depends=$(cd "$stage/source" && dpkg-shlibdeps -O "$root/usr/bin/raft3d" 2>"$stage/shlibdeps.log") ||
    { cat "$stage/shlibdeps.log" >&2; exit 1; }

version=$("$program" --version)
version=${version#raft3d }
architecture=$(dpkg --print-architecture)
mkdir "$root/DEBIAN"
sed -e "s|@VERSION@|$version|" -e "s|@ARCHITECTURE@|$architecture|" \
    -e "s|@INSTALLED_SIZE@|$(du -sk --exclude DEBIAN "$root" | cut -f1)|" \
    -e "s|@DEPENDS@|${depends#shlibs:Depends=}|" $source/control.in >"$root/DEBIAN/control"
echo /etc/raft3d/raft3d.toml >"$root/DEBIAN/conffiles"
install -m 755 $source/postinst $source/prerm $source/postrm "$root/DEBIAN"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

package=$out/raft3d_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null
echo "$package"
