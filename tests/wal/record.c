// SPDX-License-Identifier: MIT
/*
 * Usage: record DEVICE DM-NAME SEED COMMITS BACKEND [--no-flush]
 *
 * Runs the example engine on a dm-log-writes device and puts a mark into its log
 * for each answer: "made" once the store is there, "a_W_N" once writer W was told
 * of its N-th commit.  The mark is in the log behind every write that was durable
 * before it, so replay.c knows what has to be there at any place of the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <pirn.h>

#include "logged.h"

static const char *device, *dm_name;
static uint64_t seed;
static unsigned int commits, running;
static bool no_flush;
static struct wal *wal;
static struct oracle_writer writers[LOGGED_WRITERS];
static int worst;

static int mark(const char *text)
{
	static int control = -1;
	struct {
		struct dm_ioctl head;
		struct dm_target_msg target;
		char text[64];
	} m = { .head = { .version = { 4, 0, 0 }, .data_size = sizeof(m) } };

	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (control < 0) {
		perror("record: /dev/mapper/control");
		return -errno;
	}
	m.head.data_start = offsetof(__typeof__(m), target);
	snprintf(m.head.name, sizeof(m.head.name), "%s", dm_name);
	snprintf(m.target.message, sizeof(m.text), "mark %s", text);
	if (ioctl(control, DM_TARGET_MSG, &m)) {
		perror("record: mark");
		return -errno;
	}
	return 0;
}

static int writer(void *arg)
{
	struct oracle_writer *w = arg;
	struct wal_write writes[WAL_WRITES];
	char values[WAL_WRITES][WAL_VALUE_BYTES], text[32];
	unsigned int who = (unsigned int)(w - writers), n;
	int err = 0;

	for (unsigned int i = 0; i < commits && !err && !worst; i++) {
		n = oracle_begin(w, oracle_random(seed, who, i), writes, values);
		err = wal_commit(wal, writes, n);
		if (err) {
			fprintf(stderr, "record: commit: %s %s\n", strerror(-err),
				wal_why(wal));
			break;
		}
		oracle_acked(w);
		snprintf(text, sizeof(text), "a_%u_%u", who, i + 1);
		err = mark(text);
	}
	if (err)
		worst = err;
	running--;
	return 0;
}

static int run(void *arg)
{
	const struct wal_shape shape = {
		.shards = LOGGED_SHARDS, .shard_bytes = LOGGED_SHARD,
		.log_bytes = LOGGED_LOG, .force = true,
	};
	const struct wal_options opt = {
		.frames = LOGGED_FRAMES, .no_flush = no_flush,
	};
	struct wal_stats stats;
	int err;

	(void)arg;
	err = wal_init(&wal, device, &shape);
	if (!err) {
		wal_free(wal);
		err = mark("made");
	}
	if (!err)
		err = wal_open(&wal, device, &opt);
	if (err) {
		fprintf(stderr, "record: %s: %s %s\n", device, strerror(-err),
			wal_why(wal));
		return err;
	}
	logged_writers(writers);
	for (; running < LOGGED_WRITERS; running++)
		if (pirn_spawn(NULL, writer, &writers[running]))
			return -ENOMEM;
	while (running)
		pirn_sleep(1000000);
	wal_stats(wal, &stats);
	printf("%llu commits in %llu groups, %llu checkpoints, %llu page writes\n",
	       (unsigned long long)stats.commits, (unsigned long long)stats.groups,
	       (unsigned long long)stats.checkpoints,
	       (unsigned long long)stats.page_writes);
	/* Ends as if the process had died: what it did not flush stays so. */
	return worst;
}

int main(int argc, char **argv)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[256] = "";
	int err, result = 1;

	if (argc < 6) {
		fprintf(stderr, "record: DEVICE DM-NAME SEED COMMITS BACKEND [--no-flush]\n");
		return 2;
	}
	device = argv[1];
	dm_name = argv[2];
	seed = strtoull(argv[3], NULL, 0);
	commits = (unsigned int)strtoul(argv[4], NULL, 0);
	opt.backend = !strcmp(argv[5], "kmod") ? PIRN_BACKEND_KMOD :
						 PIRN_BACKEND_URING;
	no_flush = argc > 6 && !strcmp(argv[6], "--no-flush");
	opt.cpus = "0-1";
	opt.message = message;
	opt.message_bytes = sizeof(message);
	err = pirn_run(&opt, run, NULL, &result);
	fprintf(stderr, "record: %s\n", message);
	return err || result;
}
