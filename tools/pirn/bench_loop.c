// SPDX-License-Identifier: MIT
/* pirn bench io: the threads of the loops beside the library. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench_loop.h"

int loop_complain_short(const struct loop_thread *t, long res)
{
	complain("the loop's read of %u bytes gave %ld", t->bench->bytes, res);
	return -EIO;
}

void loop_mark(struct loop_thread *t)
{
	struct io_mark now = { .enters = t->enters };

	io_core_mark(t->core, &now);
}

static size_t memory_bytes(const struct loop_thread *t)
{
	return (size_t)t->bench->depth * t->bench->bytes;
}

static int prepare(struct loop_thread *t)
{
	int err;

	t->memory = mmap(NULL, memory_bytes(t), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (t->memory == MAP_FAILED) {
		complain("memory for the loop's buffers: %s", strerror(errno));
		return -ENOMEM;
	}
	t->fd = open(t->bench->target, O_RDONLY | O_CLOEXEC |
					       (t->bench->buffered ? 0 : O_DIRECT));
	if (t->fd >= 0)
		return 0;
	err = -errno;
	complain("%s: %s", t->bench->target, strerror(-err));
	munmap(t->memory, memory_bytes(t));
	/* Not -EINVAL, which means that there is no such loop. */
	return err == -EINVAL ? -EIO : err;
}

static int pin(const struct loop_thread *t)
{
	cpu_set_t *set = CPU_ALLOC((size_t)t->cpu + 1);
	size_t bytes = CPU_ALLOC_SIZE((size_t)t->cpu + 1);
	int err;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(bytes, set);
	CPU_SET_S((size_t)t->cpu, bytes, set);
	err = -pthread_setaffinity_np(pthread_self(), bytes, set);
	CPU_FREE(set);
	return err;
}

static void *loop_thread(void *arg)
{
	struct loop_thread *t = arg;

	t->err = pin(t);
	if (!t->err)
		t->err = prepare(t);
	if (t->err)
		return NULL;
	t->err = t->kind == IO_LOOP_AIO ? loop_aio(t) : loop_uring(t);
	close(t->fd);
	munmap(t->memory, memory_bytes(t));
	return NULL;
}

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

int io_run_loop(const struct io_bench *bench, enum io_loop loop,
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
		threads[i].kind = loop;
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
