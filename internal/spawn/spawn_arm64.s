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

#define SYS_rt_sigprocmask 135
#define SYS_exit_group     94
#define SIG_SETMASK        2

// func run(r *rawRequest) int
//
// The child shares this stack frame: it writes no memory but the results, makes
// no call and never returns, so the parent finds its frame as it left it.
TEXT ·run(SB),NOSPLIT,$0-16
	MOVD r+0(FP), R19
	MOVD $SYS_rt_sigprocmask, R8
	MOVD $SIG_SETMASK, R0
	ADD  $req_blocked, R19, R1
	ADD  $req_mask, R19, R2
	MOVD $8, R3
	SVC

	MOVD req_nr(R19), R8
	MOVD (req_args+0)(R19), R0
	MOVD (req_args+8)(R19), R1
	MOVD (req_args+16)(R19), R2
	MOVD (req_args+24)(R19), R3
	MOVD (req_args+32)(R19), R4
	MOVD ZR, R5
	SVC
	CBZ  R0, child

	MOVD R0, R20
	MOVD $SYS_rt_sigprocmask, R8
	MOVD $SIG_SETMASK, R0
	ADD  $req_mask, R19, R1
	MOVD ZR, R2
	MOVD $8, R3
	SVC
	MOVD R20, ret+8(FP)
	RET

child:
	MOVD req_calls(R19), R20
	MOVD req_n(R19), R21
	// R19 is now the saved result.

next:
	CMP  $0, R21
	BLE  end
	MOVD $-4294967295, R22 // running
	MOVD R22, call_result(R20)
	MOVD call_nr(R20), R8
	MOVD (call_args+0)(R20), R0
	MOVD (call_args+8)(R20), R1
	MOVD (call_args+16)(R20), R2
	MOVD (call_args+24)(R20), R3
	MOVD (call_args+32)(R20), R4
	MOVD (call_args+40)(R20), R5
	MOVD call_saved(R20), R22
	CMP  $0, R22
	CSEL NE, R19, R0, R0
	SVC
	MOVD R0, call_result(R20)
	MOVD call_save(R20), R22
	CMP  $0, R22
	CSEL NE, R0, R19, R19
	MOVD ZR, R22
	CMP  $0, R0
	BEQ  advance
	BLT  error
	MOVD call_positive(R20), R22
	B    advance

error:
	MOVD call_tolerate(R20), R23
	CMN  $1, R23
	BEQ  tolerated
	NEG  R0, R0
	CMP  R0, R23
	BNE  end

tolerated:
	MOVD call_onerror(R20), R22

advance:
	ADD  $1, R22
	SUB  R22, R21
	MOVD $call_size, R23
	MUL  R23, R22
	ADD  R22, R20
	B    next

end:
	MOVD $SYS_exit_group, R8
	MOVD $127, R0
	SVC
	BRK
