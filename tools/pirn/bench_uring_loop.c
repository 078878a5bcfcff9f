// SPDX-License-Identifier: MIT
/*
 * pirn bench io: the yardstick.  What io_uring can do at best for the same
 * reads: registered file, registered buffers, registered ring, one enter that
 * submits and waits for a batch of completions, and nothing in user space but
 * the loop.  One thread on each CPU that the library ran on.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench_io.h"

#define PLUG 32		/* BLK_MAX_REQUEST_COUNT */

struct loop_thread {
	const struct io_bench *bench;
	enum io_loop loop;
	int cpu;
	pthread_t thread;
	struct io_core *core;
	struct io_uring ring;
	int fd;
	char *memory;		/* a buffer a slot */
	uint64_t enters;
	int err;
};

static const unsigned int setup_flags[IO_LOOPS] = {
	[IO_LOOP_DEFER] = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	[IO_LOOP_COOP] = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
};

/* --------------------------------------------------------- preparing */

/* One entry a buffer: an import from the start of an entry is the cheapest. */
static int register_buffers(struct loop_thread *t)
{
	uint32_t i, bytes = t->bench->bytes, depth = t->bench->depth;
	struct iovec *iov = calloc(depth, sizeof(*iov));
	int err;

	if (!iov)
		return -ENOMEM;
	for (i = 0; i < depth; i++) {
		iov[i].iov_base = t->memory + (size_t)i * bytes;
		iov[i].iov_len = bytes;
	}
	err = io_uring_register_buffers(&t->ring, iov, depth);
	free(iov);
	return err;
}

static int prepare_ring(struct loop_thread *t)
{
	int err;

	err = io_uring_queue_init(t->bench->depth, &t->ring, setup_flags[t->loop]);
	if (err)
		return err;
	err = io_uring_register_files(&t->ring, &t->fd, 1);
	if (!err)
		err = register_buffers(t);
	if (!err)
		err = io_uring_register_ring_fd(&t->ring);
	if (err >= 0)
		return 0;
	complain("registering with io_uring: %s", strerror(-err));
	io_uring_queue_exit(&t->ring);
	/* Not -EINVAL, which means that there is no such ring. */
	return -EIO;
}

static int prepare(struct loop_thread *t)
{
	size_t bytes = (size_t)t->bench->depth * t->bench->bytes;
	int err;

	t->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (t->memory == MAP_FAILED) {
		complain("memory for the loop's buffers: %s", strerror(errno));
		return -ENOMEM;
	}
	t->fd = open(t->bench->target, O_RDONLY | O_CLOEXEC |
					       (t->bench->buffered ? 0 : O_DIRECT));
	if (t->fd < 0) {
		err = -errno;
		complain("%s: %s", t->bench->target, strerror(-err));
		goto unmap;
	}
	err = prepare_ring(t);
	if (!err)
		return 0;
	close(t->fd);
unmap:
	munmap(t->memory, bytes);
	return err;
}

static void release(struct loop_thread *t)
{
	io_uring_queue_exit(&t->ring);
	close(t->fd);
	munmap(t->memory, (size_t)t->bench->depth * t->bench->bytes);
}

/* ---------------------------------------------------------- the loop */

static inline void queue_read(struct loop_thread *t, uint32_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring);
	uint32_t bytes = t->bench->bytes;

	/* At most depth are in flight: there is room. */
	t->core->issued++;
	io_uring_prep_read_fixed(sqe, 0, t->memory + (size_t)slot * bytes, bytes,
				 io_core_offset(t->core), (int)slot);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = slot;
}

static void mark(struct loop_thread *t)
{
	struct io_mark now = { .enters = t->enters };

	io_core_mark(t->core, &now);
}

/*
 * At most what the block layer's plug takes in one go, though more may be there:
 * a submission beyond it costs 7 % more, and the next enter finds the rest
 * without waiting.
 */
static int reap(struct loop_thread *t)
{
	struct io_core *core = t->core;
	struct io_uring_cqe *cqe;
	unsigned int head, count = 0;
	unsigned int most = t->bench->batch > PLUG ? t->bench->batch : PLUG;

	io_uring_for_each_cqe(&t->ring, head, cqe) {
		if (__builtin_expect(cqe->res != (int)t->bench->bytes, 0)) {
			complain("the loop's read of %u bytes gave %d",
				 t->bench->bytes, cqe->res);
			return -EIO;
		}
		if (++core->done == core->next_mark)
			mark(t);
		if (core->issued < core->limit && !t->bench->bench->io.join)
			queue_read(t, (uint32_t)cqe->user_data);
		if (++count == most)
			break;
	}
	io_uring_cq_advance(&t->ring, count);
	return 0;
}

static int loop(struct loop_thread *t)
{
	struct io_core *core = t->core;
	bool join = t->bench->bench->io.join;
	uint32_t i, batch = join ? 1 : t->bench->batch;
	uint64_t left;
	int err;

	for (i = 0; i < t->bench->depth; i++)
		queue_read(t, i);
	while (core->done < core->limit) {
		left = core->limit - core->done;
		t->enters++;
		err = io_uring_submit_and_wait(&t->ring, left < batch ?
					       (unsigned int)left : batch);
		if (err < 0 && err != -EINTR) {
			complain("io_uring_enter: %s", strerror(-err));
			return -EIO;
		}
		err = reap(t);
		if (err)
			return err;
		if (!join || core->done < core->issued || core->done >= core->limit)
			continue;
		for (i = 0; i < t->bench->depth; i++)
			queue_read(t, i);
	}
	return 0;
}

static void *loop_thread(void *arg)
{
	struct loop_thread *t = arg;
	cpu_set_t *set = CPU_ALLOC((size_t)t->cpu + 1);
	size_t bytes = CPU_ALLOC_SIZE((size_t)t->cpu + 1);

	if (!set) {
		t->err = -ENOMEM;
		return NULL;
	}
	CPU_ZERO_S(bytes, set);
	CPU_SET_S((size_t)t->cpu, bytes, set);
	t->err = -pthread_setaffinity_np(pthread_self(), bytes, set);
	CPU_FREE(set);
	/* The ring belongs to the thread that makes it. */
	if (!t->err)
		t->err = prepare(t);
	if (t->err)
		return NULL;
	t->err = loop(t);
	release(t);
	return NULL;
}

/* ------------------------------------------------------------ threads */

static int run_threads(struct loop_thread *threads, unsigned int count)
{
	unsigned int i, made;
	int err = 0;

	for (made = 0; made < count && !err; made++) {
		err = -pthread_create(&threads[made].thread, NULL, loop_thread,
				      &threads[made]);
		if (err) {
			complain("a thread for the loop: %s", strerror(-err));
			break;
		}
	}
	for (i = 0; i < made; i++) {
		pthread_join(threads[i].thread, NULL);
		if (!err)
			err = threads[i].err;
	}
	return err;
}

int io_run_loop(const struct io_bench *bench, enum io_loop loop_kind,
		struct io_figures *figures)
{
	struct loop_thread *threads = calloc(bench->cpus, sizeof(threads[0]));
	struct io_core *cores = calloc(bench->cpus, sizeof(cores[0]));
	unsigned int i;
	int err = -ENOMEM;

	if (!threads || !cores)
		goto free;
	for (i = 0; i < bench->cpus; i++) {
		io_core_start(&cores[i], bench, i);
		threads[i].bench = bench;
		threads[i].loop = loop_kind;
		threads[i].cpu = bench->cpu[i];
		threads[i].core = &cores[i];
	}
	err = run_threads(threads, bench->cpus);
	if (!err)
		io_figures_of(cores, bench->cpus, figures);
free:
	free(cores);
	free(threads);
	return err;
}
