/* The kernel, asked without a C library: a static one is a hundred times the size of the program. Only the calls that
 * pause.c makes; each returns what the kernel does, a negative errno where it refuses. */
#pragma once

#include <sys/syscall.h>

#if defined(__x86_64__)

static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* Where the kernel begins: no return address on the stack, which is aligned. */
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tcall pause_main\n\thlt\n");

#elif defined(__aarch64__)

static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x30, xzr\n\tbl pause_main\n\tbrk 0\n");

#elif defined(__arm__) && defined(__ARM_EABI__)

/* r7 may be the frame pointer, which no operand can name: the number is put there by hand. */
static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long r0 __asm__("r0") = a;
	register long r1 __asm__("r1") = b;
	register long r2 __asm__("r2") = c;
	register long r3 __asm__("r3") = d;
	register long r4 __asm__("r4") = e;
	register long r5 __asm__("r5") = f;
	register long r6 __asm__("r6") = number;
	__asm__ volatile("push {r7}\n\tmov r7, r6\n\tsvc 0\n\tpop {r7}"
			 : "+r"(r0)
			 : "r"(r6), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5)
			 : "memory");
	return r0;
}

__asm__(".globl _start\n.type _start, %function\n_start:\n\tmov fp, #0\n\tmov lr, #0\n\tbl pause_main\n\tudf #0\n");

#elif defined(__riscv) && __riscv_xlen == 64

static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long a7 __asm__("a7") = number;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;
	register long a5 __asm__("a5") = f;
	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
	return a0;
}

__asm__(".globl _start\n_start:\n\tmv fp, zero\n\tcall pause_main\n\tunimp\n");

#else
#error "system.h does not know how this processor calls its kernel: add it"
#endif

static inline long call3(long number, long a, long b, long c)
{
	return call6(number, a, b, c, 0, 0, 0);
}

/* A pointer as an argument. */
#define ARG(pointer) ((long)(pointer))
