// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

#define SYS_kill            62
#define SYS_wait4           61
#define SYS_rt_sigtimedwait 128
#define SYS_exit_group      231
#define SIGCHLD             17
#define WNOHANG             1
#define child               2

// initCode is the whole text of the program that InitProgram writes: it refers
// to nothing outside itself. It is entered with every signal blocked, as
// process 1 of a namespace whose process 2 it watches.
//
//   0(SP) the set of all signals, 8(SP) a wait status, 16(SP) siginfo_t
TEXT ·initCode(SB),NOSPLIT|NOFRAME,$0-0
	SUBQ $256, SP
	MOVQ $-1, AX
	MOVQ AX, 0(SP)

wait:
	MOVQ $SYS_rt_sigtimedwait, AX
	MOVQ SP, DI
	LEAQ 16(SP), SI
	XORL DX, DX
	MOVQ $8, R10
	SYSCALL
	CMPQ AX, $SIGCHLD
	JEQ  reap
	TESTQ AX, AX
	JLE  wait
	MOVQ AX, SI
	MOVQ $child, DI
	MOVQ $SYS_kill, AX
	SYSCALL
	JMP  wait

reap:
	MOVQ $SYS_wait4, AX
	MOVQ $-1, DI
	LEAQ 8(SP), SI
	MOVQ $WNOHANG, DX
	XORL R10, R10
	SYSCALL
	TESTQ AX, AX
	JLE  wait
	CMPQ AX, $child
	JNE  reap
	MOVL 8(SP), DI
	MOVL DI, AX
	ANDL $0x7f, AX
	JNE  signalled
	SHRL $8, DI
	ANDL $0xff, DI
	JMP  exit

signalled:
	MOVL AX, DI
	ADDL $128, DI

exit:
	MOVQ $SYS_exit_group, AX
	SYSCALL
	INT  $3

TEXT ·initCodeEnd(SB),NOSPLIT|NOFRAME,$0-0
	RET

DATA ·initStart(SB)/8, $·initCode(SB)
GLOBL ·initStart(SB), RODATA, $8
DATA ·initEnd(SB)/8, $·initCodeEnd(SB)
GLOBL ·initEnd(SB), RODATA, $8
