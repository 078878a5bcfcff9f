// SPDX-License-Identifier: MIT
/*
 * Writers on several shards, a crash at a random moment, again and again, and
 * after each a look at every record: scenario.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"
#include "scenario.h"

struct scenario_args scenario_args;
struct scenario_totals scenario_totals;

#define args scenario_args
#define totals scenario_totals

/* One seed's run. */
static struct scenario {
	struct pirn_sim *sim;
	uint64_t seed;
	bool failed;
	char path[32];
	struct wal_shape shape;
	struct wal_options opt;
	struct wal *wal;
	bool device;
	unsigned int writers;
	unsigned int per_life;	/* commits of a writer in one life */
	unsigned int running;
	bool open;		/* this life came to its work */
	bool soon;		/* crash early in the next one */
	struct oracle_writer w[ORACLE_WRITERS];
} sc;

static void __attribute__((format(printf, 1, 2))) failed(const char *format, ...)
{
	char text[256];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (!sc.failed)
		printf("seed %" PRIu64 ": %s%s%s\n", sc.seed, text,
		       sc.wal && wal_why(sc.wal)[0] ? "; " : "",
		       sc.wal ? wal_why(sc.wal) : "");
	pirn_sim_log(sc.sim, "failed: %s", text);
	sc.failed = true;
}

static uint64_t pick(uint64_t from, uint64_t to)
{
	return from + pirn_sim_random(sc.sim) % (to - from + 1);
}

/* ------------------------------------------------------------------ writers */

/* A record of any writer, seen by this fiber. */
static void look(void)
{
	struct oracle_writer *w = &sc.w[pick(0, sc.writers - 1)];
	unsigned int key = (unsigned int)pick(0, w->keys - 1);
	char value[WAL_VALUE_BYTES];
	uint32_t before = w->now[key];
	unsigned int acked = w->acked;
	int bytes = wal_get(sc.wal, w->key[key], value);

	if (bytes < 0) {
		/* Not wrong, and a shard that failed may not even read. */
		if (!args.detect && !wal_why(sc.wal)[0])
			failed("key %" PRIu64 " cannot be read: %d", w->key[key],
			       bytes);
		return;
	}
	if (!oracle_read(w, key, acked, before, value, bytes))
		failed("key %" PRIu64 " holds version %u, not %u", w->key[key],
		       oracle_version(w->key[key], value, bytes), w->now[key]);
}

static int writer(void *arg)
{
	struct oracle_writer *w = arg;
	struct wal_write writes[WAL_WRITES];
	char values[WAL_WRITES][WAL_VALUE_BYTES];
	unsigned int n;
	int err;

	for (unsigned int i = 0; i < sc.per_life && !sc.failed; i++) {
		if (w->n == ORACLE_COMMITS)
			break;
		n = oracle_begin(w, pirn_sim_random(sc.sim), writes, values);
		err = wal_commit(sc.wal, writes, n);
		pirn_sim_log(sc.sim, "writer %td commit %u: %d", w - sc.w,
			     w->commit[w->n - 1].version, err);
		if (err == -EIO)
			break;		/* the next opening will tell */
		if (err) {
			oracle_refused(w);
			if (!args.detect && err != -EROFS)
				failed("a commit gets %d", err);
			break;
		}
		oracle_acked(w);
		totals.commits++;
		if (pick(0, 3) == 0)
			look();
		if (pick(0, 7) == 0)
			pirn_sleep(pick(0, 300000));
	}
	sc.running--;
	return 0;
}

static int start_there(void *arg)
{
	return pirn_spawn(NULL, writer, arg);
}

/* -------------------------------------------------------------------- lives */

static int init_life(void *arg)
{
	int err = -EIO;

	(void)arg;
	for (int i = 0; i < 10 && err; i++) {
		wal_free(sc.wal);
		sc.wal = NULL;
		err = wal_init(&sc.wal, sc.path, &sc.shape);
	}
	return err;
}

/* Every record against the oracle. */
static void look_at_all(void)
{
	char value[WAL_VALUE_BYTES];
	uint32_t found[ORACLE_KEYS];
	int bytes;

	for (unsigned int i = 0; i < sc.writers && !sc.failed; i++) {
		struct oracle_writer *w = &sc.w[i];

		for (unsigned int k = 0; k < w->keys; k++) {
			bytes = wal_get(sc.wal, w->key[k], value);
			found[k] = bytes < 0 ? ORACLE_UNREADABLE :
				   oracle_version(w->key[k], value, bytes);
			if (bytes < 0 && !args.detect && !wal_why(sc.wal)[0])
				failed("key %" PRIu64 " cannot be read after opening: %d",
				       w->key[k], bytes);
		}
		/*
		 * Of a log whose very end is bad nothing tells that it was not
		 * torn: one group, in which a writer has one commit at most.
		 */
		if (oracle_found(w, found, args.detect ? 1 : 0))
			continue;
		failed("shard %u is not as after %u or %u commits of writer %u",
		       w->shard, w->acked, w->n, i);
		for (unsigned int k = 0; k < w->keys && args.verbose; k++)
			printf("  key %" PRIu64 ": found %u, told of %u\n",
			       w->key[k], found[k], w->now[k]);
	}
}

static int life(void *arg)
{
	int err;

	(void)arg;
	err = wal_open(&sc.wal, sc.path, &sc.opt);
	if (err)
		return err;
	look_at_all();
	sc.open = true;
	sc.running = sc.writers;
	for (unsigned int i = 0; i < sc.writers && !sc.failed; i++)
		if (pirn_call((unsigned int)pick(0, (uint64_t)pirn_core_count() - 1),
			      start_there, &sc.w[i], NULL))
			sc.running--;
	while (sc.running && !sc.failed)
		pirn_sleep(20000);
	if (!sc.failed && pick(0, 3) == 0) {
		err = wal_verify(sc.wal) ? -EBADMSG : 0;
		if (err && !args.detect && !wal_why(sc.wal)[0])
			failed("a page cannot be read");
	}
	wal_close(sc.wal);
	return 0;
}

static void count(void)
{
	struct wal_stats stats;

	if (!sc.wal)
		return;
	wal_stats(sc.wal, &stats);
	totals.redone += stats.redone;
	totals.repairs += stats.repairs;
	totals.page_reads += stats.page_reads;
	totals.checkpoints += stats.checkpoints;
	totals.groups += stats.groups;
}

/* Runs one life; its end is its own or a crash.  False: the store is refused. */
static bool live(void)
{
	struct pirn_options run = PIRN_OPTIONS_INIT;
	static const char *const cpus[] = { "0", "0-1", "0-2" };
	uint64_t until = PIRN_NEVER;
	int err, result = 0;

	run.cpus = cpus[pick(0, 2)];
	run.pool_bytes = 4u << 20;
	sc.open = false;
	sc.opt.frames = (uint32_t)pick(16, 40);
	err = pirn_sim_start(sc.sim, 0, &run, life, NULL);
	if (err) {
		failed("pirn_sim_start: %d: %s", err, pirn_sim_message(sc.sim));
		return false;
	}
	if (sc.soon)
		until = pirn_sim_now(sc.sim) + pick(200000, 1500000);
	else if (pick(0, 7))
		until = pirn_sim_now(sc.sim) + pick(0, 1ull << pick(15, 25));
	err = pirn_sim_run(sc.sim, until);
	totals.lives++;
	if (err == PIRN_SIM_TIME) {
		totals.crashes++;
		pirn_sim_crash(sc.sim, 0);
	} else if (err < 0) {
		failed("pirn_sim_run: %d: %s", err, pirn_sim_message(sc.sim));
	} else {
		pirn_sim_result(sc.sim, 0, &result);
	}
	count();
	if (args.verbose)
		printf("  life of %s: %s, result %d, open %d: %s\n", run.cpus,
		       err == PIRN_SIM_TIME ? "crashed" : "ended", result, sc.open,
		       sc.wal ? wal_why(sc.wal) : "");
	if (result && result != -EIO && !args.detect)
		failed("the store cannot be opened: %d", result);
	/* Recovery after a failed write is worth a crash in the midst of it. */
	sc.soon = !sc.soon && err != PIRN_SIM_TIME && wal_why(sc.wal)[0];
	totals.failed_open += result == -EIO;
	totals.refused += result && result != -EIO;
	wal_free(sc.wal);
	sc.wal = NULL;
	return !result || result == -EIO;
}

/* ---------------------------------------------------------------- scenarios */

/* Faults by the seed: each set or not, at some rate, and only so many. */
static void choose_faults(struct pirn_sim_options *opt)
{
	static const struct {
		enum pirn_sim_fault fault;
		uint32_t rate;		/* at most */
		uint32_t most;
		bool detect;
	} known[] = {
		{ PIRN_SIM_LOST, 1000000, 0, false },
		{ PIRN_SIM_REORDER, 1000000, 0, false },
		{ PIRN_SIM_TORN, 1000000, 0, false },
		{ PIRN_SIM_NAMES, 1000000, 0, false },
		{ PIRN_SIM_EIO_READ, 5000, 8, false },
		{ PIRN_SIM_EIO_WRITE, 10000, 8, false },
		{ PIRN_SIM_EIO_FSYNC, 50000, 2, false },
		{ PIRN_SIM_SLOW, 50000, 0, false },
		{ PIRN_SIM_STUCK, 2000, 4, false },
		{ PIRN_SIM_MISDIRECTED, 5000, 3, true },
		{ PIRN_SIM_LATENT, 5000, 3, true },
		{ PIRN_SIM_LYING_FLUSH, 200000, 0, true },
	};
	uint64_t state = opt->seed * 0x9e3779b97f4a7c15u + 1;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		state ^= state >> 29;
		state *= 0xbf58476d1ce4e5b9u;
		state ^= state >> 32;
		if ((known[i].detect && !args.detect) || state % 3 == 0)
			continue;
		opt->fault[known[i].fault] = (struct pirn_sim_rate){
			1 + (uint32_t)(state >> 8) % known[i].rate,
			known[i].most
		};
	}
}

static void shape(void)
{
	unsigned int per_shard, pages;

	sc.device = pick(0, 1);
	snprintf(sc.path, sizeof(sc.path), sc.device ? "/dev/disk" : "/wal/store");
	sc.shape = (struct wal_shape){
		.shards = (uint32_t)pick(1, 3),
		.log_bytes = pick(0, 1) ? 128u << 10 : 256u << 10,
		.force = true,
	};
	sc.shape.shard_bytes = sc.shape.log_bytes + (512u << 10);
	sc.opt = (struct wal_options){ .no_flush = args.no_flush };
	oracle_alike = pick(0, 3) == 0;
	sc.per_life = (unsigned int)pick(2, 40);
	per_shard = (unsigned int)pick(1, 6);
	pages = (unsigned int)pick(8, 100);
	sc.writers = sc.shape.shards * per_shard;
	memset(sc.w, 0, sizeof(sc.w));
	for (unsigned int i = 0; i < sc.writers; i++)
		sc.w[i].keys = (unsigned int)pick(1, ORACLE_KEYS);
	oracle_layout(sc.w, sc.writers, sc.shape.shards, pages);
}

bool scenario_run(const struct pirn_sim_options *from)
{
	struct pirn_sim_options opt = *from;
	struct pirn_options run = PIRN_OPTIONS_INIT;
	char why[256] = "";
	bool chosen = false, refused = false;
	unsigned int lives;
	int err, result = -1;

	totals.seeds++;
	for (unsigned int i = 0; i < PIRN_SIM_FAULTS; i++)
		chosen |= opt.fault[i].rate != 0;
	if (!chosen)
		choose_faults(&opt);
	opt.block_bytes = opt.seed & 1 ? 512 : 4096;
	sc.seed = opt.seed;
	sc.failed = false;
	sc.soon = false;
	err = pirn_sim_create(&sc.sim, &opt, why, sizeof(why));
	if (err) {
		printf("seed %" PRIu64 ": pirn_sim_create: %s\n", sc.seed, why);
		return false;
	}
	shape();
	run.cpus = "0";
	run.pool_bytes = 4u << 20;
	err = sc.device ? pirn_sim_disk(sc.sim, 0, sc.path, sc.shape.shards *
					sc.shape.shard_bytes, opt.block_bytes) : 0;
	if (!err)
		err = pirn_sim_start(sc.sim, 0, &run, init_life, NULL);
	if (!err)
		err = pirn_sim_run(sc.sim, PIRN_NEVER);
	if (!err)
		err = pirn_sim_result(sc.sim, 0, &result);
	wal_free(sc.wal);
	sc.wal = NULL;
	if (err)
		failed("making the store: %d: %s", err, pirn_sim_message(sc.sim));
	/* Of a disk that fails that often there is nothing to be told. */
	lives = result ? 0 : (unsigned int)pick(2, 6);
	for (unsigned int i = 0; i < lives && !sc.failed && !refused; i++) {
		refused = !live();
		/* The last word is a store that was opened and looked at. */
		if (i + 1 == lives && !sc.open && lives < 20)
			lives++;
	}
	pirn_sim_destroy(sc.sim);
	return !sc.failed;
}
