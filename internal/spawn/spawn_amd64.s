// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Offsets of rawRequest and rawCall; request_test.go holds them to the Go types.
#define req_blocked 0
#define req_mask    8
#define req_nr      16
#define req_args    24
#define req_calls   64
#define req_n       72

#define call_nr       0
#define call_args     8
#define call_tolerate 56
#define call_onerror  64
#define call_positive 72
#define call_result   80
#define call_save     88
#define call_saved    96
#define call_size     104

#define SYS_rt_sigprocmask 14
#define SYS_exit_group     231
#define SIG_SETMASK        2

// func run(r *rawRequest) int
//
// The child shares this stack frame: it writes no memory but the results, makes
// no call and never returns, so the parent finds its frame as it left it.
TEXT ·run(SB),NOSPLIT,$0-16
	MOVQ r+0(FP), R12
	MOVQ $SYS_rt_sigprocmask, AX
	MOVQ $SIG_SETMASK, DI
	LEAQ req_blocked(R12), SI
	LEAQ req_mask(R12), DX
	MOVQ $8, R10
	SYSCALL

	MOVQ req_nr(R12), AX
	MOVQ (req_args+0)(R12), DI
	MOVQ (req_args+8)(R12), SI
	MOVQ (req_args+16)(R12), DX
	MOVQ (req_args+24)(R12), R10
	MOVQ (req_args+32)(R12), R8
	XORL R9, R9
	SYSCALL
	TESTQ AX, AX
	JEQ  child

	MOVQ AX, BX
	MOVQ $SYS_rt_sigprocmask, AX
	MOVQ $SIG_SETMASK, DI
	LEAQ req_mask(R12), SI
	XORL DX, DX
	MOVQ $8, R10
	SYSCALL
	MOVQ BX, ret+8(FP)
	RET

child:
	MOVQ req_calls(R12), R13
	MOVQ req_n(R12), BX
	// R12 is now the saved result.

next:
	CMPQ BX, $0
	JLE  end
	MOVQ $-4294967295, CX // running
	MOVQ CX, call_result(R13)
	MOVQ call_nr(R13), AX
	MOVQ (call_args+0)(R13), DI
	MOVQ (call_args+8)(R13), SI
	MOVQ (call_args+16)(R13), DX
	MOVQ (call_args+24)(R13), R10
	MOVQ (call_args+32)(R13), R8
	MOVQ (call_args+40)(R13), R9
	CMPQ call_saved(R13), $0
	CMOVQNE R12, DI
	SYSCALL
	MOVQ AX, call_result(R13)
	CMPQ call_save(R13), $0
	CMOVQNE AX, R12
	XORL CX, CX
	TESTQ AX, AX
	JEQ  advance
	JLT  error
	MOVQ call_positive(R13), CX
	JMP  advance

error:
	MOVQ call_tolerate(R13), DX
	CMPQ DX, $-1
	JEQ  tolerated
	NEGQ AX
	CMPQ AX, DX
	JNE  end

tolerated:
	MOVQ call_onerror(R13), CX

advance:
	INCQ  CX
	SUBQ  CX, BX
	IMULQ $call_size, CX
	ADDQ  CX, R13
	JMP   next

end:
	MOVQ $SYS_exit_group, AX
	MOVQ $127, DI
	SYSCALL
	INT  $3
