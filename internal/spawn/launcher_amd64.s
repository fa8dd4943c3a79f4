// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Where the file has what the program needs: launcher.go.
#define launch_at    0x400078
#define launch_count 0
#define launch_args  8
#define launch_env   16
#define launch_first 24

#define SYS_write      1
#define SYS_execve     59
#define SYS_fcntl      72
#define SYS_exit_group 231
#define F_SETFD        2
#define FD_CLOEXEC     1

// launcherCode is the whole code of a Launcher's program. Errors are gathered on
// the stack.
TEXT ·launcherCode(SB),NOSPLIT|NOFRAME,$0-0
	MOVQ $launch_at, R12
	MOVQ launch_count(R12), BX
	MOVQ BX, R13
	SHLQ $3, R13
	LEAQ launch_first(R12), R14

	MOVQ $SYS_fcntl, AX
	MOVQ $3, DI
	MOVQ $F_SETFD, SI
	MOVQ $FD_CLOEXEC, DX
	SYSCALL
	TESTQ AX, AX
	JLT  exit

next:
	MOVQ $SYS_execve, AX
	MOVQ (R14), DI
	MOVQ launch_args(R12), SI
	MOVQ launch_env(R12), DX
	SYSCALL
	SUBQ $8, SP
	MOVQ AX, (SP)
	ADDQ $8, R14
	DECQ BX
	JNE  next

	MOVQ $SYS_write, AX
	MOVQ $3, DI
	MOVQ SP, SI
	MOVQ R13, DX
	SYSCALL

exit:
	MOVQ $SYS_exit_group, AX
	MOVQ $127, DI
	SYSCALL
	INT  $3

TEXT ·launcherCodeEnd(SB),NOSPLIT|NOFRAME,$0-0
	RET

DATA ·launcherStart(SB)/8, $·launcherCode(SB)
GLOBL ·launcherStart(SB), RODATA, $8
DATA ·launcherEnd(SB)/8, $·launcherCodeEnd(SB)
GLOBL ·launcherEnd(SB), RODATA, $8
