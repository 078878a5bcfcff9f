/* SPDX-License-Identifier: MIT */
/*
 * Messages between cores beyond pirn_call(): posts, calls on all cores, ports,
 * and calls from threads that are no cores.
 *
 * The rules at the head of <pirn.h> hold here too.  What the sender wrote before
 * is visible to who receives.
 */
#ifndef PIRN_MESSAGE_H
#define PIRN_MESSAGE_H

#include <pirn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ----------------------------------------------------------------- posts */

/*
 * Runs fn(arg) in a new fiber on @core and does not wait for it; what fn returns
 * is lost.  Parks as pirn_call() does: while that core has call_depth messages
 * it has not taken, and for call_window.  Posts from one core to another begin
 * in the order of sending; calls may overtake those that are delayed.
 *
 * A post that was sent is begun, unless the runtime ends first: where no fiber
 * can be made (max_fibers, memory) it is kept, and begun when one can.  A core
 * keeps call_depth of them for each sender; one more gives that sender
 * -EAGAIN, and nothing was sent.  -EINVAL: no such core.
 */
PIRN_API int pirn_post(unsigned int core, int (*fn)(void *arg), void *arg);

/* ----------------------------------------------------------- on all cores */

/*
 * Runs fn(arg), or fn(args[core]), on every core at the same time, this one
 * too, each as by pirn_call(), and parks until all have ended.  results[core]
 * (@results may be NULL) is then what fn returned there, or the negative errno
 * of why it did not run.  Nothing is taken back when one fails.
 *
 * Returns 0 when none of these is negative, else that of the lowest core.  So
 * -ECANCELED or -ETIMEDOUT here does not mean that nothing was done: some cores
 * may have run fn before the scope ended, and @results tells which had not.
 * With more than 16 cores, some pass the call on to others: for those that one
 * of them could not make a fiber for, its error is theirs.
 */
PIRN_API int pirn_call_all(int (*fn)(void *arg), void *arg, int *results);
PIRN_API int pirn_call_each(int (*fn)(void *arg), void *const *args,
			    int *results);

/* ----------------------------------------------------------------- ports */

#define PIRN_PORT_ITEM	64u		/* bytes an item may have */
#define PIRN_PORT_MOST	(1u << 20)	/* items a port may hold */

/*
 * A mailbox for items of one size, on the core that opened it: its home.  Copied
 * by value, to other cores too; what is inside is not for the program.  All
 * zero is a handle of no port.  A handle of a port that was freed gives -ESTALE,
 * always, and touches nothing; one of another runtime too (or -EINVAL), but for a
 * chance of one in 2^32.
 */
struct pirn_port {
	uint32_t core;
	uint32_t index;
	uint32_t generation;
	uint32_t type;
};

/*
 * Opens a port on this core for @capacity items of @bytes (1 to PIRN_PORT_ITEM),
 * or for buffers.  Allocates; -ENOMEM, -EINVAL, -ENOSPC: 65536 are open.
 */
PIRN_API int pirn_port_open(struct pirn_port *port, size_t bytes,
			    uint32_t capacity);
PIRN_API int pirn_port_open_buffers(struct pirn_port *port, uint32_t capacity);

/*
 * Puts a copy of an item of @bytes into the port; from any core.  Parks until
 * the home core has answered, and while the port is full; who waits gets in
 * first come, first in, so the items of one fiber stay in their order.  When it
 * returns 0 the item is in the port; else it is not, and never will be.
 *
 * With a deadline: -ETIMEDOUT when the port was full until then (one that has
 * passed: does not wait for room).  An answer that is already on its way counts,
 * so the call may return later than that by a turn of the home core.
 * -EPIPE: closed; -ESTALE: freed; -EINVAL: not a port of that type, or @bytes is
 * not its size.
 */
PIRN_API int pirn_port_send(struct pirn_port port, const void *item,
			    size_t bytes);
PIRN_API int pirn_port_send_until(struct pirn_port port, const void *item,
				  size_t bytes, uint64_t deadline);

/*
 * Takes the oldest item; on the home core (-EXDEV).  Parks while there is none;
 * receivers are served first come, first served.  -EPIPE: closed, and all was
 * taken; the others as for a send.  @item is untouched unless it returns 0.
 */
PIRN_API int pirn_port_receive(struct pirn_port port, void *item, size_t bytes);
PIRN_API int pirn_port_receive_until(struct pirn_port port, void *item,
				     size_t bytes, uint64_t deadline);

/*
 * The same for a port of buffers: @buf, a piece that pirn_buf_alloc() gave out
 * on any core, with a number that the program may use for how much is in it.
 * -EFAULT: it is not (of the pool of another core only the range is checked).
 * With 0 the buffer is the receiver's, who gives it back with pirn_buf_free() or
 * pirn_buf_return(); with an error it stays the sender's.
 */
PIRN_API int pirn_port_give(struct pirn_port port, void *buf, size_t bytes,
			    uint64_t deadline);
PIRN_API int pirn_port_take(struct pirn_port port, void **buf, size_t *bytes,
			    uint64_t deadline);

/*
 * Ends sending, from any core: senders get -EPIPE, those that wait too;
 * receivers get what is in the port, then -EPIPE.  Again is no error.  Parks on
 * another core than the home.
 */
PIRN_API int pirn_port_close(struct pirn_port port);

/*
 * Closes and frees a port, on its home core (-EXDEV): every handle is stale.
 * Items in it are dropped, buffers given back to their pools.  Parks when
 * buffers of other cores are among them.  The end of the runtime frees all.
 */
PIRN_API int pirn_port_free(struct pirn_port port);

/* ------------------------------------------------------- foreign threads */

/* By which threads that are no cores reach a runtime. */
struct pirn_door;

/*
 * From a fiber: *door may be used by any threads, many at once, until each
 * pirn_foreign_open() was matched by a pirn_foreign_close(), which any thread or
 * fiber may call.  pirn_run() does not wait for that: a door outlives its
 * runtime, and then says -ESHUTDOWN.  -EOPNOTSUPP: the backend has no room for
 * threads that it does not run (a simulation).
 */
PIRN_API int pirn_foreign_open(struct pirn_door **door);
PIRN_API void pirn_foreign_close(struct pirn_door *door);

/*
 * From a thread that is no core (-EDEADLK on one: there is pirn_call()): runs
 * fn(arg) in a new fiber on @core and blocks the thread until it has ended.
 * -EAGAIN, -ENOMEM: the fiber could not be made there; -EINVAL; -EPERM: in the
 * child of a fork; -ESHUTDOWN: the runtime has ended, before fn began or, when
 * the fiber was dropped by it, in the middle of fn.
 */
PIRN_API int pirn_foreign_call(struct pirn_door *door, unsigned int core,
			       int (*fn)(void *arg), void *arg, int *result);

/*
 * The same without waiting for fn.  Blocks the thread while foreign_depth calls
 * and posts are there that the core has not taken; pirn_foreign_try_post() gives
 * -EAGAIN instead.  A core without a fiber to be had takes no posts meanwhile.
 * Those of one thread to one core begin in their order.  Accepted is begun,
 * unless the runtime ends first.
 */
PIRN_API int pirn_foreign_post(struct pirn_door *door, unsigned int core,
			       int (*fn)(void *arg), void *arg);
PIRN_API int pirn_foreign_try_post(struct pirn_door *door, unsigned int core,
				   int (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif /* PIRN_MESSAGE_H */
