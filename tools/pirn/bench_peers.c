// SPDX-License-Identifier: MIT
/*
 * pirn bench --peers: what other libraries take for the same, from the programs
 * in tools/peers.  Each is run with the subject, CPUs and samples of this run,
 * right after the subject, and prints a line for each row it has a figure for:
 *
 *	KEY SAMPLE SAMPLE ...
 *
 * in the row's unit.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

const char *const bench_peer_names[BENCH_PEERS] = {
	[PEER_BOOST_CONTEXT] = "Boost.Context",
	[PEER_BOOST_FIBER] = "Boost.Fiber",
	[PEER_BOOST_ASIO] = "Boost.Asio",
	[PEER_LIBUV] = "libuv",
};

static const char *const programs[BENCH_PEERS] = {
	[PEER_BOOST_CONTEXT] = "boost-context",
	[PEER_BOOST_FIBER] = "boost-fiber",
	[PEER_BOOST_ASIO] = "boost-asio",
	[PEER_LIBUV] = "libuv",
};

/* They lie in peers/ beside this program: "make peers" puts them there. */
static int program_path(enum bench_peer peer, char *path, size_t bytes)
{
	char self[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -errno;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, bytes, "%s/peers/%s", self, programs[peer]);
	return access(path, X_OK) ? -errno : 0;
}

int bench_peers_check(void)
{
	char path[600] = "";
	int err;

	for (int p = 0; p < BENCH_PEERS; p++) {
		err = program_path((enum bench_peer)p, path, sizeof(path));
		if (err) {
			complain("%s: %s; build the peers first: sh tools/setup.sh peers && make peers",
				 path, strerror(-err));
			return err;
		}
	}
	return 0;
}

/* Into every row of that key: the same subject may be beside two yardsticks. */
static bool fill_rows(struct bench *bench, enum bench_peer peer, const char *key,
		      struct bench_spread spread)
{
	bool found = false;

	for (unsigned int i = 0; i < bench->row_count; i++) {
		if (strcmp(bench->rows[i].key, key))
			continue;
		bench->rows[i].peer[peer] = spread;
		found = true;
	}
	return found;
}

static int take_line(struct bench *bench, enum bench_peer peer, char *line)
{
	double samples[BENCH_SAMPLES];
	unsigned int count = 0;
	char *rest, *end, *key = strtok_r(line, " \n", &rest);

	for (; key && count < BENCH_SAMPLES; count++) {
		samples[count] = strtod(rest, &end);
		if (end == rest)
			break;
		if (!(samples[count] > 0))
			return -EIO;
		rest = end;
	}
	if (!count || strspn(rest, " \n") != strlen(rest))
		return -EIO;
	/* A row that was left out here may be there. */
	fill_rows(bench, peer, key, bench_spread(samples, count));
	return 0;
}

static int read_lines(struct bench *bench, enum bench_peer peer, FILE *from)
{
	char line[4096], copy[64];
	int err = 0;

	while (!err && fgets(line, sizeof(line), from)) {
		snprintf(copy, sizeof(copy), "%.60s", line);
		err = take_line(bench, peer, line);
	}
	if (err)
		complain("%s said '%.*s', which is no figure", programs[peer],
			 (int)strcspn(copy, "\n"), copy);
	return err;
}

/* Starts it with its output at the end of a pipe. */
static int start(struct bench *bench, enum bench_peer peer, pid_t *pid, int *from)
{
	char path[600], repetitions[16];
	char *argv[] = { path, (char *)bench->subject, bench->subject_cpus,
			 repetitions, bench->quick ? "1" : "0", NULL };
	posix_spawn_file_actions_t actions;
	int err, ends[2];

	snprintf(repetitions, sizeof(repetitions), "%u", bench->repetitions);
	err = program_path(peer, path, sizeof(path));
	if (err)
		return err;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	err = -posix_spawn_file_actions_init(&actions);
	if (!err) {
		err = -posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
		if (!err)
			err = -posix_spawn(pid, path, &actions, NULL, argv,
					   environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	if (err)
		close(ends[0]);
	*from = ends[0];
	return err;
}

static int run_one(struct bench *bench, enum bench_peer peer)
{
	int fd, err, status;
	FILE *from;
	pid_t pid;

	err = start(bench, peer, &pid, &fd);
	if (err) {
		complain("%s: %s", programs[peer], strerror(-err));
		return err;
	}
	from = fdopen(fd, "r");
	if (from) {
		err = read_lines(bench, peer, from);
		fclose(from);
	} else {
		err = -errno;
		close(fd);
	}
	if (waitpid(pid, &status, 0) < 0 || status) {
		if (!err)
			complain("%s %s failed", programs[peer], bench->subject);
		err = err ? err : -EIO;
	}
	return err;
}

int bench_peers_run(struct bench *bench)
{
	int err = 0;

	for (int p = 0; p < BENCH_PEERS && !err; p++)
		err = run_one(bench, (enum bench_peer)p);
	return err;
}
