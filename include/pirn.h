/* SPDX-License-Identifier: MIT */
/*
 * libpirn: one thread a core, fibers that never migrate, messages between
 * cores, and disk IO that looks blocking and is not.
 *
 * Words: a core is one OS thread pinned to one CPU, with its own reactor.  A
 * fiber is a stackful thread of control that stays on its core.  To park is to
 * stop being runnable.  A pool is pinned, node-local memory that IO uses.
 *
 * Rules for the whole header
 *
 *   Errors are negative errno values; nothing sets or keeps errno, whose value
 *   is undefined after a call that may park.
 *   "Parks" marks calls that may stop the fiber and let others run.  They, and
 *   every call that acts on the current core, return -EPERM outside a fiber and
 *   in the child of a fork.  A call without the mark never parks.
 *   The child of a fork may only exec or _exit (it does the latter when the
 *   function of its fiber returns): memory from pirn_buf_alloc() is not there.
 *   Nothing here is async-signal-safe, and no signal handler is installed
 *   unless PIRN_REPORT_OVERFLOW asks for one.
 *   A call that parks says -ECANCELED or -ETIMEDOUT when a scope around it has
 *   ended (<pirn/scope.h>), and then has done nothing (a call on all cores: not
 *   all).  No device or file system is told of so: of those it is -EIO.
 *   Times are nanoseconds of CLOCK_MONOTONIC, deadlines absolute.
 *   A pthread mutex, errno, locale and every __thread variable belong to the
 *   core, not to the fiber: do not hold the first across a call that parks, and
 *   do not park inside a C++ catch block, whose state is such a variable.  Built
 *   with DEBUG=1 and linked statically, the library ends a process whose fiber
 *   parks or ends with such a mutex, and says who locked it where.
 *   The ABI may change between versions before 1.0.
 */
#ifndef PIRN_H
#define PIRN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PIRN_API __attribute__((visibility("default")))

#define PIRN_VERSION "0.1.0"

/* --------------------------------------------------------------- runtime */

struct pirn_file;
struct pirn_fiber_info;

/* What carries IO ops. */
enum pirn_backend {
	PIRN_BACKEND_AUTO = 0,	/* $PIRN_BACKEND; sim if PIRN_SIM is set; else what works first,
				 * within RLIMIT_MEMLOCK */
	PIRN_BACKEND_KMOD,	/* /dev/pirn; helper threads for buffered files */
	PIRN_BACKEND_URING,	/* io_uring: files and block devices */
	PIRN_BACKEND_AIO,	/* linux-aio and helper threads: the same */
	PIRN_BACKEND_SIM,	/* simulated: see <pirn/sim.h> */
	PIRN_BACKEND_LAST	/* not part of the API */
};

/*
 * Options of a runtime.  Set size with PIRN_OPTIONS_INIT; a zero field means
 * its default; what a longer struct of a newer header adds must be zero.
 */
struct pirn_options {
	size_t size;
	/*
	 * CPUs to run on, one core each, as in "0-3,8"; core N is the N-th CPU
	 * named.  One named twice has two cores that take turns, which is for
	 * tests and measuring only.  Default: the CPUs the calling thread may
	 * run on.
	 */
	const char *cpus;
	enum pirn_backend backend;
	uint32_t io_depth;	/* ops in flight a core, 2 to 4096: 256 */
	uint32_t io_batch;	/* ops one submission carries, 1 to depth: 32 */
	/*
	 * Messages from one core to one other that it has not taken yet, 1 to
	 * 1024: 64.  A call that would be one more parks.
	 */
	uint32_t call_depth;
	/*
	 * Calls and posts from one core to one other that have not ended, 1 up:
	 * no bound.  A fiber that would begin one more parks, unless a message
	 * made it or one that so was made: those are counted, never kept back.
	 */
	uint32_t call_window;
	/*
	 * Calls and posts of foreign threads that a core has not taken, 1 to
	 * 4096, rounded up to a power of two: 256.
	 */
	uint32_t foreign_depth;
	uint32_t max_fibers;	/* a core, to 2^24: 2^20 */
	/*
	 * A fiber, 16 KiB to 64 MiB: 256 KiB, virtual.  Below lies a guard of
	 * 64 KiB; code with larger frames wants -fstack-clash-protection.
	 */
	size_t stack_bytes;
	size_t pool_bytes;	/* of IO memory a core, 1 MiB to 1 TiB: 16 MiB */
	/*
	 * An idle core looks for work this long before it sleeps: 20,000 ns;
	 * PIRN_NO_SPIN to sleep at once.
	 */
	uint64_t spin_ns;
	/*
	 * When set, pirn_run() writes one line here: before fn runs, which
	 * backend it chose and why not a better one; else why it could not
	 * start.  After the end it adds how many fibers were left, if any.
	 */
	char *message;
	size_t message_bytes;
	/*
	 * Threads of the runtime, not of a core, that do what would block one:
	 * 1 to 256, PIRN_HELPER_THREADS.  They run on the CPUs and with the
	 * credentials of the caller of pirn_run(), with all signals blocked.
	 * When all are busy, what needs one waits, and nothing else does.
	 */
	uint32_t helper_threads;
	uint32_t flags;		/* PIRN_REPORT_OVERFLOW, PIRN_TIMES */
	uint32_t max_orphans;	/* places of pirn_pread_give() a core, 1 to 4096: 64 */
	/*
	 * Called for each fiber that has not ended when the main one returns,
	 * one at a time, on the thread of its core, in no order to rely on.  No
	 * call of this library may be made there.  NULL: only message has their
	 * number and the first one, after what it had before.
	 */
	void (*left)(void *left_arg, const struct pirn_fiber_info *info);
	void *left_arg;
};

/* A fiber that was left, as it was then. */
struct pirn_fiber_info {
	size_t size;		/* of what the library filled in */
	unsigned int core;
	int other_core;		/* that a pirn_call() is out to, or -1 */
	const char *name;	/* or NULL */
	int (*fn)(void *arg);
	void *arg;
	const char *doing;	/* the call it is parked in; NULL: runnable */
	struct pirn_file *file;	/* of IO under way, or NULL */
};

/*
 * A fiber that runs off its stack dies in the guard by SIGSEGV, as any wild
 * pointer.  With this flag one line on standard error says first which fiber of
 * which core it was, and which option to raise.  It takes a handler of SIGSEGV,
 * installed when the first runtime with the flag starts and taken back when the
 * last has ended, and an alternate signal stack for each core.  Every SIGSEGV,
 * reported or not, goes on to the handler there was before, or kills.
 */
#define PIRN_REPORT_OVERFLOW	(1u << 0)

/* Keep the times of each core's IO, for pirn_core_times(). */
#define PIRN_TIMES		(1u << 1)

#define PIRN_OPTIONS_INIT { .size = sizeof(struct pirn_options) }
#define PIRN_NO_SPIN UINT64_MAX
#define PIRN_HELPER_THREADS 4u

/*
 * Starts a runtime, runs fn(arg) in a fiber on core 0, and ends the runtime
 * when fn returns.  Blocks the calling thread, which must not itself be a core
 * (-EDEADLK).  @opt may be NULL.  Several runtimes may live in one process.
 *
 * Join what must finish: when fn returns, no other fiber of core 0 runs again;
 * those of other cores may until their core's turn is over.  Then they are told
 * of (pirn_options.left) and dropped: their IO in flight ends, their cleanup
 * handlers run, and files left open are closed.
 *
 * Returns 0 once fn ran; *result (may be NULL) is then what fn returned.
 * -EINVAL: an option is out of range; -ENODEV: the backend asked for (or any,
 * with auto) is not usable here; -ENOTSUP: shadow stacks are enabled;
 * -ENOMEM; others from starting threads.  See pirn_options.message.
 */
PIRN_API int pirn_run(const struct pirn_options *opt, int (*fn)(void *arg),
		      void *arg, int *result);

/*
 * Whether a backend can be used here: 0, or a negative errno and one line of
 * why not in @reason.  May be called anywhere; blocks for some system calls.
 */
PIRN_API int pirn_backend_probe(enum pirn_backend backend, char *reason,
				size_t reason_bytes);

/* "kmod", "uring", "aio", "sim", "auto"; NULL for a number that is none.  Anywhere. */
PIRN_API const char *pirn_backend_name(enum pirn_backend backend);

/* The backend of the runtime this fiber runs in, or -EPERM. */
PIRN_API int pirn_backend_current(void);

/* This fiber's core, 0 up; how many cores there are; the CPU of one (-EINVAL). */
PIRN_API int pirn_core(void);
PIRN_API int pirn_core_count(void);
PIRN_API int pirn_core_cpu(unsigned int core);

/*
 * One line on why the last call on this core failed, where there is more to say
 * than the errno; else "".  Valid until the next call that fails on this core.
 */
PIRN_API const char *pirn_reason(void);

/* What a core has done since it started. */
struct pirn_core_stats {
	size_t size;		/* set by the caller */
	uint64_t turns;		/* passes of the reactor */
	uint64_t submitted;	/* ops handed to the backend */
	uint64_t completed;	/* ops that came back */
	uint64_t enters;	/* system calls to submit or wait */
	uint64_t seen_without_enter; /* completions published between two enters */
	uint64_t sleeps;	/* times the core went to sleep */
	uint64_t calls_sent;	/* pirn_call() from this core */
	uint64_t calls_parked;	/* of those and of posts, had to wait */
	uint64_t fibers;	/* alive now */
	uint64_t posts_sent;	/* pirn_post() from this core */
	uint64_t posts_delayed;	/* to this core, found no fiber at first */
	uint64_t foreign;	/* calls and posts of foreign threads taken */
	uint64_t bad_frees;	/* pirn_buf_return() of what is no buffer here */
	/* What helper threads did for this core, by what it was: */
	uint64_t helped_open;	/* opening and closing */
	uint64_t helped_name;	/* renaming and unlinking */
	uint64_t helped_truncate;
	uint64_t helped_sync;	/* of directories */
	uint64_t helped_buffered; /* aio, kmod: IO of buffered files */
	uint64_t helped_would_block; /* aio: those that submission would wait in */
	uint64_t orphans;	/* reads given up that have not ended, now */
	uint64_t orphaned;	/* reads given up in all */
	uint64_t helped_space;	/* by helper threads: pirn_fallocate(), pirn_discard() */
};

/* The current core's figures.  -EPERM, -EINVAL (size). */
PIRN_API int pirn_core_stats(struct pirn_core_stats *stats);

/*
 * Where the time of a core's ops went; only with PIRN_TIMES.  The first three are
 * the parts of the fourth, and are known on the backend kmod alone.
 */
enum pirn_time {
	PIRN_TIME_QUEUED,	/* from the turn the fiber asked in to the submission */
	PIRN_TIME_DEVICE,	/* to the moment the device had done it */
	PIRN_TIME_SEEN,		/* from there to the turn the fiber could run in */
	PIRN_TIME_ALL,
	PIRN_TIME_LAST		/* not part of the API */
};

/*
 * In ns, of all ops since the core started; half, p90, p99 and p999: so much was
 * not exceeded by that share of them, up to an eighth too high.
 */
struct pirn_times {
	size_t size;		/* set by the caller */
	uint64_t count;
	uint64_t half;
	uint64_t p90;
	uint64_t p99;
	uint64_t p999;
	uint64_t most;		/* exactly */
};

/* Of the current core.  -EPERM, -EINVAL; -ENODATA: without PIRN_TIMES. */
PIRN_API int pirn_core_times(enum pirn_time which, struct pirn_times *times);

/*
 * The stacks of the current core's fibers.  A stack whose fiber has ended waits
 * for the next one.  One that no fiber wanted for a second (two at most) is cold:
 * its memory goes back to the kernel, but for the page at its top, which holds
 * the fiber's own record too.  So the memory that a burst of fibers or a deep
 * recursion took is given back, 4 stacks every 256 turns or sooner when the core
 * is idle.
 */
struct pirn_stack_stats {
	size_t size;		/* set by the caller */
	uint64_t stack_bytes;	/* address space of one, its guard not counted */
	/*
	 * The most that a fiber used, in bytes, as far as its pages tell: up to
	 * one page too many, and too few when pages were swapped out.  To the
	 * byte in a library built with DEBUG=1, where every stack is resident.
	 */
	uint64_t used_most;
	uint64_t made;		/* stacks there are; they stay until the core ends */
	uint64_t pooled;	/* of them without a fiber */
	uint64_t cold;		/* of those, given back to the kernel */
	uint64_t resident;	/* bytes of memory all have together, now */
	uint64_t returned;	/* bytes given back to the kernel since the start */
};

/*
 * Looks at every stack of the core: blocks it for one to two microseconds each.
 * -EPERM, -EINVAL (size).
 */
PIRN_API int pirn_stack_stats(struct pirn_stack_stats *stats);

/* ---------------------------------------------------------------- fibers */

struct pirn_fiber;

/*
 * Makes a fiber on this core that runs fn(arg); it is runnable at once and runs
 * after this one parks or yields.  With @fiber NULL it is detached; else
 * *fiber must be joined or detached once.
 * -EAGAIN: max_fibers exist; -ENOMEM: no stack (pirn_reason() names the limit).
 */
PIRN_API int pirn_spawn(struct pirn_fiber **fiber, int (*fn)(void *arg),
			void *arg);

/*
 * Rounding mode, exception masks and the like (mxcsr and the x87 control word,
 * fpcr) belong to the core: what one fiber sets, all have.  A fiber with this
 * flag has its own; it begins with the core's, and costs about 10 ns more each
 * time it stops or goes on.
 */
#define PIRN_FIBER_FP		(1u << 0)

/* Attributes of a fiber; a zero field means its default. */
struct pirn_fiber_options {
	size_t size;
	const char *name;	/* not copied: must last as long as the fiber */
	uint32_t flags;		/* PIRN_FIBER_FP */
	uint32_t reserved;	/* 0 */
};

#define PIRN_FIBER_OPTIONS_INIT { .size = sizeof(struct pirn_fiber_options) }

/* As pirn_spawn(), with attributes (may be NULL).  -EINVAL: unknown ones. */
PIRN_API int pirn_spawn_options(struct pirn_fiber **fiber,
				const struct pirn_fiber_options *opt,
				int (*fn)(void *arg), void *arg);

/*
 * Parks until @fiber, of this core, has ended, and frees it; *result (may be
 * NULL) is what it returned.  -EDEADLK: itself; -EXDEV: of another core;
 * -EINVAL: detached, or another fiber already joins it; refused by a scope it has
 * not joined, and that is still to be done.  Afterwards the handle
 * is gone: a later fiber may have the same, and using it is a bug.
 */
PIRN_API int pirn_join(struct pirn_fiber *fiber, int *result);

/* Nobody will join @fiber, of this core: freed when it ends.  Errors of join. */
PIRN_API int pirn_detach(struct pirn_fiber *fiber);

/* The running fiber; NULL outside one. */
PIRN_API struct pirn_fiber *pirn_self(void);

/* Lets the other runnable fibers run first.  Parks (runnable). */
PIRN_API int pirn_yield(void);

/*
 * Parks until pirn_unpark(); returns at once when one came since the last park,
 * which may have been meant for an earlier wait: loop around the condition.
 */
PIRN_API int pirn_park(void);

/* Makes @fiber, of this core, runnable, or its next park return.  -EXDEV. */
PIRN_API int pirn_unpark(struct pirn_fiber *fiber);

/*
 * 64 random bits of this core's own sequence, not for secrets; 0 outside a core.
 * In a simulation the seed decides them.
 */
PIRN_API uint64_t pirn_random(void);

/* ------------------------------------------------------------------ time */

/* A deadline that never comes. */
#define PIRN_NEVER UINT64_MAX

/* CLOCK_MONOTONIC now; 0 outside a core. */
PIRN_API uint64_t pirn_now(void);

/* The same, read once a turn when first asked for: cheap, and a turn old. */
PIRN_API uint64_t pirn_turn_time(void);

/*
 * Parks for @ns, or until @deadline (at once when it has passed).  0, or why the
 * fiber's scope has ended, then perhaps earlier.
 */
PIRN_API int pirn_sleep(uint64_t ns);
PIRN_API int pirn_sleep_until(uint64_t deadline);

/* -------------------------------------------------------------- messages */

/*
 * Runs fn(arg) in a new fiber on @core and parks until it has ended; *result
 * (may be NULL) is what it returned.  fn may park.  What the caller wrote
 * before is visible to fn, and what fn wrote to the caller after.  Parks first,
 * in order, while that core has call_depth messages it has not taken, and before
 * that for call_window.  Calls may nest and cross in any way: no reply ever waits
 * for a call.  <pirn/message.h> has posts, ports, calls on all cores, and calls
 * from other threads.
 * -EINVAL: no such core; -EAGAIN, -ENOMEM: the fiber could not be made there.
 */
PIRN_API int pirn_call(unsigned int core, int (*fn)(void *arg), void *arg,
		       int *result);

/* --------------------------------------------------------------- buffers */

/*
 * @bytes of IO memory from this core's pool, on the core's node, aligned to the
 * least power of two that is at least @bytes (4096 at least, 2 MiB at most).
 * NULL when the pool has no such piece, or outside a fiber.  Contents are
 * whatever the last user left.  Any core may use it for IO.
 */
PIRN_API void *pirn_buf_alloc(size_t bytes);

/*
 * Gives it back, to the core it came from: parks when that is another one.
 * NULL is ignored.  -EFAULT: not from pirn_buf_alloc(), or given back before.
 */
PIRN_API int pirn_buf_free(void *buf);

/*
 * The same without waiting until it has arrived: parks only while the core it
 * came from has call_depth messages not taken.  From another core only the range
 * is checked here; what turns out there to be no buffer stays as it is and is
 * counted in bad_frees of pirn_core_stats().
 */
PIRN_API int pirn_buf_return(void *buf);

/* -------------------------------------------------------------------- IO */

struct pirn_file;

/* Besides O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC of open(2): */
#define PIRN_O_BUFFERED	(1 << 30) /* through the page cache; else O_DIRECT */
#define PIRN_O_RANDOM	(1 << 29) /* small random accesses: do not merge */

/*
 * Opens a file or block device; the handle may be used on every core of the
 * runtime.  A helper thread opens it: parks.  An open that fails has emptied no
 * file, and takes away one that it made.
 *
 * -EINVAL: an unknown flag, O_TRUNC with O_RDONLY, or the file system refuses
 * O_DIRECT; -EOPNOTSUPP, on kmod: it has none of its own, as tmpfs, or not for
 * this file; -ENFILE: too many are open on a core; others as open(2).
 * pirn_reason() has more.
 */
PIRN_API int pirn_open(struct pirn_file **file, const char *path, int flags,
		       mode_t mode);

/*
 * Closes; no call on the file may be under way on any core (-EBUSY, and it
 * stays open; calls that start meanwhile may get -EBADF).  Parks.  On io_uring,
 * kernels before 6.2 hold the file about a second longer.
 */
PIRN_API int pirn_close(struct pirn_file *file);

/* Bytes of the file or device now, or a negative errno. */
PIRN_API int64_t pirn_size(struct pirn_file *file);

/* Sets the length of a regular file (-EINVAL for others).  Parks. */
PIRN_API int pirn_truncate(struct pirn_file *file, uint64_t bytes);

/*
 * As rename(2) and unlink(2); pirn_sync_dir() makes the names in a directory
 * durable, new and renamed ones too.  Park.
 */
PIRN_API int pirn_rename(const char *from, const char *to);
PIRN_API int pirn_unlink(const char *path);
PIRN_API int pirn_sync_dir(const char *path);

/*
 * What offset and length of direct IO are multiples of, and what buffer
 * addresses are multiples of; 1 and 1 for a buffered file.
 */
PIRN_API uint32_t pirn_block_bytes(const struct pirn_file *file);
PIRN_API uint32_t pirn_memory_align(const struct pirn_file *file);

/*
 * Reads or writes @bytes at @offset.  @buf lies wholly in the pool of one core
 * (any), else -EFAULT; that it is a piece the caller was given is not checked.
 * Parks.
 *
 * A read returns the bytes read, fewer only at the end of the file, 0 at and
 * past it.  A write returns @bytes or an error, never less; -ENOSPC when it
 * would pass the end of a device, then with nothing written past it.  -EINVAL:
 * offset, length or address not aligned (pirn_reason() says which); -EBADF: not
 * open for that; -EPERM or -EROFS: read-only; -EIO and others from the device.
 * @flags of a write: PIRN_DSYNC, durable when it returns; where a sync of the
 * handle has failed it writes nothing and gives that error (pirn_fsync()).
 */
#define PIRN_DSYNC 1u

PIRN_API ssize_t pirn_pread(struct pirn_file *file, void *buf, size_t bytes,
			    uint64_t offset);
PIRN_API ssize_t pirn_pwrite(struct pirn_file *file, const void *buf,
			     size_t bytes, uint64_t offset, unsigned int flags);

/*
 * Makes durable every write that completed before the call.  An error stays
 * with the handle, one of a PIRN_DSYNC write too: each later call, and each
 * later PIRN_DSYNC write, gives it again.  Syncs of one file run one after the other, on the core that opened
 * it: -EAGAIN, -ENOMEM when that core can make no fiber.  Parks.
 */
PIRN_API int pirn_fsync(struct pirn_file *file);

/*
 * The same for what is needed to read it back: contents and length, not the times
 * that stat() shows.  Syncs of both kinds are one queue, and an error of either
 * stays.
 */
PIRN_API int pirn_fdatasync(struct pirn_file *file);

/*
 * Changes what the @bytes at @offset of a file open for writing hold, in one op of
 * any length.  Both are multiples of pirn_block_bytes(), @bytes is not 0, and
 * their sum is below 2^63, else -EINVAL.  Durable as a write is: by a later sync;
 * until then a crash may leave any of it undone, block by block.  Park.
 *
 * pirn_fallocate(): @mode is of <linux/falloc.h>: 0 allocates blocks, and sets the
 * length of a file that would be shorter; FALLOC_FL_ZERO_RANGE makes it read as
 * zeroes, too; both with FALLOC_FL_KEEP_SIZE leave the length as it is;
 * FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE gives blocks back: they read as
 * zeroes.  A device cannot allocate.
 *
 * pirn_write_zeroes(): FALLOC_FL_ZERO_RANGE, by what means there are: of a device
 * by a command, or by writing them.
 *
 * pirn_discard(): a block device may forget them.  What is read there is anything,
 * another thing each time, until it is written again.
 *
 * -EOPNOTSUPP: another mode, a file for pirn_discard(), or what this file system or
 * device cannot do; -EBADF: not open for writing; -EINVAL: it would pass the end of
 * a device (with FALLOC_FL_KEEP_SIZE: begins there); -EBUSY: a device that is
 * mounted or so; -ENOSPC, -EFBIG, -EPERM, -EIO and others as those of a write.
 */
PIRN_API int pirn_fallocate(struct pirn_file *file, int mode, uint64_t offset,
			    uint64_t bytes);
PIRN_API int pirn_write_zeroes(struct pirn_file *file, uint64_t offset,
			       uint64_t bytes);
PIRN_API int pirn_discard(struct pirn_file *file, uint64_t offset,
			  uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* PIRN_H */
