// SPDX-License-Identifier: MIT
/*
 * Calls that make no sense, and some that nearly do. A program is a list of
 * stretches, each a seed and a number of calls; it runs in a process of its own
 * that owns some fds, mappings and rings. Where the kernel has KCOV, a program
 * that reaches code of the module for the first time is kept, and later ones
 * begin as a part of it.
 *
 * Every other program has a second thread that scribbles over the rings while
 * the calls go on; the others are the same in each run with the same seed.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <linux/kcov.h>

#include "calls.h"

#define STRETCHES 4u
#define STRETCH_CALLS 100u
#define KEPT 256u
#define ERRNOS 134u
#define COVER_WORDS (64u * KiB)
#define SLOW_DISK 1

struct program {
	unsigned int stretches;
	bool scribbled;
	struct {
		uint64_t seed;
		unsigned int calls;
	} stretch[STRETCHES];
};

/* Every errno <linux/pirn.h> gives the call; ENOTTY and EBADF where fds are wrong. */
static const unsigned char allowed[IOCTLS][12] = {
	[QUERY] = { EINVAL, E2BIG, EFAULT },
	[CHANNEL_CREATE] = { EINVAL, E2BIG, EFAULT, ENOMEM, EMFILE },
	[POOL_CREATE] = { EINVAL, E2BIG, EFAULT, ENOMEM, EMFILE, EOPNOTSUPP, EINTR },
	[ENTER] = { EINVAL, EBUSY, EPERM, ENOMEM, EINTR },
	[ENTER_UNTIL] = { EINVAL, E2BIG, EFAULT, EBUSY, EPERM, ENOMEM, EINTR, ETIME,
			  EOPNOTSUPP },
	[NOTIFY] = { EINVAL },
	[TARGET_ATTACH] = { EINVAL, E2BIG, EFAULT, EOPNOTSUPP, ENFILE, ENOMEM, EACCES, EIO },
	[TARGET_DETACH] = { EINVAL, E2BIG, EFAULT, ENOENT, EBUSY },
	[POOL_ATTACH] = { EINVAL, E2BIG, EFAULT, ENFILE, ENOMEM },
	[POOL_DETACH] = { EINVAL, E2BIG, EFAULT, ENOENT, EBUSY },
	/* an epoll's, since 6.9; tests/abi.c knows that ours say ENOTTY */
	[UNKNOWN] = { EINVAL },
};

/* What the processes of the programs tell their parent. */
struct seen {
	uint64_t calls;
	uint64_t count[KINDS][ERRNOS];	/* 0: it worked */
	uint64_t reached;		/* places of the module */
	unsigned char place[2 * MiB];	/* by offset in its text: been there */
};

static struct seen *seen;
static uint64_t text_start, text_bytes;

/* ----------------------------------------------------------------- coverage */

static uint64_t *cover;
static int cover_fd = -1;

/* Where the module's code lies, for those who may know. */
static void find_text(void)
{
	char line[64] = "";
	int fd = open("/sys/module/pirn/sections/.text", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, line, sizeof(line) - 1) <= 0)
		return;
	close(fd);
	text_start = strtoull(line, NULL, 16);
	text_bytes = sizeof(seen->place);
}

static void cover_open(void)
{
	cover_fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (cover_fd < 0)
		return;
	must(ioctl(cover_fd, KCOV_INIT_TRACE, COVER_WORDS));
	cover = must(mmap(NULL, COVER_WORDS * 8ul, PROT_READ | PROT_WRITE, MAP_SHARED,
			  cover_fd, 0));
	must(ioctl(cover_fd, KCOV_ENABLE, KCOV_TRACE_PC));
}

static void cover_begin(void)
{
	if (cover)
		__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
}

static void cover_end(void)
{
	uint64_t i, at, n = cover ? __atomic_load_n(&cover[0], __ATOMIC_RELAXED) : 0;

	for (i = 1; i <= n && i < COVER_WORDS; i++) {
		at = cover[i] - text_start;
		if (at < text_bytes && !seen->place[at]) {
			seen->place[at] = 1;
			seen->reached++;
		}
	}
}

/* ------------------------------------------------------------------ programs */

static bool stop;

static void *scribbler(void *arg)
{
	struct rng rng = { (uintptr_t)arg };

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		scribble(&rng, 16);
	return NULL;
}

/* Runs @p and ends; what it has open goes with it, in the order fds have. */
static void run(const struct program *p)
{
	pthread_t thread;
	unsigned int s, i;
	enum kind kind;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	cover_open();
	calls_prepare(p->stretch[0].seed);
	if (p->scribbled)
		check_eq(pthread_create(&thread, NULL, scribbler,
					(void *)(uintptr_t)p->stretch[0].seed), 0);
	for (s = 0; s < p->stretches; s++) {
		calls_continue(p->stretch[s].seed);
		for (i = 0; i < p->stretch[s].calls; i++) {
			kind = any_kind();
			errno = 0;
			cover_begin();
			ret = make_call(kind);
			ret = ret < 0 ? errno : 0;
			cover_end();
			seen->count[kind][ret < (int)ERRNOS ? ret : 1]++;
			seen->calls++;
		}
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	_exit(0);
}

static struct program kept[KEPT];
static unsigned int kept_count;

static struct program next_program(struct rng *rng)
{
	struct program p = { .stretches = 0 };

	if (kept_count && rng_below(rng, 3)) {
		p = kept[rng_below(rng, kept_count)];
		p.stretches = 1 + (unsigned int)rng_below(rng, p.stretches);
		if (p.stretches == STRETCHES)
			p.stretches--;
	}
	p.scribbled = rng_below(rng, 2);
	p.stretch[p.stretches].seed = rng_next(rng);
	p.stretch[p.stretches++].calls = 1 + (unsigned int)rng_below(rng, 2 * STRETCH_CALLS);
	return p;
}

static void check_errnos(void)
{
	unsigned int kind, e;

	for (kind = 0; kind < IOCTLS; kind++) {
		for (e = 1; e < ERRNOS; e++) {
			if (!seen->count[kind][e] || e == EBADF || e == ENOTTY ||
			    memchr(allowed[kind], (int)e, sizeof(allowed[kind])))
				continue;
			check_failed(__FILE__, __LINE__, "%s gave %s", call_name[kind],
				     strerrorname_np((int)e));
		}
	}
}

static void one_program(struct rng *rng)
{
	struct program p = next_program(rng);
	uint64_t before = seen->reached;
	pid_t pid = must(fork());
	int status;

	if (!pid)
		run(&p);
	must(waitpid(pid, &status, 0));
	/* what it did to its own memory may well have killed it */
	check(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
	if (seen->reached > before)
		kept[kept_count < KEPT ? kept_count++ : rng_below(rng, KEPT)] = p;
}

/* Each call both worked and failed, or it was no test of it. */
static void report(uint64_t bound)
{
	unsigned int kind, e;
	uint64_t failed;

	for (kind = 0; kind < KINDS; kind++) {
		printf("%-15s", call_name[kind]);
		for (e = 0, failed = 0; e < ERRNOS; e++) {
			if (!seen->count[kind][e])
				continue;
			printf(" %s %llu", e ? strerrorname_np((int)e) : "ok",
			       (unsigned long long)seen->count[kind][e]);
			failed += e ? seen->count[kind][e] : 0;
		}
		printf("\n");
		if (kind >= IOCTLS || bound < 10000)
			continue;
		check_op(failed, >, 0);
		check(kind == UNKNOWN || seen->count[kind][0]);
	}
}

int main(int argc, char **argv)
{
	struct torture t = {
		.name = "fuzz", .unit = "calls", .bound = 1000000,
		.what = "Makes random calls of every kind with fds, mappings and rings of "
			"the module, coverage-guided where the kernel has KCOV, and looks "
			"that nothing stays. About 10 minutes in an emulated machine.",
	};
	struct rng rng;
	uint64_t checked = 0;
	char slow[32], disk[32];

	torture_begin(&t, argc, argv);
	rng.state = t.seed;
	seen = must(mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	find_text();
	slow_disk(SLOW_DISK, 3000000, slow);
	shell("touch /tmp/fuzzed && chmod 666 /tmp/fuzzed %s %s %s", FAST_DISK, NVME_DISK,
	      slow);
	slow_disk(SLOW_DISK + 1, 10000, disk);
	shell("mkfs.ext4 -q -F %s && mkdir -p /run/fuzzed && mount %s /run/fuzzed && "
	      "dd if=/dev/zero of=" FUZZED_FILE " bs=1M count=4 status=none && "
	      "chmod 666 " FUZZED_FILE, disk, disk);
	while (seen->calls < t.bound) {
		one_program(&rng);
		torture_progress(seen->calls);
		if (seen->calls - checked < 100000)
			continue;
		checked = seen->calls;
		check_ops_ended();
		check_nothing_charged();
	}
	check_nothing_left();
	/* no file is held any more */
	shell("umount /run/fuzzed");
	report(t.bound);
	check_errnos();
	printf("fuzz: %llu calls, %llu places of the module reached, nothing left\n",
	       (unsigned long long)seen->calls, (unsigned long long)seen->reached);
	return 0;
}
