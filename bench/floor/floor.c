// SPDX-License-Identifier: Apache-2.0

/*
 * floor starts containers with nothing but the system calls that they need. It
 * is what the kernel takes, and what everything else is measured against.
 *
 *   floor LOWER DIR rename|unlink PROGRAM [ARG...]
 *
 * LOWER is the lowerdir; DIR, on the filesystem of the store under test, holds
 * upperdirs, a trash, and the mount point. Each byte on standard input is one
 * command; the answer is a line with how many nanoseconds it took:
 *
 *   r   run: make an upperdir, start PROGRAM, wait for its end, remove
 *   s   start PROGRAM and leave it; it must write one byte when it is up
 *   k   kill the process that was started last, reap it, remove
 *
 * Build: cc -O2 -static -o floor floor.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELD 2000

static const char *lower, *dir;
static char **program;
static int removing; /* unlink in place of rename */
static int ready[2]; /* a pipe: the program's standard output, for s */
static int held[HELD], heldName[HELD], count, serial;
static char stack[64 * 1024] __attribute__((aligned(16)));

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static int check(int result, const char *what)
{
	if (result < 0)
		die(what);
	return result;
}

static void option(int context, const char *key, const char *value)
{
	int command = value ? 1 /* FSCONFIG_SET_STRING */ : 0 /* FSCONFIG_SET_FLAG */;
	check(syscall(SYS_fsconfig, context, command, key, value, 0), key);
}

/* made turns a context into a mount, attached at path. */
static void made(int context, const char *path, unsigned attributes)
{
	check(syscall(SYS_fsconfig, context, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0), path);
	int m = check(syscall(SYS_fsmount, context, 0, attributes), "fsmount");
	check(syscall(SYS_move_mount, m, "", AT_FDCWD, path, 4 /* MOVE_MOUNT_F_EMPTY_PATH */), path);
	close(m);
	close(context);
}

static void mountRoot(int name)
{
	char path[64];
	int context = check(syscall(SYS_fsopen, "overlay", 0), "fsopen overlay");
	option(context, "lowerdir+", lower);
	snprintf(path, sizeof path, "%d/upper", name);
	option(context, "upperdir", path);
	snprintf(path, sizeof path, "%d/work", name);
	option(context, "workdir", path);
	option(context, "volatile", NULL);
	made(context, "root", 0);
}

static void mountDevices(void)
{
	static const struct { const char *path; int minor; } nodes[] = {
		{"dev/null", 3}, {"dev/zero", 5}, {"dev/full", 7}, {"dev/random", 8}, {"dev/urandom", 9},
	};
	check(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k"), "dev");
	for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++)
		check(mknod(nodes[i].path, S_IFCHR | 0666, makedev(1, nodes[i].minor)), nodes[i].path);
	check(mknod("dev/tty", S_IFCHR | 0666, makedev(5, 0)), "dev/tty");
	check(mkdir("dev/pts", 0755) | mkdir("dev/shm", 01777) | mkdir("dev/mqueue", 0755), "dev directories");
	check(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"), "dev/pts");
	check(mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k"), "dev/shm");
	check(mount("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL), "dev/mqueue");
	check(symlink("pts/ptmx", "dev/ptmx") | symlink("/proc/self/fd", "dev/fd"), "dev links");
}

static void loopbackUp(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int s = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
	check(ioctl(s, SIOCSIFFLAGS, &request), "lo up");
	close(s);
}

static int child(void *argument)
{
	static char *environment[] = {"PATH=/usr/bin:/bin", NULL};
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
	mountRoot(*(int *)argument);
	check(chdir("root"), "chdir");
	check(mount("proc", "proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL), "proc");
	check(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL), "sys");
	mountDevices();
	loopbackUp();
	check(sethostname("floor", 5), "sethostname");
	check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	check(umount2(".", MNT_DETACH), "detach the old root");
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	check(dup2(ready[1], 1), "dup2");
	execve(program[0], program, environment);
	die(program[0]);
	return 0;
}

static int start(int name)
{
	char path[64];
	snprintf(path, sizeof path, "%d", name);
	check(mkdir(path, 0700), path);
	snprintf(path, sizeof path, "%d/upper", name);
	check(mkdir(path, 0755), path);
	snprintf(path, sizeof path, "%d/work", name);
	check(mkdir(path, 0755), path);
	const int flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWNET;
	return check(clone(child, stack + sizeof stack, flags | CLONE_VM | CLONE_VFORK | SIGCHLD, &name), "clone");
}

/* discard removes a container's directory: with a rename, or for good. An
 * upperdir of /bin/true is empty; the kernel made work/work and a mark of
 * volatile mounts in the workdir. */
static void discard(int name)
{
	static const char *parts[] = {
		"%d/work/work/incompat/volatile/dirty", "%d/work/work/incompat/volatile", "%d/work/work/incompat",
		"%d/work/work", "%d/work", "%d/upper", "%d",
	};
	char path[64], trash[64];
	snprintf(path, sizeof path, "%d", name);
	if (!removing) {
		snprintf(trash, sizeof trash, "trash/%d", name);
		check(rename(path, trash), path);
		return;
	}
	for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
		snprintf(path, sizeof path, parts[i], name);
		if (rmdir(path) < 0 && (errno != ENOTDIR || unlink(path) < 0))
			die(path);
	}
}

static void run(void)
{
	int status, name = serial++, pid = start(name);
	check(waitpid(pid, &status, 0), "wait");
	if (status != 0) {
		fprintf(stderr, "floor: status %d\n", status);
		_exit(125);
	}
	discard(name);
}

static void startHeld(void)
{
	char up;
	if (count == HELD)
		_exit(125);
	heldName[count] = serial++;
	held[count] = start(heldName[count]);
	count++;
	if (read(ready[0], &up, 1) != 1)
		die("wait until it is up");
}

static void killHeld(void)
{
	if (count == 0)
		return;
	count--;
	check(kill(held[count], SIGKILL), "kill");
	check(waitpid(held[count], NULL, 0), "wait");
	discard(heldName[count]);
}

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 125;
	lower = argv[1];
	dir = argv[2];
	removing = strcmp(argv[3], "unlink") == 0;
	program = argv + 4;
	check(chdir(dir), dir);
	check(pipe2(ready, O_CLOEXEC), "pipe");
	if ((mkdir("root", 0700) < 0 || mkdir("trash", 0700) < 0) && errno != EEXIST)
		die("mkdir");
	serial = getpid() * 10000;
	for (char command; read(0, &command, 1) == 1;) {
		long long before = now();
		switch (command) {
		case 'r': run(); break;
		case 's': startHeld(); break;
		case 'k': killHeld(); break;
		}
		printf("%lld\n", now() - before);
		fflush(stdout);
	}
	while (count > 0)
		killHeld();
	return 0;
}
