// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Arguments of calls for which golang.org/x/sys has no names.
const (
	userModeOnly   = 1                  // UFFD_USER_MODE_ONLY: what anybody may who is not filtered
	readAllLog     = 3                  // SYSLOG_ACTION_READ_ALL
	quotaOff       = 0x800003 << 8      // QCMD(Q_QUOTAOFF, USRQUOTA)
	getKeyringID   = 0                  // KEYCTL_GET_KEYRING_ID
	sessionKeyring = ^uintptr(2)        // KEY_SPEC_SESSION_KEYRING
	noRandomize    = 0x0040000          // ADDR_NO_RANDOMIZE
	mpolDefault    = 0                  // MPOL_DEFAULT
	kcmpFile       = 0                  // KCMP_FILE
	setOffset      = unix.ADJ_SETOFFSET // by nothing
	maxSegments    = 1 << 20            // more than KEXEC_SEGMENT_MAX
)

// kernel are calls that change the machine, or parts of the kernel with a
// history of holes that no program in a container has a need for.
func kernel() []attempt {
	self := uintptr(unix.Getpid())
	return append(portAccess(), []attempt{
		call("bpf", unix.SYS_BPF, unix.BPF_MAP_CREATE, 0, 0),
		{name: "perf_event_open", try: perf},
		call("keyctl", unix.SYS_KEYCTL, getKeyringID, sessionKeyring, 0),
		{name: "add_key", try: func() string { _, err := unix.AddKey("user", "probe", []byte("x"), -2); return word(err) }},
		{name: "request_key", try: func() string { _, err := unix.RequestKey("user", "probe", "", 0); return word(err) }},
		call("userfaultfd", unix.SYS_USERFAULTFD, userModeOnly),
		call("io_uring_setup", unix.SYS_IO_URING_SETUP, 1, 0),
		call("io_uring_enter", unix.SYS_IO_URING_ENTER, none),
		call("io_uring_register", unix.SYS_IO_URING_REGISTER, none),
		call("init_module", unix.SYS_INIT_MODULE, 0, 0, 0),
		call("finit_module", unix.SYS_FINIT_MODULE, none, 0, 0),
		{name: "delete_module", try: func() string { return word(unix.DeleteModule("no_such_module", unix.O_NONBLOCK)) }},
		call("kexec_load", unix.SYS_KEXEC_LOAD, 0, maxSegments, 0, 0),
		call("kexec_file_load", unix.SYS_KEXEC_FILE_LOAD, none, none, 0, 0, ^uintptr(0)),
		call("reboot", unix.SYS_REBOOT, 0, 0, 0), // no magic numbers
		{name: "settimeofday", try: setTime},
		{name: "clock_settime", try: setClock},
		{name: "clock_adjtime", try: func() string {
			_, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &unix.Timex{Modes: setOffset})
			return word(err)
		}},
		{name: "swapon", try: func() string { return rawPath(unix.SYS_SWAPON, "/no/such") }},
		{name: "swapoff", try: func() string { return rawPath(unix.SYS_SWAPOFF, "/no/such") }},
		{name: "acct", try: func() string { return word(unix.Acct("/no/such")) }},
		{name: "syslog", try: func() string { _, err := unix.Klogctl(readAllLog, make([]byte, 64)); return word(err) }},
		{name: "quotactl", try: func() string { return rawPath(unix.SYS_QUOTACTL, "/dev/null", quotaOff) }},
		call("personality without randomization", unix.SYS_PERSONALITY, noRandomize),
		call("move_pages", unix.SYS_MOVE_PAGES, self, 0, 0, 0, 0, 0),
		call("set_mempolicy", unix.SYS_SET_MEMPOLICY, mpolDefault, 0, 0),
		call("fanotify_init", unix.SYS_FANOTIFY_INIT, unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_FID, unix.O_RDONLY),
		call("kcmp", unix.SYS_KCMP, self, self, kcmpFile, 0, 1),
		call("vhangup", unix.SYS_VHANGUP),
		{name: "sethostname", try: func() string { return word(unix.Sethostname([]byte("probe"))) }},
		{name: "setdomainname", try: func() string { return word(unix.Setdomainname([]byte("probe"))) }},
	}...)
}

func perf() string {
	fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK,
		Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
	}, 0, -1, -1, 0)
	unix.Close(fd)
	return word(err)
}

func setTime() string {
	now := unix.NsecToTimeval(time.Now().UnixNano())
	return word(unix.Settimeofday(&now))
}

func setClock() string {
	now := unix.NsecToTimespec(time.Now().UnixNano())
	return word(unix.ClockSettime(unix.CLOCK_REALTIME, &now))
}
