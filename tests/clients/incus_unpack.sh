#!/usr/bin/env bash
# Unpack the daemon of Incus into a directory, from Debian's packages: those of this release, or of its backports. Nothing
# is installed, and no source of packages is added; the libraries that it shares with LXD come with LXD.
#
# usage: incus_unpack.sh DIRECTORY
set -euo pipefail
to=$(realpath -m "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
packages=(incus-base libcowsql0 libraft0)
options=()
if ! apt-cache show "${packages[@]}" >/dev/null 2>&1; then
    # The backports are where the release is.
    read -r uri release < <(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' \
        'Created-By: Packages' 'Component: main' 'Origin: Debian' | grep -vE -- '-(updates|security|backports)')
    mkdir -p lists/partial cache/archives/partial
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $release-backports main" >sources.list
    options=(-o "Dir::Etc::sourcelist=$work/sources.list" -o "Dir::Etc::sourceparts=-"
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=root")
    apt-get "${options[@]}" update -q
fi
apt-get "${options[@]}" download -q "${packages[@]}"
for package in ./*.deb; do
    dpkg-deb --extract "$package" unpacked
done
mkdir -p "$(dirname "$to")"
mv unpacked "$to"
