// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Offsets of rawRequest and rawCall; request_test.go holds them to the Go types.
#define req_blocked 0
#define req_mask    8
#define req_nr      16
#define req_args    24
#define req_first   64
#define req_result  72
#define req_cloning 80
#define req_pidns   88
#define req_entered 96
#define req_thread  104

#define part_calls 0
#define part_n     8
#define part_next  16

#define call_nr       0
#define call_args     8
#define call_tolerate 56
#define call_onerror  64
#define call_positive 72
#define call_result   80
#define call_save     88
#define call_saved    96
#define call_time     104
#define call_tied     112
#define call_size     120

#define SYS_rt_sigprocmask 135
#define SYS_clone          220
#define SYS_exit           93
#define SYS_futex          98
#define SYS_exit_group     94
#define SYS_waitid         95
#define SYS_setns          268
#define SIG_SETMASK        2
#define FUTEX_WAKE         1
#define P_PID              1
#define WEXITED_WNOWAIT    0x1000004
#define CLONE_NEWPID       0x20000000

// CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_CHILD_CLEARTID
#define thread_flags 0x250f00

// func counter() uint64
TEXT ·counter(SB),NOSPLIT,$0-8
	MRS  CNTVCT_EL0, R0
	MOVD R0, ret+0(FP)
	RET

// func run(r *rawRequest) unix.Errno
//
// The thread and the child have this stack pointer too, and the caller goes on at
// once: they use no stack. The child writes no memory but the results.
TEXT ·run(SB),NOSPLIT,$0-16
	MOVD r+0(FP), R19
	MOVD $SYS_rt_sigprocmask, R8
	MOVD $SIG_SETMASK, R0
	ADD  $req_blocked, R19, R1
	ADD  $req_mask, R19, R2
	MOVD $8, R3
	SVC

	MOVD $SYS_clone, R8
	MOVD $thread_flags, R0
	MOVD ZR, R1
	MOVD ZR, R2
	MOVD ZR, R3
	MOVD req_thread(R19), R4
	SVC
	CBZ  R0, thread

	MOVD R0, R20
	MOVD $SYS_rt_sigprocmask, R8
	MOVD $SIG_SETMASK, R0
	ADD  $req_mask, R19, R1
	MOVD ZR, R2
	MOVD $8, R3
	SVC
	NEG  R20, R20
	CMP  $0, R20
	CSEL GT, R20, ZR, R20
	MOVD R20, ret+8(FP)
	RET

thread:
	MOVD req_pidns(R19), R0
	CMP  $0, R0
	BLT  clone
	MOVD $SYS_setns, R8
	MOVD $CLONE_NEWPID, R1
	SVC
	MOVD R0, req_entered(R19)
	CBNZ R0, cloned

clone:
	MOVD req_nr(R19), R8
	MOVD (req_args+0)(R19), R0
	MOVD (req_args+8)(R19), R1
	MOVD (req_args+16)(R19), R2
	MOVD (req_args+24)(R19), R3
	MOVD (req_args+32)(R19), R4
	MOVD ZR, R5
	SVC
	CBZ  R0, child

cloned:
	MOVD R0, R20
	MOVD R0, req_result(R19)
	ADD  $req_cloning, R19, R0
	STLRW ZR, (R0)
	MOVD $SYS_futex, R8
	MOVD $FUTEX_WAKE, R1
	MOVD $1, R2
	SVC
	MOVD $SYS_waitid, R8 // of no child when there is an error
	MOVD $P_PID, R0
	MOVD R20, R1
	MOVD ZR, R2
	MOVD $WEXITED_WNOWAIT, R3
	MOVD ZR, R4
	SVC
	MOVD $SYS_exit, R8
	MOVD ZR, R0
	SVC
	BRK

child:
	MOVD req_first(R19), R24
	MOVD req_thread(R19), R25
	// R19 is now the saved result.

part:
	MOVD part_calls(R24), R20
	MOVD part_n(R24), R21

next:
	CMP  $0, R21
	BLE  made
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
	MRS  CNTVCT_EL0, R22
	MOVD R22, call_time(R20)
	MOVD call_save(R20), R22
	CMP  $0, R22
	CSEL NE, R0, R19, R19
	MOVD call_tied(R20), R22
	CBZ  R22, free
	MOVWU (R25), R22
	CBZ  R22, end

free:
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

made:
	MOVD part_next(R24), R24
	CBNZ R24, part

end:
	MOVD $SYS_exit_group, R8
	MOVD $127, R0
	SVC
	BRK
