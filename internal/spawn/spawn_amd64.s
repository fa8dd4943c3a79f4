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

#define SYS_rt_sigprocmask 14
#define SYS_clone          56
#define SYS_exit           60
#define SYS_futex          202
#define SYS_exit_group     231
#define SYS_waitid         247
#define SYS_setns          308
#define SIG_SETMASK        2
#define FUTEX_WAKE         1
#define P_PID              1
#define WEXITED_WNOWAIT    0x1000004
#define CLONE_NEWPID       0x20000000

// CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_CHILD_CLEARTID
#define thread_flags 0x250f00

// func counter() uint64
TEXT ·counter(SB),NOSPLIT,$0-8
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET

// func run(r *rawRequest) unix.Errno
//
// The thread and the child have this stack pointer too, and the caller goes on at
// once: they use no stack. The child writes no memory but the results.
TEXT ·run(SB),NOSPLIT,$0-16
	MOVQ r+0(FP), R12
	MOVQ $SYS_rt_sigprocmask, AX
	MOVQ $SIG_SETMASK, DI
	LEAQ req_blocked(R12), SI
	LEAQ req_mask(R12), DX
	MOVQ $8, R10
	SYSCALL

	MOVQ $SYS_clone, AX
	MOVQ $thread_flags, DI
	XORL SI, SI
	XORL DX, DX
	MOVQ req_thread(R12), R10
	XORL R8, R8
	SYSCALL
	TESTQ AX, AX
	JEQ  thread

	MOVQ AX, BX
	MOVQ $SYS_rt_sigprocmask, AX
	MOVQ $SIG_SETMASK, DI
	LEAQ req_mask(R12), SI
	XORL DX, DX
	MOVQ $8, R10
	SYSCALL
	XORL AX, AX
	NEGQ BX
	CMOVQGT BX, AX
	MOVQ AX, ret+8(FP)
	RET

thread:
	MOVQ req_pidns(R12), DI
	TESTQ DI, DI
	JLT  clone
	MOVQ $SYS_setns, AX
	MOVQ $CLONE_NEWPID, SI
	SYSCALL
	MOVQ AX, req_entered(R12)
	TESTQ AX, AX
	JNE  cloned

clone:
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

cloned:
	MOVQ AX, BX
	MOVQ AX, req_result(R12)
	MOVL $0, req_cloning(R12)
	MOVQ $SYS_futex, AX
	LEAQ req_cloning(R12), DI
	MOVQ $FUTEX_WAKE, SI
	MOVQ $1, DX
	SYSCALL
	MOVQ $SYS_waitid, AX // of no child when there is an error
	MOVQ $P_PID, DI
	MOVQ BX, SI
	XORL DX, DX
	MOVQ $WEXITED_WNOWAIT, R10
	XORL R8, R8
	SYSCALL
	MOVQ $SYS_exit, AX
	XORL DI, DI
	SYSCALL
	INT  $3

child:
	MOVQ req_first(R12), R15
	MOVQ req_thread(R12), R14
	// R12 is now the saved result.

part:
	MOVQ part_calls(R15), R13
	MOVQ part_n(R15), BX

next:
	CMPQ BX, $0
	JLE  made
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
	MOVQ AX, R9
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, call_time(R13)
	MOVQ R9, AX
	CMPQ call_save(R13), $0
	CMOVQNE AX, R12
	CMPQ call_tied(R13), $0
	JEQ  free
	CMPL (R14), $0
	JEQ  end

free:
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

made:
	MOVQ part_next(R15), R15
	TESTQ R15, R15
	JNE  part

end:
	MOVQ $SYS_exit_group, AX
	MOVQ $127, DI
	SYSCALL
	INT  $3
