// SPDX-License-Identifier: MIT
#include "load.h"

void load_open(struct load *load, const char *disk, uint64_t seed)
{
	memset(load, 0, sizeof(*load));
	rig_open(&load->rig, LOAD_DEPTH, 256 * KiB, disk);
	load->rng.state = seed;
	load->blocks = 1000;
	load->bytes = LOAD_BYTES;
	load->write_percent = 40;
	load->fsync_percent = 2;
}

void load_close(struct load *load)
{
	load_drain(load);
	rig_close(&load->rig);
}

void load_forget(struct load *load)
{
	memset(load->ended, 0, sizeof(load->ended));
	memset(load->cut, 0, sizeof(load->cut));
}

static void end_one(struct load *load, struct pirn_cqe cqe)
{
	unsigned int slot = (unsigned int)(cqe.cookie % LOAD_DEPTH);
	uint8_t op;

	/* once, and one that there was */
	check_op(cqe.cookie / LOAD_DEPTH, ==, load->round[slot]);
	check(load->out[slot]);
	load->out[slot] = false;
	load->in_flight--;
	op = load->op[slot];
	if (cqe.res < 0) {
		check_op(-cqe.res, <, LOAD_ERRNOS);
		load->ended[op][-cqe.res]++;
	} else if (op != PIRN_OP_FSYNC && cqe.res != (int)load->bytes) {
		check_op(cqe.res, <, load->bytes);
		load->cut[op]++;
	} else {
		load->ended[op][0]++;
	}
}

void load_reap(struct load *load)
{
	while (cq_ready(&load->rig.ch))
		end_one(load, take_cqe(&load->rig.ch));
}

static void fill_sqe(struct load *load, unsigned int slot)
{
	uint64_t dice = rng_below(&load->rng, 100);
	struct pirn_sqe sqe = io_sqe(PIRN_OP_READ,
				     LOAD_BYTES * rng_below(&load->rng, load->blocks),
				     (uint64_t)LOAD_BYTES * slot, load->bytes);

	if (dice < load->write_percent)
		sqe.op = PIRN_OP_WRITE;
	else if (dice < load->write_percent + load->fsync_percent)
		sqe = io_sqe(PIRN_OP_FSYNC, 0, 0, 0);
	load->op[slot] = sqe.op;
	load->out[slot] = true;
	load->round[slot] = ++load->next;
	sqe.cookie = load->next * LOAD_DEPTH + slot;
	*next_sqe(&load->rig.ch) = sqe;
	load->in_flight++;
}

/* What ENTER leaves in the queue is taken by a later one. */
void load_submit(struct load *load)
{
	struct channel *ch = &load->rig.ch;
	unsigned int slot;
	int ret;

	for (slot = 0; slot < LOAD_DEPTH; slot++) {
		if (!load->out[slot] && ch->sq_tail - ch->ring->sq_head < LOAD_DEPTH)
			fill_sqe(load, slot);
	}
	ret = enter(ch, ch->sq_tail - ch->ring->sq_head);
	check(ret >= 0 || errno == EINTR || errno == ENOMEM);
}

void load_run(struct load *load, unsigned int ms)
{
	uint64_t end = clock_ns() + ms * 1000000ull;

	while (clock_ns() < end) {
		load_submit(load);
		if (!cq_ready(&load->rig.ch))
			enter_until(&load->rig.ch, 0, PIRN_ENTER_WAIT,
				    clock_ns() + 20000000u);
		load_reap(load);
	}
}

void load_drain(struct load *load)
{
	uint64_t end = clock_ns() + 60000000000u;
	struct channel *ch = &load->rig.ch;

	for (;;) {
		load_reap(load);
		if (!load->in_flight)
			break;
		check_op(clock_ns(), <, end);
		enter_until(ch, ch->sq_tail - ch->ring->sq_head, PIRN_ENTER_WAIT,
			    clock_ns() + 20000000u);
	}
}

uint64_t load_ended(const struct load *load, int op, int error)
{
	return load->ended[op][error];
}

void load_check(const struct load *load, int op, const char *what,
		const int *errors, unsigned int n)
{
	unsigned int e, i;

	for (e = 1; e < LOAD_ERRNOS; e++) {
		if (!load->ended[op][e])
			continue;
		for (i = 0; i < n && errors[i] != (int)e; i++)
			;
		if (i == n)
			check_failed(__FILE__, __LINE__, "%s: op %d ended with %s, %llu times",
				     what, op, strerrorname_np((int)e),
				     (unsigned long long)load->ended[op][e]);
	}
}
