// SPDX-License-Identifier: MIT
/*
 * kill -9 at random moments: while channels are made, while IO is in flight on
 * disks that take their time, while a worker holds some of it, and while another
 * process shares the channel. What the dead leave must complete and be freed.
 */
#include <signal.h>
#include <sys/prctl.h>

#include "dying.h"
#include "torture.h"

#define MS 1000000ull
#define AT_ONCE 3u		/* victims, each on a disk of its own */

static char timer_disk[32], delay_disk[32];

/* A disk that holds each request on the way down, and knows no NOWAIT. */
static void delayed_disk(void)
{
	shell("modprobe dm_delay && dmsetup create slow --noudevsync "
	      "--table '0 65536 delay /dev/nvme1n1 0 30'");
	shell("chmod 666 /dev/dm-*");
	snprintf(delay_disk, sizeof(delay_disk), "/dev/dm-0");
	must(access(delay_disk, F_OK));
}

/* Another process on what a victim has, to outlive it for a while or not. */
static void share(uint64_t seed, int ready)
{
	struct rng rng = { seed };
	struct rig rig;
	pid_t pid;

	rig_open(&rig, 16, 64 * KiB, timer_disk);
	pid = must(fork());
	check_eq(write(ready, "", 1), 1);
	if (!pid)
		must(prctl(PR_SET_PDEATHSIG, rng_below(&rng, 2) ? SIGKILL : 0));
	for (;;) {
		if (pid) {
			while (rig.ch.sq_tail - rig.ch.ring->sq_head < 16)
				*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0,
							    4096 * rng_below(&rng, 16), 4096);
			must(enter(&rig.ch, 16 | PIRN_ENTER_WAIT));
			while (cq_ready(&rig.ch))
				check_op(take_cqe(&rig.ch).res, >=, 0);
		} else {
			must(ioctl(rig.ch.fd, PIRN_IOC_NOTIFY, 0));
			nap_ms(1);
			if (getppid() == 1)
				_exit(0);
		}
	}
}

static pid_t start(unsigned int which, uint64_t seed, int ready)
{
	const char *disk[] = { timer_disk, delay_disk, NVME_DISK };
	pid_t pid = must(fork());

	if (pid)
		return pid;
	become_user();
	if (seed % 8)
		die_slowly(disk[which], seed, ready);
	share(seed, ready);
	return 0;
}

static void kill_and_look(pid_t pid)
{
	int status;

	must(kill(pid, SIGKILL));
	must(waitpid(pid, &status, 0));
	/* one whose IO went wrong has ended by itself */
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void one_round(struct rng *rng)
{
	unsigned int i, n = 1 + (unsigned int)rng_below(rng, AT_ONCE);
	bool early = rng_below(rng, 4) == 0;
	pid_t pid[AT_ONCE];
	int ready[2];
	char byte;

	must(pipe(ready));
	for (i = 0; i < n; i++)
		pid[i] = start(i, rng_next(rng), ready[1]);
	/* most of the time IO is in flight, else anything may be half made */
	for (i = 0; i < n && !early; i++)
		check_eq(read(ready[0], &byte, 1), 1);
	nap_ms((unsigned int)rng_below(rng, 50));
	for (i = 0; i < n; i++)
		kill_and_look(pid[i]);
	close(ready[0]);
	close(ready[1]);
}

int main(int argc, char **argv)
{
	struct torture t = {
		.name = "kill", .unit = "rounds", .bound = 500,
		.what = "Kills processes with IO in flight on slow disks at random "
			"moments, up to three a round: the ops must end, nothing stay "
			"charged, the module go. About a minute in an emulated machine.",
	};
	struct rng rng;
	uint64_t round;

	torture_begin(&t, argc, argv);
	rng.state = t.seed;
	slow_disk(1, 20 * MS, timer_disk);
	delayed_disk();
	shell("chmod 666 %s %s", timer_disk, NVME_DISK);
	for (round = 1; round <= t.bound; round++) {
		one_round(&rng);
		torture_progress(round);
		if (round % 50 == 0)
			check_nothing_left();
	}
	check_nothing_left();
	shell("dmsetup remove --noudevsync slow");
	printf("kill: %llu rounds, nothing left\n", (unsigned long long)t.bound);
	return 0;
}
