// SPDX-License-Identifier: MIT
/*
 * Helper threads: see helper.h.
 *
 * Their number is fixed when the runtime starts.  A job that finds all of them
 * busy waits in one queue, first in first out, and only its own fiber waits with
 * it.  A job is part of what the parked fiber already has on its stack, so that
 * nothing is allocated for one.
 *
 * The lock orders what the fiber wrote before what the helper reads;
 * pirn_foreign_send() what the helper wrote before what the fiber reads.
 */
#include <signal.h>
#include <stdlib.h>

#include "helper.h"
#include "schedule.h"

/* Of the library's own jobs none needs much; the sanitizers do. */
#define HELPER_STACK	(256u << 10)

struct pirn_helpers {
	pthread_mutex_t lock;		/* of all below */
	pthread_cond_t changed;
	struct pirn_jobs jobs;
	uint32_t idle;			/* threads that wait for a job */
	bool stop;
	uint32_t threads;
	pthread_t thread[];
};

static struct pirn_job *take(struct pirn_helpers *h)
{
	struct pirn_foreign *first = h->jobs.first;

	if (!first)
		return NULL;
	h->jobs.first = first->next;
	h->jobs.count--;
	return container_of(first, struct pirn_job, done);
}

static void *helper_thread(void *arg)
{
	struct pirn_helpers *h = arg;
	struct pirn_job *job;

	pthread_mutex_lock(&h->lock);
	for (;;) {
		job = take(h);
		if (job) {
			pthread_mutex_unlock(&h->lock);
			job->work(job);
			/* From here on it is the core's. */
			pirn_foreign_send(job->core, &job->done);
			pthread_mutex_lock(&h->lock);
		} else if (h->stop) {
			break;
		} else {
			h->idle++;
			pthread_cond_wait(&h->changed, &h->lock);
			h->idle--;
		}
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static int thread_start(struct pirn_helpers *h)
{
	pthread_attr_t attr;
	char name[16];
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	err = pthread_attr_setstacksize(&attr, HELPER_STACK);
	if (!err)
		err = pthread_create(&h->thread[h->threads], &attr,
				     helper_thread, h);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	snprintf(name, sizeof(name), "pirn-help-%u", h->threads);
	pthread_setname_np(h->thread[h->threads], name);
	h->threads++;
	return 0;
}

int pirn_helpers_start(struct pirn_runtime *rt, char *why, size_t why_bytes)
{
	uint32_t threads = rt->opt.helper_threads;
	struct pirn_helpers *h;
	sigset_t all, before;
	int err = 0;

	h = calloc(1, sizeof(*h) + threads * sizeof(h->thread[0]));
	if (!h) {
		snprintf(why, why_bytes, "no memory for %u helper threads",
			 threads);
		return -ENOMEM;
	}
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->changed, NULL);
	rt->helpers = h;
	/* A signal meant for the program is not for a thread it does not know. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (h->threads < threads && !err)
		err = thread_start(h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		snprintf(why, why_bytes, "starting helper thread %u of %u: %s",
			 h->threads, threads, strerror(-err));
		pirn_helpers_stop(rt);
	}
	return err;
}

/*
 * No core runs any more, and none has been given back: jobs still queued are
 * done, because what they write to is a fiber's stack, or a file.
 */
void pirn_helpers_stop(struct pirn_runtime *rt)
{
	struct pirn_helpers *h = rt->helpers;

	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	for (uint32_t i = 0; i < h->threads; i++)
		pthread_join(h->thread[i], NULL);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->lock);
	free(h);
	rt->helpers = NULL;
}

/* ------------------------------------------------------------------- jobs */

static void job_done(struct pirn_core *core, struct pirn_foreign *item)
{
	struct pirn_job *job = container_of(item, struct pirn_job, done);

	job->ended(core, job);
}

static void count(struct pirn_core_stats *stats, enum pirn_help why)
{
	switch (why) {
	case PIRN_HELP_OPEN:
		stats->helped_open++;
		break;
	case PIRN_HELP_NAME:
		stats->helped_name++;
		break;
	case PIRN_HELP_TRUNCATE:
		stats->helped_truncate++;
		break;
	case PIRN_HELP_SYNC:
		stats->helped_sync++;
		break;
	case PIRN_HELP_BUFFERED:
		stats->helped_buffered++;
		break;
	case PIRN_HELP_WOULD_BLOCK:
		stats->helped_would_block++;
		break;
	case PIRN_HELP_SPACE:
		stats->helped_space++;
		break;
	}
}

static void jobs_append(struct pirn_jobs *to, const struct pirn_jobs *from)
{
	if (to->first)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	to->count += from->count;
}

void pirn_job_add(struct pirn_core *core, struct pirn_jobs *jobs,
		  struct pirn_job *job, enum pirn_help why)
{
	struct pirn_jobs one = { &job->done, &job->done, 1 };

	count(&core->stats, why);
	job->core = core;
	job->done.run = job_done;
	job->done.next = NULL;
	jobs_append(jobs, &one);
}

void pirn_helpers_give(struct pirn_core *core, struct pirn_jobs *jobs)
{
	struct pirn_helpers *h = core->rt->helpers;
	uint32_t wake;

	pthread_mutex_lock(&h->lock);
	jobs_append(&h->jobs, jobs);
	wake = jobs->count < h->idle ? jobs->count : h->idle;
	pthread_mutex_unlock(&h->lock);
	while (wake--)
		pthread_cond_signal(&h->changed);
	*jobs = (struct pirn_jobs){ NULL, NULL, 0 };
}

static void fiber_goes_on(struct pirn_core *core, struct pirn_job *job)
{
	pirn_fiber_ready(core, job->fiber);
}

/* The calls that park so, for who asks what a fiber is in. */
static const char *const doing[] = {
	[PIRN_HELP_OPEN] = "pirn_open or pirn_close",
	[PIRN_HELP_NAME] = "pirn_rename or pirn_unlink",
	[PIRN_HELP_TRUNCATE] = "pirn_truncate",
	[PIRN_HELP_SYNC] = "pirn_sync_dir",
	[PIRN_HELP_BUFFERED] = "IO of a buffered file",
	[PIRN_HELP_WOULD_BLOCK] = "IO by a helper thread",
	[PIRN_HELP_SPACE] = "pirn_fallocate or pirn_discard",
};

void pirn_job_run(struct pirn_core *core, struct pirn_job *job,
		  enum pirn_help why)
{
	struct pirn_jobs jobs = { NULL, NULL, 0 };

	job->fiber = core->current;
	job->ended = fiber_goes_on;
	pirn_job_add(core, &jobs, job, why);
	pirn_helpers_give(core, &jobs);
	core->current->doing = doing[why];
	pirn_fiber_stop(core);
}
