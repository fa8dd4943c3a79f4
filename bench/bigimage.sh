#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the layers of a big image of real Debian packages in directory $1, once:
# some 14 archives, about 3 GB with 120,000 entries, and the same with gzip and zstd.
# $2 is the archive of a Debian tree, the lowest layer.
set -eu
dir=$1 base=$2
[ -e "$dir/made" ] && exit
rm -rf "$dir/layers" "$dir/tree"
mkdir -p "$dir/debs/partial" "$dir/layers"

# Of the second part only files that are small and many.
packages='texlive-latex-extra openjdk-17-jdk-headless clang-14 golang-1.19 rustc libreoffice-core
	gnome-icon-theme inkscape r-base-core linux-source-6.1 kicad-libraries blender-data'
small=texlive-fonts-extra
apt-get -y --no-install-recommends --download-only -o Dir::Cache::archives="$dir/debs" install $packages $small >/dev/null

ln "$base" "$dir/layers/00.tar"
archive() { # the tree, as a layer
	tar -C "$dir/tree" --sort=name --numeric-owner --format=pax --pax-option=delete=atime,delete=ctime -cf "$dir/layers/$1.tar" .
	rm -r "$dir/tree"
}
n=0 sum=0
mkdir "$dir/tree"
for deb in "$dir"/debs/*.deb; do
	case $deb in */$small*) continue ;; esac
	dpkg-deb --fsys-tarfile "$deb" | tar -C "$dir/tree" -x
	sum=$((sum + $(dpkg-deb --field "$deb" Installed-Size)))
	if [ $sum -gt 200000 ] && [ $n -lt 11 ]; then
		n=$((n + 1)) sum=0
		archive $(printf %02d $n)
		mkdir "$dir/tree"
	fi
done
n=$((n + 1))
archive $(printf %02d $n)
mkdir "$dir/tree"
dpkg-deb --fsys-tarfile "$dir"/debs/$small*.deb | tar -C "$dir/tree" -x --wildcards './usr/share/texlive/texmf-dist/fonts/tfm/*'
n=$((n + 1))
archive $(printf %02d $n)

for layer in "$dir"/layers/*.tar; do
	gzip -6 <"$layer" >"$layer.gz" &
	zstd -q -3 <"$layer" >"$layer.zst"
	wait
done
rm -r "$dir/debs"
touch "$dir/made"
