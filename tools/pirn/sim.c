// SPDX-License-Identifier: MIT
/*
 * pirn sim: runs a program in the simulator once for each of many seeds; of the
 * first that fails it checks that it can be replayed, finds the least faults it
 * needs, and shows the log.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

#define TAIL 20				/* lines of a log or output */

/* The last lines of a file, each behind two blanks. */
static void show_tail(const char *path)
{
	char *line[TAIL] = { NULL };
	size_t room[TAIL] = { 0 };
	FILE *file = fopen(path, "re");
	unsigned long n = 0, i;

	if (!file)
		return;
	while (getline(&line[n % TAIL], &room[n % TAIL], file) >= 0)
		n++;
	fclose(file);
	if (n > TAIL)
		printf("  ... %lu lines before\n", n - TAIL);
	for (i = n > TAIL ? n - TAIL : 0; i < n; i++)
		printf("  %s%s", line[i % TAIL],
		       strchr(line[i % TAIL], '\n') ? "" : "\n");
	for (i = 0; i < TAIL; i++)
		free(line[i]);
}

static bool plain(const char *word)
{
	static const char plain_ones[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";

	return *word && !word[strspn(word, plain_ones)];
}

/* As a shell reads it back. */
static void print_word(const char *word)
{
	if (plain(word)) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	}
	putchar('\'');
}

static void print_replay(const struct sim_job *job, uint64_t seed,
			 const struct pirn_sim_rate *fault)
{
	char text[1024], *setting;
	char **word;

	sim_faults_text(fault, text);
	if (asprintf(&setting, "%s%sseed=%llu%s%s", job->base,
		     *job->base ? "," : "", (unsigned long long)seed,
		     *text ? ",faults=" : "", text) < 0)
		return;
	printf("replay: PIRN_SIM=");
	print_word(setting);
	free(setting);
	for (word = job->argv; *word; word++) {
		putchar(' ');
		print_word(*word);
	}
	putchar('\n');
}

/* Runs it once more, with a log; whether all was the same. */
static int replay(struct sim_job *job, uint64_t seed,
		  const struct pirn_sim_rate *fault,
		  const struct sim_outcome *first)
{
	struct sim_outcome again;
	int err = sim_run_one(job, seed, fault, true, &again);

	if (err)
		return err;
	if (!sim_same_end(first, &again)) {
		printf("NOT REPLAYED: this time %s: the program does something that the seed does not decide\n",
		       sim_failed(&again) ? sim_end_text(job, &again) :
					    "it passed");
		return 1;
	}
	/* Where it was killed is a matter of real time. */
	if (!first->hung && (first->hash != again.hash ||
			     first->before != again.before)) {
		printf("NOT REPLAYED: the same failure, but hash %016llx, not %016llx: the program does something that the seed does not decide\n",
		       (unsigned long long)again.hash,
		       (unsigned long long)first->hash);
		return 1;
	}
	printf("replayed: the same failure, hash %016llx, %llu events\n",
	       (unsigned long long)again.hash,
	       (unsigned long long)again.events);
	return 0;
}

static void keep_log(const struct sim_job *job)
{
	FILE *from, *to;
	char buf[65536];
	size_t n;

	if (!job->log) {
		printf("log:\n");
		show_tail(sim_path(job, "log"));
		return;
	}
	/* Across file systems rename() does not go. */
	from = fopen(sim_path(job, "log"), "re");
	to = fopen(job->log, "we");
	while (from && to && (n = fread(buf, 1, sizeof(buf), from)) > 0)
		fwrite(buf, 1, n, to);
	if (!to)
		complain("%s: %s", job->log, strerror(errno));
	else
		printf("log: %s\n", job->log);
	if (from)
		fclose(from);
	if (to)
		fclose(to);
}

static int report_failure(struct sim_job *job, uint64_t seed,
			  const struct sim_outcome *outcome)
{
	struct pirn_sim_rate *fault = job->options.fault;
	struct pirn_sim_rate all[PIRN_SIM_FAULTS];
	struct sim_outcome last;
	char text[1024];
	int err;

	printf("seed %llu failed: %s\n", (unsigned long long)seed,
	       sim_end_text(job, outcome));
	memcpy(all, fault, sizeof(all));
	err = replay(job, seed, fault, outcome);
	if (!err) {
		err = sim_shrink(job, seed, outcome, fault);
		if (!err && memcmp(all, fault, sizeof(all)))
			err = sim_run_one(job, seed, fault, true, &last);
	}
	if (err < 0) {
		complain("%s: %s", job->argv[0], strerror(-err));
		return EXIT_FAILED;
	}
	sim_faults_text(fault, text);
	printf("output:\n");
	show_tail(sim_path(job, "output"));
	keep_log(job);
	printf("faults needed: %s\n", *text ? text : "none");
	print_replay(job, seed, fault);
	return EXIT_FAILED;
}

static int sim_all(struct sim_job *job)
{
	struct sim_outcome outcome;
	uint64_t seed;
	int err = sim_run_all(job, &seed, &outcome);

	if (err < 0)
		return EXIT_FAILED;
	if (err)
		return report_failure(job, seed, &outcome);
	printf("%llu seeds passed, from %llu to %llu\n",
	       (unsigned long long)job->seeds, (unsigned long long)job->first,
	       (unsigned long long)(job->first + job->seeds - 1));
	return 0;
}

/* ----------------------------------------------------------- command line */

enum {
	OPT_SEEDS = 256,
	OPT_FIRST,
	OPT_JOBS,
	OPT_FAULTS,
	OPT_LOG,
	OPT_TIMEOUT
};

static void parse_faults(struct sim_job *job, const char *arg)
{
	char why[256], *text;
	int err;

	if (strchr(arg, ','))
		args_bad("--faults is a list with +, as in torn+eio_read:500, not '%s'",
			 arg);
	if (asprintf(&text, "faults=%s", arg) < 0)
		exit(EXIT_FAILED);
	err = pirn_sim_options_parse(&job->options, text, why, sizeof(why));
	if (err)
		args_bad("--faults: %s", why);
	free(text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct sim_job *job = state->input;

	switch (key) {
	case OPT_SEEDS:
		job->seeds = args_number("seeds", arg, 1, 1ull << 40);
		return 0;
	case OPT_FIRST:
		job->first = args_number("first", arg, 0, 1ull << 62);
		return 0;
	case OPT_JOBS:
		job->jobs = (unsigned int)args_number("jobs", arg, 1, 1024);
		return 0;
	case OPT_TIMEOUT:
		job->seconds = (unsigned int)args_number("timeout", arg, 1,
							 1u << 20);
		return 0;
	case OPT_FAULTS:
		parse_faults(job, arg);
		return 0;
	case OPT_LOG:
		job->log = arg;
		return 0;
	case ARGP_KEY_ARG:
		/* The rest is the program's own. */
		job->argv = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "seeds", OPT_SEEDS, "N", 0, "Run with so many seeds (100)", 0 },
	{ "first", OPT_FIRST, "S", 0, "The first of them (1)", 0 },
	{ "jobs", OPT_JOBS, "J", 0, "So many at a time (one a CPU)", 0 },
	{ "faults", OPT_FAULTS, "LIST", 0,
	  "What may go wrong: NAME[:RATE[:MOST]]+...; RATE of a million (none)",
	  0 },
	{ "log", OPT_LOG, "FILE", 0,
	  "Where the log of the failure goes (its end is shown)", 0 },
	{ "timeout", OPT_TIMEOUT, "SECONDS", 0, "A run may take (60)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "PROGRAM [ARGUMENT...]",
	.doc = "Runs PROGRAM in the simulator once for each seed. A run fails "
	       "when its exit status is not 0, when a signal ends it, or when "
	       "it takes too long. The first seed that fails is replayed, its "
	       "faults are made as few as can be, and the log is shown. Exit "
	       "status 1 then, 0 when all passed."
	       "\vFaults: eio_read, eio_write, eio_fsync, lost, reorder, torn, "
	       "names, misdirected, latent, lying_flush, enospc, slow, hang, "
	       "stuck. <pirn/sim.h> says what each does. What PIRN_SIM holds "
	       "already, as in PIRN_SIM=cores=2,block=4096, stays in force.",
};

static unsigned int cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}

static void base_read(struct sim_job *job)
{
	char why[256];

	job->base = getenv("PIRN_SIM");
	if (!job->base)
		job->base = "";
	if (pirn_sim_options_parse(&job->options, job->base, why, sizeof(why)))
		args_bad("PIRN_SIM: %s", why);
}

static void dir_remove(const struct sim_job *job)
{
	static const char *const files[] = { "report", "log", "output" };
	char name[16];
	unsigned int i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(sim_path(job, files[i]));
	for (i = 0; i < job->jobs; i++) {
		snprintf(name, sizeof(name), "%u", i);
		unlink(sim_path(job, name));
	}
	if (rmdir(job->dir))
		complain("%s: %s", job->dir, strerror(errno));
}

int sim_command(int argc, char **argv)
{
	struct sim_job job = {
		.seeds = 100, .first = 1, .seconds = 60,
		.options = PIRN_SIM_OPTIONS_INIT,
	};
	const char *tmp = getenv("TMPDIR");
	sigset_t child;
	int status;

	job.jobs = cpus();
	base_read(&job);
	args_parse(&argp, argc, argv, ARGP_IN_ORDER, &job);
	if (!job.argv)
		args_bad("needs a program; %s --help says more", command_name);
	if (!tmp || strlen(tmp) > 30 || strchr(tmp, ','))
		tmp = "/tmp";
	snprintf(job.dir, sizeof(job.dir), "%s/pirn-sim-XXXXXX", tmp);
	if (!mkdtemp(job.dir)) {
		complain("%s: %s", job.dir, strerror(errno));
		return EXIT_FAILED;
	}
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	status = sim_all(&job);
	fflush(stdout);
	dir_remove(&job);
	return status;
}
