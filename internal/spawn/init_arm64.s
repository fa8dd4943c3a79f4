// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

#define SYS_kill            129
#define SYS_wait4           260
#define SYS_rt_sigtimedwait 137
#define SYS_exit_group      94
#define SIGCHLD             17
#define WNOHANG             1
#define child               2

// initCode is the whole text of the program that InitProgram writes: it refers
// to nothing outside itself. It is entered with every signal blocked, as
// process 1 of a namespace whose process 2 it watches.
//
//   0(RSP) the set of all signals, 8(RSP) a wait status, 16(RSP) siginfo_t
TEXT ·initCode(SB),NOSPLIT|NOFRAME,$0-0
	SUB  $256, RSP
	MOVD $-1, R0
	MOVD R0, 0(RSP)

wait:
	MOVD $SYS_rt_sigtimedwait, R8
	MOVD RSP, R0
	ADD  $16, R0, R1
	MOVD ZR, R2
	MOVD $8, R3
	SVC
	CMP  $SIGCHLD, R0
	BEQ  reap
	CMP  $0, R0
	BLE  wait
	MOVD R0, R1
	MOVD $child, R0
	MOVD $SYS_kill, R8
	SVC
	B    wait

reap:
	MOVD $SYS_wait4, R8
	MOVD $-1, R0
	MOVD RSP, R1
	ADD  $8, R1
	MOVD $WNOHANG, R2
	MOVD ZR, R3
	SVC
	CMP  $0, R0
	BLE  wait
	CMP  $child, R0
	BNE  reap
	MOVWU 8(RSP), R0
	AND  $0x7f, R0, R1
	CBNZ R1, signalled
	LSR  $8, R0
	AND  $0xff, R0
	B    exit

signalled:
	ADD  $128, R1, R0

exit:
	MOVD $SYS_exit_group, R8
	SVC
	BRK

TEXT ·initCodeEnd(SB),NOSPLIT|NOFRAME,$0-0
	RET

DATA ·initStart(SB)/8, $·initCode(SB)
GLOBL ·initStart(SB), RODATA, $8
DATA ·initEnd(SB)/8, $·initCodeEnd(SB)
GLOBL ·initEnd(SB), RODATA, $8
