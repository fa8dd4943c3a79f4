// SPDX-License-Identifier: Apache-2.0

package main

import "archive/tar"

// modified is the time of every file: 2026-01-01 00:00:00 UTC.
const modified = 1767225600

type entry struct {
	header  tar.Header
	content []byte
}

func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, []byte(content)}
}

func dirEntry(name string, mode int64) entry {
	return entry{tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, nil}
}

func link(name, target string) entry {
	return entry{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil}
}

// tree is the root filesystem; everything in it is root's.
func tree(binary []byte) []entry {
	entries := []entry{
		{tar.Header{Typeflag: tar.TypeReg, Name: "bin/mini", Mode: 0o755}, binary},
		dirEntry("proc", 0o555), dirEntry("sys", 0o555),
		dirEntry("root", 0o700), dirEntry("tmp", 0o1777), dirEntry("var/tmp", 0o1777),
		link("usr/bin/env", "../../bin/mini"), // where #! lines look for it
		link("var/run", "../run"),
		file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
		file("etc/group", "root:x:0:\ntty:x:5:\nnobody:x:65534:\n"),
		file("etc/hostname", "mini\n"),
		file("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
		file("etc/resolv.conf", ""),
		file("etc/shells", "/bin/sh\n"),
		file("etc/os-release", "NAME=\"Strata mini\"\nID=strata-mini\nPRETTY_NAME=\"Strata mini\"\nVERSION_ID=1\n"),
		file("etc/profile", "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPS1='\\u@\\h:\\w\\$ '\n"),
	}
	for _, name := range []string{"bin", "dev", "etc", "home", "mnt", "opt", "run", "sbin", "srv", "usr", "usr/bin", "usr/local",
		"usr/local/bin", "usr/local/sbin", "usr/sbin", "usr/share", "var", "var/log"} {
		entries = append(entries, dirEntry(name, 0o755))
	}
	for _, name := range commands() {
		entries = append(entries, link("bin/"+name, "mini"))
	}
	return entries
}
