/* SPDX-License-Identifier: MIT */
/*
 * libpirn: structure.  Scopes and their deadlines, cancellation, shielded
 * sections, cleanup handlers, ending a fiber from any depth, and a read that can
 * be given up.
 *
 * The rules of <pirn.h> hold here too.  The contract of cancellation:
 *
 *   -ECANCELED or -ETIMEDOUT from a call that parks, when a scope around it has
 *   ended, means that what it was to do was never begun: nothing was issued,
 *   sent, taken or handed over (of a call on all cores, some of it may have
 *   been: its results say for which).  What was begun is waited for, and the
 *   call gives its true result, late if need be; the next call says that the
 *   scope ended.  So a hung disk outlives a deadline: pirn_pread_give() is for
 *   that.
 *
 *   A transfer of more than 1 MiB is carried through once its first part was
 *   issued.  A device that itself times out gives -EIO, with a pirn_reason().
 *
 *   A fiber that runs learns of the end of its scope at its next call that
 *   parks, but not from pirn_yield(): a loop that never parks asks
 *   pirn_cancelled().
 *
 *   These never refuse, as they put away what there is: pirn_scope_end(),
 *   pirn_close(), pirn_buf_free().
 */
#ifndef PIRN_SCOPE_H
#define PIRN_SCOPE_H

#include <pirn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- scopes */

struct pirn_wait;

/*
 * Lies where its owner likes, mostly on the stack of the fiber that begins it,
 * and stays there until pirn_scope_end() has returned.  Needs no initialiser:
 * pirn_scope_begin() does that.  The members are the library's own.
 */
struct pirn_scope {
	struct pirn_fiber *owner;
	struct pirn_scope *outer;
	struct pirn_scope *inner;
	struct pirn_scope *beside_next;
	struct pirn_scope *beside_prev;
	struct pirn_fiber *member_first;
	struct pirn_fiber *member_last;
	struct pirn_wait *ending;
	uint64_t deadline;
	void *timer[4];
	int error;
	int result;
	uint32_t shield;
	uint32_t alone;
	void *reserved[5];
};

/*
 * From here to pirn_scope_end() the calling fiber is inside @scope: its own
 * calls that park are refused once the scope has ended, by
 *
 *   - its @deadline (absolute, PIRN_NEVER for none): they say -ETIMEDOUT;
 *   - pirn_scope_cancel(), or a fiber spawned into it that returned an error:
 *     they say -ECANCELED (-ETIMEDOUT when that was the error);
 *   - the end of the scope around it, which ends all inside: with its error.
 *
 * So the deadline that counts is the earliest of all scopes around.  It goes with
 * every pirn_call() to the core called, and so does the end of a scope while the
 * call is out: there the called function is refused its calls too; the caller
 * waits for what it returns.  What is called through other messages, and fibers
 * from pirn_spawn(), are outside every scope.
 *
 * Inside a shielded section the new scope is shielded from those around it; its
 * own deadline and cancellation count.
 *
 * A deadline that has passed when the turn began ends the scope at once.
 * -EINVAL: @scope is NULL, or begun already by this fiber.
 */
PIRN_API int pirn_scope_begin(struct pirn_scope *scope, uint64_t deadline);

/*
 * Makes a fiber inside @scope, as pirn_spawn() does, that pirn_scope_end() waits
 * for.  There is no handle: what it returns below 0 is the scope's error, and
 * ends the scope; all else is dropped.  By a fiber inside @scope: who began it,
 * those spawned into it, and those inside scopes that these began, also while
 * pirn_scope_end() waits.
 * -EINVAL: the caller is not inside, or fn is NULL; -ECANCELED, -ETIMEDOUT: the
 * scope has ended, shielded or not; -EAGAIN, -ENOMEM as pirn_spawn().
 */
PIRN_API int pirn_scope_spawn(struct pirn_scope *scope, int (*fn)(void *arg),
			      void *arg);
/* The same with attributes (may be NULL), a name for one; see <pirn.h>. */
PIRN_API int pirn_scope_spawn_options(struct pirn_scope *scope,
				      const struct pirn_fiber_options *options,
				      int (*fn)(void *arg), void *arg);

/*
 * Ends @scope for those inside, with @error (negative), which pirn_scope_end()
 * will return unless another was first.  Every wait of a fiber inside that is
 * not shielded ends now.  By any fiber of its core, inside or not, between begin
 * and end.  0 also when it had ended already.
 * -EINVAL: @error is not negative, or @scope not begun; -EXDEV: another core's.
 */
PIRN_API int pirn_scope_cancel(struct pirn_scope *scope, int error);

/*
 * Parks, shielded, until every fiber spawned into @scope has ended; then the
 * caller is in the scope around it again.  Returns the first error, in time, of:
 *
 *   - a negative result of a fiber spawned into it;
 *   - pirn_scope_cancel() of this scope;
 *   - the deadline, or the end of a scope around, when a call of a fiber inside
 *     (in the same core) was refused or ended early because of it, or asked
 *     pirn_cancelled(); one that cut nothing short is no error;
 *
 * else 0.  To be called by the fiber that began it (-EINVAL), the innermost of
 * its scopes first (-EDEADLK), with the cleanup handlers and shielded sections
 * begun inside it ended (-EINVAL); once: again is -EINVAL.
 */
PIRN_API int pirn_scope_end(struct pirn_scope *scope);

/*
 * The deadline of the calling fiber: the earliest of the scopes around it that
 * count; PIRN_NEVER when there is none, in a shielded section, outside a fiber.
 */
PIRN_API uint64_t pirn_scope_deadline(void);

/* 0, or what a call that parks would be refused with now. */
PIRN_API int pirn_cancelled(void);

/*
 * Between the two no call of this fiber is refused or ended early because of a
 * scope.  They nest.  -EINVAL: no section, of this scope, to end.
 */
PIRN_API int pirn_shield_begin(void);
PIRN_API int pirn_shield_end(void);

/* --------------------------------------------------------------- cleanup */

/*
 * A handler, in memory that stays until it is popped or has run.  The members
 * are the library's own.
 */
struct pirn_cleanup {
	struct pirn_cleanup *next;
	struct pirn_scope *scope;
	void (*fn)(void *arg);
	void *arg;
	void *reserved[2];
};

/*
 * fn(arg) runs when the calling fiber ends by pirn_exit(), when its function
 * returns (the handler then must not lie in the function's frame, which is gone:
 * one on the fiber's stack ends the program with a line that says so), or by
 * pirn_cleanup_pop() when @run.  The last pushed runs first, shielded; it may
 * park, and take a scope of its own to bound that.
 *
 * Fibers that are dropped at the end of the runtime have theirs run too, one
 * after the other on the thread in pirn_run(), when all cores have ended and
 * their IO in flight has: the last pushed of a fiber first, the fibers in no
 * order to rely on.  The runtime is over then: every call says -EPERM, and
 * buffers and files go with it.  A crash in the simulator runs none.
 *
 * pop: -EINVAL when @cleanup is not the last one pushed.
 */
PIRN_API int pirn_cleanup_push(struct pirn_cleanup *cleanup,
			       void (*fn)(void *arg), void *arg);
PIRN_API int pirn_cleanup_pop(struct pirn_cleanup *cleanup, int run);

/*
 * Ends the calling fiber as if its function returned @result; returns only
 * outside a fiber, with -EPERM.  Handlers run, and the scopes it began and did
 * not end are cancelled and ended (which parks), the last begun of all first.
 * Frames are not unwound: destructors of C++ do not run.  In the main fiber it
 * ends the runtime.
 */
PIRN_API int pirn_exit(int result);

/* --------------------------------------------------- reads to be given up */

/*
 * As pirn_pread(), but returns by @deadline, that of its scope, or when that is
 * cancelled, whatever the disk does: with -ETIMEDOUT or -ECANCELED, and then
 * @buf is no longer the caller's, issued or not.  The runtime keeps it until the
 * read has ended, and then gives it back to its pool.  With any other result
 * @buf is the caller's still.
 *
 * @buf is a whole buffer that pirn_buf_alloc() gave out on this core (-EFAULT),
 * @bytes 1 MiB at most (-EINVAL).
 *
 * Each core has pirn_options.max_orphans places, one for each such call under way
 * and each read given up that has not ended (pirn_core_stats.orphans).
 * -EAGAIN: all are taken; nothing was issued.  The file cannot be closed while
 * it has one (-EBUSY), and pirn_run() does not return before all have ended.
 */
PIRN_API ssize_t pirn_pread_give(struct pirn_file *file, void *buf,
				 size_t bytes, uint64_t offset,
				 uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif /* PIRN_SCOPE_H */
