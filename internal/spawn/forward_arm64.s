// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

#define SYS_rt_sigreturn      139
#define SYS_pidfd_send_signal 424
#define SIGINT  2
#define SIGKILL 9
#define SIGTERM 15
#define insist  3

// The handler of signal R0, on the alternate stack of whatever thread the
// kernel chose. It looks again after keeping a signal: the process may have been
// named meanwhile, and then nobody else would send it.
TEXT ·handler(SB),NOSPLIT|NOFRAME,$0-0
	MOVD $·forwarding(SB), R9
	MOVW R0, R1
	CMPW $SIGINT, R1
	BEQ  interrupt
	CMPW $SIGTERM, R1
	BNE  send

interrupt:
	ADD  $4, R9, R10

again:
	LDAXRW (R10), R11
	ADDW   $1, R11, R12
	STLXRW R12, (R10), R13
	CBNZ   R13, again
	CMPW   $insist, R12
	BLT    send
	MOVW   $SIGKILL, R1

send:
	LDARW (R9), R0
	CBZW  R0, keep
	SUBW  $1, R0
	MOVD  ZR, R2
	MOVD  ZR, R3
	MOVD  $SYS_pidfd_send_signal, R8
	SVC
	RET

keep:
	ADD  $8, R9, R10
	MOVD $1, R11
	LSL  R1, R11

retry:
	LDAXR (R10), R12
	ORR   R11, R12
	STLXR R12, (R10), R13
	CBNZ  R13, retry
	LDARW (R9), R0
	CBNZW R0, send
	RET

TEXT ·restorer(SB),NOSPLIT|NOFRAME,$0-0
	MOVD $SYS_rt_sigreturn, R8
	SVC
	BRK

DATA ·handlerAddress(SB)/8, $·handler(SB)
GLOBL ·handlerAddress(SB), RODATA, $8
DATA ·restorerAddress(SB)/8, $·restorer(SB)
GLOBL ·restorerAddress(SB), RODATA, $8
