// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Where the file has what the program needs: launcher.go.
#define base         0x400000
#define launch_at    0x78 // behind base
#define launch_count 0
#define launch_args  8
#define launch_env   16
#define launch_first 24

#define SYS_fcntl      25
#define SYS_write      64
#define SYS_exit_group 94
#define SYS_execve     221
#define F_SETFD        2
#define FD_CLOEXEC     1

// launcherCode is the whole code of a Launcher's program. Errors are gathered on
// the stack, by another register than its own, which must stay aligned to 16.
TEXT ·launcherCode(SB),NOSPLIT|NOFRAME,$0-0
	MOVD $base, R19
	ADD  $launch_at, R19
	MOVD launch_count(R19), R20
	ADD  $launch_first, R19, R21
	MOVD RSP, R22
	LSL  $3, R20, R23

	MOVD $SYS_fcntl, R8
	MOVD $3, R0
	MOVD $F_SETFD, R1
	MOVD $FD_CLOEXEC, R2
	SVC
	CMP  $0, R0
	BLT  exit

next:
	MOVD $SYS_execve, R8
	MOVD (R21), R0
	MOVD launch_args(R19), R1
	MOVD launch_env(R19), R2
	SVC
	SUB  $8, R22
	MOVD R0, (R22)
	ADD  $8, R21
	SUB  $1, R20
	CBNZ R20, next

	MOVD $SYS_write, R8
	MOVD $3, R0
	MOVD R22, R1
	MOVD R23, R2
	SVC

exit:
	MOVD $SYS_exit_group, R8
	MOVD $127, R0
	SVC
	BRK

TEXT ·launcherCodeEnd(SB),NOSPLIT|NOFRAME,$0-0
	RET

DATA ·launcherStart(SB)/8, $·launcherCode(SB)
GLOBL ·launcherStart(SB), RODATA, $8
DATA ·launcherEnd(SB)/8, $·launcherCodeEnd(SB)
GLOBL ·launcherEnd(SB), RODATA, $8
