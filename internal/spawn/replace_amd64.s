// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Where the file has the number of its calls and the calls: replace.go.
#define calls_at      0x400078
#define call_nr       0
#define call_args     8
#define call_message  56
#define call_length   64
#define call_tolerate 72
#define call_size     80

#define SYS_write      1
#define SYS_exit_group 231

// replacementCode is the whole code of the program that Replacement.Exec makes
// of this process: it makes the calls one after the other.
TEXT ·replacementCode(SB),NOSPLIT|NOFRAME,$0-0
	MOVQ $calls_at, R12
	MOVQ (R12), BX
	ADDQ $8, R12

next:
	MOVQ call_nr(R12), AX
	MOVQ (call_args+0)(R12), DI
	MOVQ (call_args+8)(R12), SI
	MOVQ (call_args+16)(R12), DX
	MOVQ (call_args+24)(R12), R10
	MOVQ (call_args+32)(R12), R8
	MOVQ (call_args+40)(R12), R9
	SYSCALL
	TESTQ AX, AX
	JGE  advance
	CMPQ call_tolerate(R12), $0
	JEQ  fail

advance:
	ADDQ $call_size, R12
	DECQ BX
	JNE  next
	JMP  exit

fail:
	MOVQ $SYS_write, AX
	MOVQ $2, DI
	MOVQ call_message(R12), SI
	MOVQ call_length(R12), DX
	SYSCALL

exit:
	MOVQ $SYS_exit_group, AX
	MOVQ $125, DI
	SYSCALL
	INT  $3

TEXT ·replacementCodeEnd(SB),NOSPLIT|NOFRAME,$0-0
	RET

DATA ·replacementStart(SB)/8, $·replacementCode(SB)
GLOBL ·replacementStart(SB), RODATA, $8
DATA ·replacementEnd(SB)/8, $·replacementCodeEnd(SB)
GLOBL ·replacementEnd(SB), RODATA, $8
