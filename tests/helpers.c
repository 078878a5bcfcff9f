// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "helpers.h"

#define EXIT_SKIPPED 77

/* A hang is a failure of one case; nothing that works comes near this. */
static unsigned int case_seconds(void)
{
	const char *text = getenv("PIRN_TEST_SECONDS");

	return text ? (unsigned int)atoi(text) : scaled(60, 240);
}

/*
 * cmocka catches these to end the program politely; a case is to die of them,
 * or to be reported on by a sanitizer.
 */
static const int caught[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS };
static struct sigaction before_cmocka[array_size(caught)];

static void save_handlers(void)
{
	for (size_t i = 0; i < array_size(caught); i++)
		sigaction(caught[i], NULL, &before_cmocka[i]);
}

static void restore_handlers(void)
{
	for (size_t i = 0; i < array_size(caught); i++)
		sigaction(caught[i], &before_cmocka[i], NULL);
}

void run_case(void (*body)(void))
{
	struct rlimit no_core = { 0, 0 };
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setrlimit(RLIMIT_CORE, &no_core);
		restore_handlers();
		alarm(case_seconds());
		body();
		/* not _exit: the leak checker runs here */
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fail_msg("fork: %s", strerror(errno));
	if (WIFSIGNALED(status))
		fail_msg("ended by signal %d%s", WTERMSIG(status),
			 WTERMSIG(status) == SIGALRM ? ": it hangs" : "");
	if (WEXITSTATUS(status) == EXIT_SKIPPED)
		skip();
	if (WEXITSTATUS(status) != 0)
		fail_msg("exit status %d", WEXITSTATUS(status));
}

int run_program(int argc, char **argv, const char *name,
		const struct CMUnitTest *tests, size_t n)
{
	struct CMUnitTest *chosen;
	size_t i, count = 0;
	int failed;

	if (argc == 2 && strcmp(argv[1], "--backend-usable") == 0) {
		skip_without_uring();
		return 0;
	}
	chosen = calloc(n, sizeof(*chosen));
	for (i = 0; i < n; i++) {
		if (argc < 2 || fnmatch(argv[1], tests[i].name, 0) == 0)
			chosen[count++] = tests[i];
	}
	if (!count) {
		fprintf(stderr, "%s: no case is named '%s'\n", name, argv[1]);
		return 2;
	}
	save_handlers();
	failed = _cmocka_run_group_tests(name, chosen, count, NULL, NULL);
	free(chosen);
	return failed != 0;
}

void skip_case(const char *why, ...)
{
	char text[256];
	va_list args;

	va_start(args, why);
	vsnprintf(text, sizeof(text), why, args);
	va_end(args);
	dprintf(STDERR_FILENO, "skipped: %s\n", text);
	exit(EXIT_SKIPPED);
}

void check_failed(const char *file, int line, const char *format, ...)
{
	const char *reason = pirn_self() ? pirn_reason() : "";
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "%s:%d: check failed: %s%s%s\n", file, line, text,
		*reason ? "; reason: " : "", reason);
	_exit(1);
}

bool in_vm(void)
{
	return getenv("PIRN_VM") != NULL;
}

unsigned int scaled(unsigned int natively, unsigned int in_vm_or_tsan)
{
	return in_vm() || UNDER_TSAN ? in_vm_or_tsan : natively;
}

/* splitmix64: short, and any seed will do */
uint64_t rng_next(struct rng *rng)
{
	uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *rng, uint64_t below)
{
	return rng_next(rng) % below;
}

static uint64_t word_at(uint64_t offset, uint64_t seed)
{
	struct rng rng = { offset ^ (seed * 0xd1342543de82ef95u) };

	return rng_next(&rng);
}

void fill(void *buf, size_t bytes, uint64_t offset, uint64_t seed)
{
	uint64_t word;
	size_t at, n;

	for (at = 0; at < bytes; at += 8) {
		word = word_at(offset + at, seed);
		n = bytes - at < 8 ? bytes - at : 8;
		memcpy((char *)buf + at, &word, n);
	}
}

size_t first_wrong(const void *buf, size_t bytes, uint64_t offset, uint64_t seed)
{
	uint64_t word;
	size_t at, n;

	for (at = 0; at < bytes; at += 8) {
		word = word_at(offset + at, seed);
		n = bytes - at < 8 ? bytes - at : 8;
		if (memcmp((const char *)buf + at, &word, n))
			return at;
	}
	return bytes;
}

uint64_t clock_ns(void)
{
	struct timespec ts;

	/* there is no other way to virtual time */
	if (pirn_backend_current() == PIRN_BACKEND_SIM)
		return pirn_now();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void nap_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };
	uint64_t until = clock_ns() + ms * 1000000ull;

	if (pirn_backend_current() == PIRN_BACKEND_SIM) {
		while (clock_ns() < until)
			;
		return;
	}
	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

enum pirn_backend wanted_backend(void)
{
	const char *name = getenv("PIRN_TEST_BACKEND");

	if (!name || strcmp(name, "uring") == 0)
		return PIRN_BACKEND_URING;
	if (strcmp(name, "aio") == 0)
		return PIRN_BACKEND_AIO;
	if (strcmp(name, "kmod") == 0)
		return PIRN_BACKEND_KMOD;
	if (strcmp(name, "sim") == 0)
		return PIRN_BACKEND_SIM;
	check_failed(__FILE__, __LINE__, "PIRN_TEST_BACKEND=%s is no backend", name);
}

bool simulated(void)
{
	return wanted_backend() == PIRN_BACKEND_SIM;
}

void not_simulated(const char *why)
{
	if (simulated())
		skip_case("the simulator: %s", why);
}

/*
 * Only a host that blocks io_uring excuses a case, and the kernel is asked, not
 * the library: a library that wrongly says so must fail.
 */
void skip_without_uring(void)
{
	struct io_uring_params params = { 0 };
	long fd;

	if (wanted_backend() != PIRN_BACKEND_URING)
		return;
	fd = syscall(SYS_io_uring_setup, 1, &params);
	if (fd >= 0)
		close((int)fd);
	else if (errno == ENOSYS || errno == EPERM)
		skip_case("io_uring is blocked here (%s)", strerror(errno));
}

struct run_on_args {
	int (*fn)(void *arg);
	void *arg;
};

static int run_checked(void *arg)
{
	struct run_on_args *args = arg;

	check_eq(pirn_backend_current(), wanted_backend());
	return args->fn(args->arg);
}

int run_on(const struct pirn_options *opt, int (*fn)(void *arg), void *arg)
{
	struct pirn_options options = PIRN_OPTIONS_INIT;
	struct run_on_args args = { fn, arg };
	char message[256] = "";
	int err, result = -1;

	if (opt)
		options = *opt;
	options.backend = wanted_backend();
	skip_without_uring();
	if (!options.message) {
		options.message = message;
		options.message_bytes = sizeof(message);
	}
	err = pirn_run(&options, run_checked, &args, &result);
	if (err)
		check_failed(__FILE__, __LINE__, "pirn_run: %s: %s",
			     strerror(-err), options.message);
	return result;
}

const char *shared_cpus(unsigned int n)
{
	static char text[64 * 5];
	size_t used = 0;
	cpu_set_t set;
	int i, cpu[2], found = 0;

	check(n <= 64);
	must(sched_getaffinity(0, sizeof(set), &set));
	for (i = 0; i < CPU_SETSIZE && found < 2; i++)
		if (CPU_ISSET(i, &set))
			cpu[found++] = i;
	for (i = 0; i < (int)n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%d",
					 i ? "," : "", cpu[i % found]);
	return text;
}

int run_on_cores(const struct pirn_options *opt, int (*fn)(void *arg), void *arg)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	if (CPU_COUNT(&set) < 2 && wanted_backend() != PIRN_BACKEND_SIM)
		skip_case("needs two CPUs, has one");
	return run_on(opt, fn, arg);
}

void run_fibers(unsigned int n, int (*fn)(void *arg), void *arg)
{
	struct pirn_fiber **fibers = calloc(n, sizeof(*fibers));
	unsigned int i;

	check(fibers);
	for (i = 0; i < n; i++)
		check_eq(pirn_spawn(&fibers[i], fn, arg), 0);
	for (i = 0; i < n; i++)
		check_eq(pirn_join(fibers[i], NULL), 0);
	free(fibers);
}

struct everywhere {
	unsigned int n;
	int (*fn)(void *arg);
	void *arg;
	atomic_uint ended;
};

static int fibers_there(void *arg)
{
	struct everywhere *e = arg;

	run_fibers(e->n, e->fn, e->arg);
	atomic_fetch_add(&e->ended, 1);
	return 0;
}

static int start_there(void *arg)
{
	check_eq(pirn_spawn(NULL, fibers_there, arg), 0);
	return 0;
}

/* Not with a call that lasts: it would take a place in the queue under test. */
void run_fibers_everywhere(unsigned int n, int (*fn)(void *arg), void *arg)
{
	struct everywhere e = { .n = n, .fn = fn, .arg = arg };
	unsigned int i, cores = (unsigned int)pirn_core_count();

	for (i = 0; i < cores; i++)
		check_eq(pirn_call(i, start_there, &e, NULL), 0);
	while (atomic_load(&e.ended) < cores)
		check_eq(pirn_sleep(200000), 0);
}

/* ----------------------------------------------------------------- files */

static char paths[8][256];
static unsigned int path_count;
static pid_t path_owner;

static void remove_paths(void)
{
	unsigned int i;

	/* not in a child of the case */
	for (i = 0; i < path_count && path_owner == getpid(); i++)
		unlink(paths[i]);
}

const char *new_path(const char *name)
{
	const char *dir = getenv("PIRN_TEST_DIR");
	char *path = paths[path_count];

	check(path_count < array_size(paths));
	if (!path_count++) {
		path_owner = getpid();
		atexit(remove_paths);
	}
	snprintf(path, sizeof(paths[0]), "%s/%s.%d", dir ? dir : "build", name,
		 (int)getpid());
	unlink(path);
	return path;
}

const struct target *test_target(void)
{
	static struct target target;
	const char *path = getenv("PIRN_TEST_TARGET");
	struct stat st;
	int fd;

	if (target.bytes)
		return &target;
	if (path) {
		fd = must(open(path, O_RDWR | O_CLOEXEC));
	} else {
		path = new_path("target");
		fd = must(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
		must(ftruncate(fd, 64 * MiB));
	}
	must(fstat(fd, &st));
	target.block = S_ISBLK(st.st_mode);
	target.bytes = (uint64_t)st.st_size;
	if (target.block)
		must(ioctl(fd, BLKGETSIZE64, &target.bytes));
	check(target.bytes >= 64 * MiB);
	close(fd);
	snprintf(target.path, sizeof(target.path), "%s", path);
	return &target;
}
