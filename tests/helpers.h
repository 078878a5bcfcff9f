/* SPDX-License-Identifier: MIT */
/*
 * What the test programs share.
 *
 * Each case runs in a process of its own, forked by its cmocka test: a check
 * that fails on a fiber's stack or on another thread cannot longjmp back into
 * cmocka, and a case that crashes or hangs must not take the others with it.
 * A failed check prints where and what, and ends that process.
 */
#ifndef PIRN_TESTS_HELPERS_H
#define PIRN_TESTS_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <pirn.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

#define array_size(a) (sizeof(a) / sizeof((a)[0]))
#define KiB 1024u
#define MiB (1024u * 1024u)

/* Defines a case; list it with cmocka_unit_test(name) in a program's table. */
#define TEST(name)                                                            \
	static void name##_case(void);                                        \
	static void name(void **state)                                        \
	{                                                                     \
		(void)state;                                                  \
		run_case(name##_case);                                        \
	}                                                                     \
	static void name##_case(void)

void run_case(void (*body)(void));

/*
 * main() of every program: all of @tests, or those argv[1] (a glob) names.
 * --backend-usable instead runs none: status 77, and why, on a machine that
 * excuses the wanted backend.
 */
int run_program(int argc, char **argv, const char *name,
		const struct CMUnitTest *tests, size_t n);

/* Ends the case as skipped, saying why. */
__attribute__((noreturn, format(printf, 1, 2)))
void skip_case(const char *why, ...);

__attribute__((noreturn, format(printf, 3, 4)))
void check_failed(const char *file, int line, const char *format, ...);

#define check(cond)                                                           \
	do {                                                                  \
		if (!(cond))                                                  \
			check_failed(__FILE__, __LINE__, "%s", #cond);        \
	} while (0)

#define check_op(got, op, want)                                               \
	do {                                                                  \
		long long got_ = (long long)(got), want_ = (long long)(want); \
		if (!(got_ op want_))                                         \
			check_failed(__FILE__, __LINE__,                      \
				     "%s %s %s: %lld against %lld", #got, #op, \
				     #want, got_, want_);                     \
	} while (0)
#define check_eq(got, want) check_op(got, ==, want)

/* A system call that must succeed; its value. */
#define must(call)                                                            \
	({                                                                    \
		__typeof__(call) ret_ = (call);                               \
		if (ret_ == (__typeof__(call))-1)                             \
			check_failed(__FILE__, __LINE__, "%s: %s", #call,     \
				     strerror(errno));                        \
		ret_;                                                         \
	})
/* A system call that must fail with @error. */
#define must_fail(call, error)                                                \
	do {                                                                  \
		long ret_ = (long)(call);                                     \
		int errno_ = errno;                                           \
		if (ret_ != -1 || errno_ != (error))                          \
			check_failed(__FILE__, __LINE__,                      \
				     "%s: %ld (%s), not %s", #call, ret_,     \
				     ret_ == -1 ? strerror(errno_) : "no error", \
				     strerror(error));                        \
	} while (0)

/*
 * @natively, or in the emulated machine, 10 to 30 times slower, @in_vm; under
 * ThreadSanitizer too, which is as slow.
 */
unsigned int scaled(unsigned int natively, unsigned int in_vm);
bool in_vm(void);

/* A random sequence that is the same in each run. */
struct rng {
	uint64_t state;
};
uint64_t rng_next(struct rng *rng);
/* 0 to @below - 1 */
uint64_t rng_below(struct rng *rng, uint64_t below);

/* Each 8 bytes tell where they belong (@offset + their place) and @seed. */
void fill(void *buf, size_t bytes, uint64_t offset, uint64_t seed);
/* The first byte that is not as fill() left it, or @bytes. */
size_t first_wrong(const void *buf, size_t bytes, uint64_t offset, uint64_t seed);
#define check_filled(buf, bytes, offset, seed)                                \
	do {                                                                  \
		size_t at_ = first_wrong(buf, bytes, offset, seed);           \
		if (at_ != (size_t)(bytes))                                   \
			check_failed(__FILE__, __LINE__,                      \
				     "wrong data at byte %zu of %zu, offset %llu", \
				     at_, (size_t)(bytes),                    \
				     (unsigned long long)(offset));           \
	} while (0)

/* CLOCK_MONOTONIC, asked of the kernel and not of the library where there is one. */
uint64_t clock_ns(void);
/* Sleeps the thread, whatever runs on it. */
void nap_ms(unsigned int ms);

/* Whether the wanted backend is the simulator; then time is virtual. */
bool simulated(void);
/* Skips a case that the simulator cannot carry, saying why. */
void not_simulated(const char *why);

/* The backend the program was told to test: $PIRN_TEST_BACKEND, or uring. */
enum pirn_backend wanted_backend(void);

/* Skips the case where the host blocks io_uring; run_on() does it by itself. */
void skip_without_uring(void);

/*
 * Runs fn(arg) on core 0 of a runtime with the wanted backend; the case fails
 * when it does not start or runs on another one. The backend field of @opt (may
 * be NULL) is ignored. Returns what fn returned.
 */
int run_on(const struct pirn_options *opt, int (*fn)(void *arg), void *arg);

/* The same with as many cores as there are CPUs, at least two, or skipped. */
int run_on_cores(const struct pirn_options *opt, int (*fn)(void *arg), void *arg);

/*
 * For pirn_options.cpus: @n cores (64 at most) on two of this process's CPUs, or
 * on the one it has. Valid until the next call.
 */
const char *shared_cpus(unsigned int n);

/* Runs fn(arg) as @n fibers of this core at once and joins them. */
void run_fibers(unsigned int n, int (*fn)(void *arg), void *arg);
/* The same on each core. */
void run_fibers_everywhere(unsigned int n, int (*fn)(void *arg), void *arg);

/*
 * The file or block device under test: $PIRN_TEST_TARGET, or a new regular file
 * of 64 MiB in $PIRN_TEST_DIR.
 */
struct target {
	char path[256];
	uint64_t bytes;
	bool block;
};
const struct target *test_target(void);
/* A path for a new file, removed at the end. */
const char *new_path(const char *name);

#endif /* PIRN_TESTS_HELPERS_H */
