// SPDX-License-Identifier: MIT
#include <argp.h>
#include <inttypes.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "module.h"
#include "torture.h"

#define EXIT_SKIPPED 77

static struct torture *running;
static uint64_t next_progress;

__attribute__((noreturn, format(printf, 2, 3)))
static void bad(const struct torture *t, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", t->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static uint64_t number(const struct torture *t, const char *name, const char *text)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		bad(t, "--%s is a whole number, not '%s'", name, text);
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct torture *t = state->input;

	switch (key) {
	case 's':
		t->seed = number(t, "seed", arg);
		return 0;
	case 'b':
		t->bound = number(t, "bound", arg);
		if (!t->bound)
			bad(t, "--bound is at least 1 (%s)", t->unit);
		return 0;
	case ARGP_KEY_ARG:
		bad(t, "takes options only (--help), not '%s'", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void torture_begin(struct torture *t, int argc, char **argv)
{
	char bound[96];
	const struct argp_option options[] = {
		{ "seed", 's', "S", 0, "Repeats what was random (1)", 0 },
		{ "bound", 'b', "N", 0, bound, 0 },
		{ NULL, 0, NULL, 0, NULL, 0 }
	};
	const struct argp argp = { .options = options, .parser = parse, .doc = t->what };

	snprintf(bound, sizeof(bound), "Ends after so many %s (%" PRIu64 ")", t->unit,
		 t->bound);
	t->seed = 1;
	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, t);
	if (!in_vm())
		cannot("it breaks disks: run it by tests/vm/torture");
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* a pool of this user's is charged to it from here on */
	must(chmod("/dev/pirn", 0666));
	running = t;
	printf("%s: seed %" PRIu64 ", %" PRIu64 " %s\n", t->name, t->seed, t->bound,
	       t->unit);
}

void torture_progress(uint64_t done)
{
	uint64_t now = clock_ns();

	if (now < next_progress)
		return;
	next_progress = now + 5000000000u;
	printf("%s: %" PRIu64 " of %" PRIu64 " %s\n", running->name, done,
	       running->bound, running->unit);
}

void become_user(void)
{
	struct rlimit limit = { TORTURE_LOCKED, TORTURE_LOCKED };

	must(setrlimit(RLIMIT_MEMLOCK, &limit));
	must(setresgid(TORTURE_UID, TORTURE_UID, TORTURE_UID));
	must(setresuid(TORTURE_UID, TORTURE_UID, TORTURE_UID));
	/* lost with the identity */
	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
}

/* The whole allowance is free again: a pool of just that size can be had. */
static bool whole_allowance_free(void)
{
	struct pirn_pool_create create = { .bytes = TORTURE_LOCKED, .node = -1 };
	int status;
	pid_t pid = must(fork());

	if (!pid) {
		become_user();
		_exit(pool_create(&create) < 0);
	}
	must(waitpid(pid, &status, 0));
	check(WIFEXITED(status));
	return !WEXITSTATUS(status);
}

void check_nothing_charged(void)
{
	unsigned int i;

	/* freed by a work queue, and from there charged no more */
	for (i = 0; !whole_allowance_free(); i++) {
		check_op(i, <, 100);
		nap_ms(50);
	}
}

void check_ops_ended(void)
{
	long cpu, cpus = sysconf(_SC_NPROCESSORS_CONF);
	unsigned long long submitted = 0, completed = 0;

	await_no_ops();
	for (cpu = 0; cpu < cpus; cpu++) {
		submitted += cpu_counter((unsigned int)cpu, "submitted");
		completed += cpu_counter((unsigned int)cpu, "completed");
	}
	check_eq(completed, submitted);
}

void check_nothing_left(void)
{
	check_ops_ended();
	check_nothing_charged();
	await_unload();
	module_load();
	must(chmod("/dev/pirn", 0666));
}

void shell(const char *command, ...)
{
	char text[512];
	va_list args;
	int status;

	va_start(args, command);
	vsnprintf(text, sizeof(text), command, args);
	va_end(args);
	status = system(text);
	if (status)
		check_failed(__FILE__, __LINE__, "'%s': status %d", text,
			     WEXITSTATUS(status));
}

void cannot(const char *why)
{
	printf("skipped: %s\n", why);
	exit(EXIT_SKIPPED);
}
