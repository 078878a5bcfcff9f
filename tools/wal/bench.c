// SPDX-License-Identifier: MIT
/*
 * wal bench: commits a second and how many share a write of the log, beside the
 * plain way in the same run: one thread that writes a block and calls
 * fdatasync(), again and again.  Both sides in turn, medians of all rounds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wal_cmd.h"

#define ROUNDS		5
#define PLAIN		2000u	/* writes a round */
#define PLAIN_BLOCKS	256u

struct bench {
	struct wal_args *args;
	struct wal *wal;
	uint64_t round;
};

struct committer {
	struct bench *bench;
	uint32_t shard;
	uint64_t left;
	int err;
};

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *samples)
{
	qsort(samples, ROUNDS, sizeof(*samples), compare);
	return samples[ROUNDS / 2];
}

/* ------------------------------------------------------------------ engine */

static int commit_fiber(void *arg)
{
	struct committer *c = arg;
	struct wal_args *args = c->bench->args;
	uint32_t shards = wal_shards(c->bench->wal);
	uint64_t keys = wal_capacity(c->bench->wal) / shards;
	char value[WAL_VALUE_BYTES];
	struct wal_write w = { .value = value, .bytes = args->bytes };
	int err;

	while (!c->err && c->left) {
		c->left--;
		w.key = pirn_random() % keys * shards + c->shard;
		wal_fill(value, w.bytes, w.key, c->bench->round);
		err = wal_commit(c->bench->wal, &w, 1);
		if (err && !c->err)
			c->err = err;
	}
	return 0;
}

/* On the core of the shard, as a server's own fibers would be. */
static int commit_on_core(void *arg)
{
	struct committer *c = arg;
	int err = cores_run_fibers(c->bench->args->fibers, commit_fiber, c);

	return err ? err : c->err;
}

static int call_core(void *arg)
{
	struct committer *c = arg;
	unsigned int core = c->shard % (unsigned int)pirn_core_count();
	int err, result = 0;

	err = pirn_call(core, commit_on_core, c, &result);
	c->err = err ? err : result;
	return c->err;
}

static int engine_round(struct bench *b, double *rate)
{
	uint32_t shards = wal_shards(b->wal);
	struct committer *c = calloc(shards, sizeof(*c));
	struct pirn_fiber **fibers = calloc(shards, sizeof(*fibers));
	double from = seconds();
	int err = c && fibers ? 0 : -ENOMEM;

	b->round++;
	for (uint32_t i = 0; !err && i < shards; i++) {
		c[i] = (struct committer){ b, i, b->args->commits, 0 };
		if (pirn_spawn(&fibers[i], call_core, &c[i])) {
			fibers[i] = NULL;
			c[i].err = -EAGAIN;
		}
	}
	for (uint32_t i = 0; c && fibers && i < shards; i++) {
		if (fibers[i])
			pirn_join(fibers[i], NULL);
		err = err ? err : c[i].err;
	}
	*rate = (double)b->args->commits * shards / (seconds() - from);
	free(fibers);
	free(c);
	return err;
}

/* --------------------------------------------------------------- yardstick */

/* Behind the store, in the same file or device. */
static int plain_round(struct bench *b, double *rate)
{
	off_t at = (off_t)(b->args->shape.shards * b->args->shape.shard_bytes);
	uint64_t n = b->args->commits < PLAIN ? b->args->commits : PLAIN;
	int fd = open(b->args->path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	double from = 0;
	void *buf;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (posix_memalign(&buf, 4096, 4096)) {
		close(fd);
		return -ENOMEM;
	}
	memset(buf, 0x5a, 4096);
	/* Once round first, so that it does not wait for new blocks of a file. */
	for (uint64_t i = 0; i < PLAIN_BLOCKS + n && !err; i++) {
		if (i == PLAIN_BLOCKS) {
			err = fdatasync(fd) ? -errno : 0;
			from = seconds();
		}
		if (pwrite(fd, buf, 4096, at + (off_t)(i % PLAIN_BLOCKS * 4096)) != 4096)
			err = -errno;
		else if (i >= PLAIN_BLOCKS && !b->args->opt.no_flush && fdatasync(fd))
			err = -errno;
	}
	*rate = (double)n / (seconds() - from);
	free(buf);
	close(fd);
	return err;
}

/* -------------------------------------------------------------------- both */

static void report(struct bench *b, double *engine, double *plain)
{
	struct wal_stats stats;
	double e = median(engine), p = median(plain);

	wal_stats(b->wal, &stats);
	printf("%u shards, %u fibers each, values of %u bytes%s\n",
	       wal_shards(b->wal), b->args->fibers, b->args->bytes,
	       b->args->opt.no_flush ? ", nothing made durable" : "");
	printf("  engine            %10.0f commits/s (%.0f to %.0f)\n", e, engine[0],
	       engine[ROUNDS - 1]);
	printf("  pwrite, fdatasync %10.0f writes/s  (%.0f to %.0f)\n", p, plain[0],
	       plain[ROUNDS - 1]);
	printf("  ratio             %10.1f\n", e / p);
	printf("  commits a group   %10.1f\n",
	       (double)stats.commits / (double)stats.groups);
	printf("  log for a commit  %10.0f bytes\n",
	       (double)stats.log_bytes / (double)stats.commits);
	printf("  page writes       %10llu, checkpoints %llu\n",
	       (unsigned long long)stats.page_writes,
	       (unsigned long long)stats.checkpoints);
}

static int bench_there(void *arg)
{
	struct wal_args *args = arg;
	struct bench b = { .args = args };
	double engine[ROUNDS], plain[ROUNDS];
	int err;

	if (!args->shape.shards)
		args->shape.shards = (uint32_t)pirn_core_count();
	err = wal_init(&b.wal, args->path, &args->shape);
	if (err) {
		wal_complain(b.wal, args->path, err);
		wal_free(b.wal);
		return EXIT_FAILED;
	}
	wal_free(b.wal);
	err = wal_open(&b.wal, args->path, &args->opt);
	for (int i = 0; i < ROUNDS && !err; i++) {
		err = plain_round(&b, &plain[i]);
		if (err) {
			complain("%s: writing behind the store: %s", args->path,
				 strerror(-err));
			break;
		}
		err = engine_round(&b, &engine[i]);
		if (err)
			wal_complain(b.wal, args->path, err);
	}
	if (!err)
		report(&b, engine, plain);
	if (b.wal)
		wal_close(b.wal);
	wal_free(b.wal);
	return err ? EXIT_FAILED : 0;
}

int wal_bench_command(int argc, char **argv)
{
	struct wal_args args;

	wal_args_parse(&args, "sSlfcFBpCbx",
		       "Makes a store and commits to random records of it. Needs 1 MiB "
		       "behind the store for the yardstick.", argc, argv);
	return wal_run(&args, bench_there);
}
