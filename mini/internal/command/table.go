// SPDX-License-Identifier: Apache-2.0

package command

import "slices"

type entry struct {
	name string
	run  Func
}

// Lookup finds the command called name; nil if there is none. It is a switch
// over a constant table, so that starting a command costs no map.
func Lookup(name string) Func {
	for _, e := range table() {
		if e.name == name {
			return e.run
		}
	}
	return nil
}

// Names are the names of all commands, sorted.
func Names() []string {
	var names []string
	for _, e := range table() {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}

func table() []entry {
	return []entry{
		{"[", testCommand}, {"base64", base64Command}, {"basename", basename},
		{"cat", cat}, {"chgrp", chgrp}, {"chmod", chmod}, {"chown", chown},
		{"chroot", chroot}, {"clear", clearScreen}, {"cmp", cmpCommand}, {"cp", cp}, {"cut", cut},
		{"date", date}, {"dd", dd}, {"df", df}, {"dirname", dirname}, {"du", du},
		{"echo", echo}, {"egrep", grep}, {"env", env}, {"expr", expr},
		{"fallocate", fallocate}, {"false", falseCommand}, {"fgrep", grep}, {"find", find}, {"free", free},
		{"grep", grep}, {"gunzip", gunzip}, {"gzip", gzipCommand},
		{"head", head}, {"hexdump", hexdump}, {"hostname", hostname},
		{"id", id}, {"kill", kill}, {"ln", ln}, {"ls", ls},
		{"md5sum", checksum}, {"mkdir", mkdir}, {"mkfifo", mkfifo}, {"mknod", mknod},
		{"mktemp", mktemp}, {"mount", mount}, {"mountpoint", mountpoint}, {"mv", mv},
		{"nohup", nohup}, {"nproc", nproc}, {"od", hexdump},
		{"pidof", pidof}, {"printenv", printenv}, {"printf", printf}, {"ps", ps}, {"pwd", pwd},
		{"readlink", readlink}, {"realpath", realpath}, {"rm", rm}, {"rmdir", rmdir},
		{"sed", sed}, {"seq", seq}, {"setsid", setsid}, {"sha256sum", checksum}, {"sha512sum", checksum},
		{"sleep", sleep}, {"sort", sortCommand}, {"stat", stat}, {"sync", sync},
		{"tail", tail}, {"tar", tarCommand}, {"tee", tee}, {"test", testCommand},
		{"time", timeCommand}, {"timeout", timeout},
		{"touch", touch}, {"tr", tr}, {"true", trueCommand}, {"truncate", truncate}, {"tty", tty},
		{"umount", umount}, {"uname", uname}, {"uniq", uniq}, {"unlink", unlink}, {"uptime", uptime},
		{"wc", wc}, {"which", which}, {"whoami", whoami}, {"xargs", xargs}, {"yes", yes},
		{"zcat", gunzip},
	}
}
