/* SPDX-License-Identifier: MIT */
/*
 * What a backend is.  Everything the runtime takes from the world goes through
 * this table, time and threads and sleep too, so that a simulator can stand in
 * for all of it: above it there is no clock, no descriptor, no thread, nothing
 * that waits for another core without parking, and no submission that completes
 * inside itself.
 */
#ifndef PIRN_BACKEND_H
#define PIRN_BACKEND_H

#include "lib.h"
#include "op.h"

struct pirn_backend_ops {
	const char *name;

	/* 0, or a negative errno and one line in @why. */
	int (*probe)(char *why, size_t why_bytes);

	/*
	 * The CPUs that the runtime's options ask for, at most @max: how many, or
	 * a negative errno.
	 */
	int (*cpus)(struct pirn_runtime *rt, int *cpus, unsigned int max,
		    char *why, size_t why_bytes);

	/*
	 * Starts all cores of a prepared runtime, runs their turns until it stops,
	 * and stops them: pirn_host_run(), or a simulator's own.
	 */
	int (*run)(struct pirn_runtime *rt, char *why, size_t why_bytes);

	/*
	 * The backend's part of a core.  start runs on the core's own thread and
	 * leaves a line in @why when it fails; stop runs after every thread has
	 * ended, with no op in flight.
	 */
	int (*core_start)(struct pirn_core *core, char *why, size_t why_bytes);
	void (*core_stop)(struct pirn_core *core);
	/* The last thing on the core's own thread; may be NULL. */
	void (*core_leave)(struct pirn_core *core);

	/* Memory for core->pool: base, bytes, map_*; and giving it back. */
	int (*pool_map)(struct pirn_core *core, char *why, size_t why_bytes);
	void (*pool_unmap)(struct pirn_pool *pool);
	/* Lets this core's ops use a pool: a slot >= 0, or a negative errno. */
	int (*pool_attach)(struct pirn_core *core, struct pirn_pool *pool);

	/*
	 * Files.  open fills handle, block, block_bytes and memory_align, and
	 * when it fails has changed no file and made none; attach gives the slot
	 * by which this core's ops name it.  What names a path, close and
	 * truncate may park the fiber; close is called outside one too, for the
	 * files a runtime leaves open.
	 */
	int (*file_open)(struct pirn_core *core, struct pirn_file *file,
			 const char *path, int flags, mode_t mode);
	void (*file_close)(struct pirn_file *file);
	int64_t (*file_size)(struct pirn_file *file);
	int (*file_truncate)(struct pirn_core *core, struct pirn_file *file,
			     uint64_t bytes);
	int (*file_attach)(struct pirn_core *core, struct pirn_file *file);
	void (*file_detach)(struct pirn_core *core, int slot);
	int (*rename)(struct pirn_core *core, const char *from, const char *to);
	int (*unlink)(struct pirn_core *core, const char *path);
	/* Makes the names in a directory durable. */
	int (*dir_sync)(struct pirn_core *core, const char *path);

	/* Takes an op for the next enter; false when there is no room now. */
	bool (*queue)(struct pirn_core *core, struct pirn_op *op);
	/*
	 * The same for @nr ops, 2 to PIRN_JOIN_OPS, that end together: see
	 * pirn_op_queue_join().  NULL: it cannot.
	 */
	int (*queue_join)(struct pirn_core *core, struct pirn_op **ops,
			  uint32_t nr);
	/*
	 * Submits what is queued; what does not go through stays queued.  With
	 * @wait sleeps until a completion, a wake or @deadline (UINT64_MAX:
	 * none).
	 */
	void (*enter)(struct pirn_core *core, bool wait, uint64_t deadline);
	/* Whether reap would find something: a load or two. */
	bool (*ready)(struct pirn_core *core);
	/* Gives every completion there is to pirn_op_complete(). */
	void (*reap)(struct pirn_core *core);
	/* Ends the wait of a core, or its next one.  From any thread. */
	void (*wake)(struct pirn_core *core);

	uint64_t (*now)(struct pirn_core *core);
	/* What this core's random numbers start from. */
	uint64_t (*seed)(struct pirn_core *core);
	/*
	 * Before a turn's fibers run: may change the order of core->runnable and
	 * core->turn_switches.  NULL: neither.
	 */
	void (*perturb)(struct pirn_core *core);
};

/* What follows a submission is submitted when it is a whole batch again. */
static inline void pirn_core_enter(struct pirn_core *core, bool wait,
				   uint64_t deadline)
{
	core->ops->enter(core, wait, deadline);
	core->submit_at = core->queued + core->rt->opt.io_batch;
}

extern const struct pirn_backend_ops pirn_kmod_ops;
extern const struct pirn_backend_ops pirn_uring_ops;
extern const struct pirn_backend_ops pirn_aio_ops;
extern const struct pirn_backend_ops pirn_sim_ops;
/* Whether the environment asks for a simulation: sim_env.c. */
bool pirn_sim_wanted(void);

/* NULL for a number that names none. */
const struct pirn_backend_ops *pirn_backend_ops(enum pirn_backend backend);
/*
 * The best that works, or NULL; one line of why into @why either way.  @failed, if it
 * is not NULL, could not start, @failure says why: it must come after that.
 */
const struct pirn_backend_ops *
pirn_backend_choose(const struct pirn_backend_ops *failed, const char *failure,
		    char *why, size_t why_bytes);

/* What backends on a real kernel share: host.c, host_pool.c, host_file.c. */
int pirn_host_cpus(struct pirn_runtime *rt, int *cpus, unsigned int max,
		   char *why, size_t why_bytes);
int pirn_host_run(struct pirn_runtime *rt, char *why, size_t why_bytes);
uint64_t pirn_host_now(struct pirn_core *core);
uint64_t pirn_host_seed(struct pirn_core *core);
int pirn_host_pool_map(struct pirn_core *core, char *why, size_t why_bytes);
void pirn_host_pool_unmap(struct pirn_pool *pool);
int pirn_host_open(struct pirn_core *core, struct pirn_file *file,
		   const char *path, int flags, mode_t mode);
/* When the backend cannot use it after all; parks. */
void pirn_host_open_undo(struct pirn_core *core, struct pirn_file *file,
			 const char *path);
void pirn_host_close(struct pirn_file *file);
int64_t pirn_host_size(struct pirn_file *file);
int pirn_host_truncate(struct pirn_core *core, struct pirn_file *file,
		       uint64_t bytes);
int pirn_host_rename(struct pirn_core *core, const char *from, const char *to);
int pirn_host_unlink(struct pirn_core *core, const char *path);
int pirn_host_dir_sync(struct pirn_core *core, const char *path);

#endif /* PIRN_BACKEND_H */
