// SPDX-License-Identifier: Apache-2.0

package main

// An expectation is what the probe finds in a container with default options:
// as root of the host, and in a user namespace where that differs. What kernels
// and their settings may answer differently is separated by "|".
type expectation struct{ name, root, user string }

// The table. SECURITY.md says the same in words.
var expectations = []expectation{
	// what the first process is given
	{"descriptors", "0 1 2", ""}, // CVE-2024-21626
	{"chdir /proc/self/fd/3 to 63", "ENOENT", ""},
	{"processes", "1", ""},
	{"session leader", "yes", ""},
	{"signals ignored", "0000000000000000", ""},
	{"signals blocked", "0000000000000000", ""},
	{"/dev", "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero", ""},
	{"/dev/shm", "empty", ""},
	{"/dev/mqueue", "empty", ""},
	{"getcwd", "/", ""},
	{"interfaces", "lo", ""},
	{"NoNewPrivs", "1", ""},
	{"Seccomp", "2", ""},               // a filter
	{"CapInh", "0000000000000000", ""}, // CVE-2022-24769
	{"CapPrm", "00000000a80425fb", ""}, // Docker's fourteen
	{"CapEff", "00000000a80425fb", ""},
	{"CapBnd", "00000000a80425fb", ""},
	{"CapAmb", "0000000000000000", ""},

	// standard input is no terminal here; see TestTerminalInjection
	{"TIOCSTI", "ENOTTY", ""},
	{"TIOCLINUX", "ENOTTY", ""},
	{"TIOCSCTTY", "ENOTTY", ""},
	{"TIOCCONS", "ENOTTY", ""},

	// namespaces
	{"unshare user", "EPERM", ""},
	{"setns user", "EPERM", ""},
	{"unshare mnt", "EPERM", ""},
	{"setns mnt", "EPERM", ""},
	{"unshare pid", "EPERM", ""},
	{"setns pid", "EPERM", ""},
	{"unshare net", "EPERM", ""},
	{"setns net", "EPERM", ""},
	{"unshare uts", "EPERM", ""},
	{"setns uts", "EPERM", ""},
	{"unshare ipc", "EPERM", ""},
	{"setns ipc", "EPERM", ""},
	{"unshare cgroup", "EPERM", ""}, // CVE-2022-0492
	{"setns cgroup", "EPERM", ""},
	{"unshare time", "EPERM", ""},
	{"setns time", "EPERM", ""},
	{"clone a user namespace", "EPERM", ""},
	{"clone3", "ENOSYS", ""}, // its flags are in memory, which a filter cannot see; libc then takes clone

	// mounts
	{"mount a tmpfs", "EPERM", ""},
	{"mount a bind", "EPERM", ""},
	{"mount a procfs", "EPERM", ""},
	{"mount a cgroup v1", "EPERM", ""},
	{"mount a cgroup v2", "EPERM", ""},
	{"remount /proc/sys", "EPERM", ""},
	{"make / shared", "EPERM", ""},
	{"umount /proc/kcore", "EPERM", ""},
	{"umount /", "EPERM", ""},
	{"pivot_root", "EPERM", ""},
	{"fsopen", "EPERM", ""},
	{"fsconfig", "EPERM", ""}, // CVE-2022-0185
	{"fsmount", "EPERM", ""},
	{"fspick", "EPERM", ""},
	{"open_tree", "EPERM", ""},
	{"move_mount", "EPERM", ""},
	{"mount_setattr", "EPERM", ""},

	// the machine and the kernel
	{"iopl", "EPERM", ""},
	{"ioperm", "EPERM", ""},
	{"bpf", "EPERM", ""},
	{"perf_event_open", "EPERM", ""},
	{"keyctl", "EPERM", ""},
	{"add_key", "EPERM", ""},
	{"request_key", "EPERM", ""},
	{"userfaultfd", "EPERM", ""},
	{"io_uring_setup", "EPERM", ""},
	{"io_uring_enter", "EPERM", ""},
	{"io_uring_register", "EPERM", ""},
	{"init_module", "EPERM", ""},
	{"finit_module", "EPERM", ""},
	{"delete_module", "EPERM", ""},
	{"kexec_load", "EPERM", ""},
	{"kexec_file_load", "EPERM", ""},
	{"reboot", "EPERM", ""},
	{"settimeofday", "EPERM", ""},
	{"clock_settime", "EPERM", ""},
	{"clock_adjtime", "EPERM", ""},
	{"swapon", "EPERM", ""},
	{"swapoff", "EPERM", ""},
	{"acct", "EPERM", ""},
	{"syslog", "EPERM", ""},
	{"quotactl", "EPERM", ""},
	{"personality without randomization", "EPERM", ""},
	{"move_pages", "EPERM", ""},
	{"set_mempolicy", "EPERM", ""},
	{"fanotify_init", "EPERM", ""},
	{"kcmp", "EPERM", ""},
	{"vhangup", "EPERM", ""},
	{"sethostname", "EPERM", ""},
	{"setdomainname", "EPERM", ""},

	// sockets
	{"socket AF_VSOCK", "EPERM", ""},
	{"socket AF_ALG", "EPERM", ""},
	{"socket AF_NETLINK", "ok", ""},
	{"socket AF_PACKET", "ok", ""}, // CAP_NET_RAW, in its own network namespace
	{"raise lo's limit", "EPERM", ""},

	// files and devices; where the kernel's files are another's, the owner is looked at before the mount
	{"write /proc/sys/kernel/core_pattern", "EROFS", "EROFS|EACCES"},
	{"write /proc/sys/kernel/hostname", "EROFS", "EROFS|EACCES"},
	{"write /proc/sys/kernel/modprobe", "EROFS|ENOENT", "EROFS|EACCES|ENOENT"},
	{"write /proc/sys/vm/drop_caches", "EROFS", "EROFS|EACCES"},
	{"write /proc/sys/net/ipv4/ip_forward", "EROFS", "EROFS|EACCES"},
	{"write /proc/sysrq-trigger", "EROFS|ENOENT", "EROFS|EACCES|ENOENT"},
	{"write /proc/irq/default_smp_affinity", "EROFS|ENOENT", "EROFS|EACCES|ENOENT"},
	{"write /sys/power/state", "EROFS|ENOENT", "EROFS|EACCES|ENOENT"},
	{"read /proc/kcore", "empty|ENOENT", ""},
	{"read /proc/keys", "empty|ENOENT", ""},
	{"read /proc/timer_list", "empty|ENOENT", ""},
	{"read /proc/interrupts", "empty|ENOENT", ""},
	{"read /proc/acpi", "empty|ENOENT", ""},
	{"read /proc/scsi", "empty|ENOENT", ""},
	{"read /sys/firmware", "empty|ENOENT", ""},
	{"read /sys/kernel/debug", "empty|ENOENT", "empty|ENOENT|EACCES"},
	{"read /sys/kernel/security", "empty|ENOENT", ""},
	{"release_agent", "none|EROFS", "none|EROFS|EACCES"}, // CVE-2022-0492
	{"make a cgroup", "ENOENT|EROFS", "ENOENT|EROFS|EACCES"},
	{"mknod in /tmp", "open: EACCES", "mknod: EPERM"},
	{"mknod in /dev", "open: EACCES", "mknod: EPERM"},
	{"mknod in a volume", "open: EACCES", "mknod: EPERM"},
	{"mknod in /dev/shm", "open: EACCES", "mknod: EPERM"},
	{"a device node of the image", "EACCES", ""},
	{"open /dev/mem", "ENOENT", ""},
	{"open /dev/kmsg", "ENOENT", ""},
	{"setxattr trusted", "EPERM", ""},
	{"make a file immutable", "EPERM", ""},
	{"write /proc/1/exe", "ETXTBSY", ""}, // CVE-2019-5736: it is the probe's own
	{"write /proc/self/exe", "ETXTBSY", ""},
	{"truncate /proc/self/exe", "ETXTBSY", ""},
	{"lower oom_score_adj", "EACCES", ""},

	// processes
	{"pidfd_getfd of process 1", "EPERM", ""},
	{"a set-uid file", "euid 1000", ""},
	{"unset no_new_privs", "EINVAL", ""},
	{"capset CAP_SYS_ADMIN", "EPERM", ""},
	{"raise the limit of open files", "EPERM", ""},
	{"nice -20", "EACCES", ""},
	{"sched_setscheduler", "EPERM", ""},

	// ways out
	{"open_by_handle_at", "EPERM", ""},
	{"chroot and climb", "ENOENT", ""},
	{"climb by a descriptor", "ENOENT", ""},
	{"/proc/1/root", "ENOENT", ""},
	{"/proc/1/cwd", "ENOENT", ""},
	{"/proc/self/root", "ENOENT", ""},
	{"/proc/thread-self/root", "ENOENT", ""},

	// what the test has made on the host
	{"signal a process of the host", "ESRCH", ""},
	{"ptrace a process of the host", "ESRCH", ""},
	{"pidfd of a process of the host", "ESRCH", ""},
	{"process_vm_readv of a process of the host", "ESRCH", ""},
	{"abstract socket of the host", "ECONNREFUSED", ""}, // CVE-2020-15257
	{"TCP port of the host", "ECONNREFUSED", ""},
	{"shared memory of the host", "ENOENT", ""},
	{"paths of the host in mountinfo", "none", ""},
	{"paths of the host in the environment", "none", ""},

	// what is allowed
	{"chroot", "ok", ""},
	{"chmod u+s", "ok", ""},
	{"chown", "ok", ""},
	{"ptrace a child", "ok", ""},
	{"landlock", "ok|ENOSYS|EOPNOTSUPP", ""}, // a kernel without it
	{"personality", "ok", ""},
	{"bind port 80", "ok", ""},
	{"user.* attributes", "ok", ""},
	{"become another user", "ok", ""},
	{"statx", "ok", ""},
}
