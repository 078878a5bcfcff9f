/* SPDX-License-Identifier: MIT */
/* What the programs that look into the backend aio share. */
#ifndef PIRN_TESTS_AIO_H
#define PIRN_TESTS_AIO_H

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "backend.h"
#include "helper.h"
#include "target.h"

static struct pirn_file *file;	/* the target, direct */

/* Page i of the first @n of the target holds fill(i * 4096, 7). */
static inline void fill_target(unsigned int n)
{
	char *buf = pirn_buf_alloc(4096);
	unsigned int i;

	check(buf);
	for (i = 0; i < n; i++) {
		fill(buf, 4096, i * 4096, 7);
		check_eq(pirn_pwrite(file, buf, 4096, i * 4096, 0), 4096);
	}
	check_eq(pirn_buf_free(buf), 0);
}

static inline void read_page(struct pirn_file *from, unsigned int i)
{
	char *buf = pirn_buf_alloc(4096);

	check(buf);
	memset(buf, 0, 4096);
	check_eq(pirn_pread(from, buf, 4096, i * 4096), 4096);
	check_filled(buf, 4096, i * 4096, 7);
	check_eq(pirn_buf_free(buf), 0);
}

static inline int read_many(void *arg)
{
	unsigned int i;

	for (i = 0; i < *(unsigned int *)arg; i++)
		read_page(file, (i * 7) % 16);
	return 0;
}

/* A job of a helper thread that hangs until it is let go. */
struct held {
	struct pirn_job job;
};

static sem_t let_go;
static atomic_uint holding;

static inline void hold(struct pirn_job *job)
{
	(void)job;
	atomic_fetch_add(&holding, 1);
	while (sem_wait(&let_go))
		;
}

static inline int hold_fiber(void *arg)
{
	struct held held = { .job.work = hold };

	(void)arg;
	pirn_job_run(pirn_this(), &held.job, PIRN_HELP_SYNC);
	return 0;
}

#endif /* PIRN_TESTS_AIO_H */
