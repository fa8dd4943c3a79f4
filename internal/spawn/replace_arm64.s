// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Where the file has the number of its calls and the calls: replace.go.
#define calls_at      0x78 // behind the beginning of the file in memory
#define base          0x400000
#define call_nr       0
#define call_args     8
#define call_message  56
#define call_length   64
#define call_tolerate 72
#define call_size     80

#define SYS_write      64
#define SYS_exit_group 94

// replacementCode is the whole code of the program that Replacement.Exec makes
// of this process: it makes the calls one after the other.
TEXT ·replacementCode(SB),NOSPLIT|NOFRAME,$0-0
	MOVD $base, R19
	ADD  $calls_at, R19
	MOVD (R19), R20
	ADD  $8, R19

next:
	MOVD call_nr(R19), R8
	MOVD (call_args+0)(R19), R0
	MOVD (call_args+8)(R19), R1
	MOVD (call_args+16)(R19), R2
	MOVD (call_args+24)(R19), R3
	MOVD (call_args+32)(R19), R4
	MOVD (call_args+40)(R19), R5
	SVC
	CMP  $0, R0
	BGE  advance
	MOVD call_tolerate(R19), R1
	CBZ  R1, fail

advance:
	ADD  $call_size, R19
	SUB  $1, R20
	CBNZ R20, next
	B    exit

fail:
	MOVD $SYS_write, R8
	MOVD $2, R0
	MOVD call_message(R19), R1
	MOVD call_length(R19), R2
	SVC

exit:
	MOVD $SYS_exit_group, R8
	MOVD $125, R0
	SVC
	BRK

TEXT ·replacementCodeEnd(SB),NOSPLIT|NOFRAME,$0-0
	RET

DATA ·replacementStart(SB)/8, $·replacementCode(SB)
GLOBL ·replacementStart(SB), RODATA, $8
DATA ·replacementEnd(SB)/8, $·replacementCodeEnd(SB)
GLOBL ·replacementEnd(SB), RODATA, $8
