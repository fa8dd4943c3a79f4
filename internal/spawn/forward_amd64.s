// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

#define SYS_rt_sigreturn      15
#define SYS_pidfd_send_signal 424
#define SIGINT  2
#define SIGKILL 9
#define SIGTERM 15
#define insist  3

#define pidfd      ·forwarding+0(SB)
#define interrupts ·forwarding+4(SB)
#define pending    ·forwarding+8(SB)

// The handler of signal DI, on the alternate stack of whatever thread the
// kernel chose. It looks again after keeping a signal: the process may have been
// named meanwhile, and then nobody else would send it.
TEXT ·handler(SB),NOSPLIT|NOFRAME,$0-0
	MOVL DI, SI
	CMPL SI, $SIGINT
	JEQ  interrupt
	CMPL SI, $SIGTERM
	JNE  send

interrupt:
	MOVL $1, AX
	LOCK
	XADDL AX, interrupts
	CMPL AX, $(insist-1)
	JLT  send
	MOVL $SIGKILL, SI

send:
	MOVL pidfd, DI
	TESTL DI, DI
	JEQ  keep
	DECL DI
	XORL DX, DX
	XORL R10, R10
	MOVL $SYS_pidfd_send_signal, AX
	SYSCALL
	RET

keep:
	MOVL SI, CX
	MOVQ $1, AX
	SHLQ CX, AX
	LOCK
	ORQ  AX, pending
	MOVL pidfd, DI
	TESTL DI, DI
	JNE  send
	RET

TEXT ·restorer(SB),NOSPLIT|NOFRAME,$0-0
	MOVQ $SYS_rt_sigreturn, AX
	SYSCALL
	INT  $3

DATA ·handlerAddress(SB)/8, $·handler(SB)
GLOBL ·handlerAddress(SB), RODATA, $8
DATA ·restorerAddress(SB)/8, $·restorer(SB)
GLOBL ·restorerAddress(SB), RODATA, $8
