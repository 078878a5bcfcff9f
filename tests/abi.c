// SPDX-License-Identifier: MIT
/*
 * What every ioctl promises: sizes, reserved fields, ranges, which fd it works
 * on, and that a call that fails changed nothing.
 */
#include <sys/syscall.h>

#include "device.h"

/* Programs built today must work with tomorrow's module. */
#define AT(type, field, offset)                                               \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)

_Static_assert(sizeof(struct pirn_query) == 64, "query");
_Static_assert(sizeof(struct pirn_channel_create) == 32, "channel_create");
_Static_assert(sizeof(struct pirn_pool_create) == 32, "pool_create");
_Static_assert(sizeof(struct pirn_target_attach) == 32, "target_attach");
_Static_assert(sizeof(struct pirn_target_detach) == 8, "target_detach");
_Static_assert(sizeof(struct pirn_pool_attach) == 24, "pool_attach");
_Static_assert(sizeof(struct pirn_pool_detach) == 8, "pool_detach");
_Static_assert(sizeof(struct pirn_enter) == 24, "enter");
_Static_assert(sizeof(struct pirn_sqe) == 64, "sqe");
_Static_assert(sizeof(struct pirn_cqe) == 32, "cqe");
_Static_assert(sizeof(struct pirn_ring_header) == 256, "ring_header");
AT(pirn_query, max_io_bytes, 56);
AT(pirn_query, max_results, 60);
AT(pirn_channel_create, results, 20);
AT(pirn_channel_create, mmap_bytes, 24);
AT(pirn_pool_create, segments, 28);
AT(pirn_target_attach, memory_align, 28);
AT(pirn_pool_attach, bytes, 16);
AT(pirn_enter, watch, 12);
AT(pirn_enter, deadline, 16);
AT(pirn_sqe, cookie, 8);
AT(pirn_sqe, pool_offset, 24);
AT(pirn_sqe, threshold, 36);
AT(pirn_sqe, resv1, 40);
AT(pirn_cqe, res, 8);
AT(pirn_cqe, device, 16);
AT(pirn_cqe, published, 24);
AT(pirn_ring_header, results_offset, 40);
AT(pirn_ring_header, flags, 48);
AT(pirn_ring_header, sq_head, 64);
AT(pirn_ring_header, cq_tail, 128);
AT(pirn_ring_header, cq_head, 192);
_Static_assert(PIRN_IOC_QUERY == 0xbd00 && PIRN_IOC_POOL_DETACH == 0xbd16, "nr");

/* ------------------------------------------------------- one row an ioctl */

static int device, disk;
static struct channel ch;
static struct pool pool;

union arg {
	struct pirn_query query;
	struct pirn_channel_create channel;
	struct pirn_pool_create pool;
	struct pirn_target_attach target_attach;
	struct pirn_target_detach target_detach;
	struct pirn_pool_attach pool_attach;
	struct pirn_pool_detach pool_detach;
	struct pirn_enter enter;
	char bytes[128];
};

static void setup(void)
{
	device = open_device();
	disk = must(open(FAST_DISK, O_RDWR | O_DIRECT | O_CLOEXEC));
	channel_open(&ch, 4, 8);
	pool_open(&pool, 64 * KiB);
}

static void valid_nothing(union arg *arg)
{
	(void)arg;
}

static void valid_channel(union arg *arg)
{
	arg->channel.sq_entries = 4;
	arg->channel.cq_entries = 8;
}

static void valid_pool(union arg *arg)
{
	arg->pool.bytes = 64 * KiB;
	arg->pool.node = -1;
}

static void valid_target_attach(union arg *arg)
{
	arg->target_attach.fd = disk;
}

static void valid_target_detach(union arg *arg)
{
	arg->target_detach.index = (uint32_t)must(attach_target_fd(&ch, disk));
}

static void valid_pool_attach(union arg *arg)
{
	arg->pool_attach.fd = pool.fd;
}

static void valid_pool_detach(union arg *arg)
{
	arg->pool_detach.index = (uint32_t)must(attach_pool_fd(&ch, pool.fd));
}

static void undo_fd(const union arg *arg, int ret)
{
	(void)arg;
	must(close(ret));
}

static void undo_target(const union arg *arg, int ret)
{
	check_eq(ret, 0);
	must(detach_target(&ch, arg->target_attach.index));
}

static void undo_pool(const union arg *arg, int ret)
{
	check_eq(ret, 0);
	must(detach_pool(&ch, arg->pool_attach.index));
}

static void undo_nothing(const union arg *arg, int ret)
{
	(void)arg;
	check_eq(ret, 0);
}

static const struct row {
	const char *name;
	unsigned long cmd;
	bool on_channel;
	bool out;			/* writes the struct */
	uint32_t size;
	void (*valid)(union arg *arg);	/* fills all but size */
	void (*undo)(const union arg *arg, int ret);
} rows[] = {
	{ "QUERY", PIRN_IOC_QUERY, false, true, sizeof(struct pirn_query),
	  valid_nothing, undo_nothing },
	{ "CHANNEL_CREATE", PIRN_IOC_CHANNEL_CREATE, false, true,
	  sizeof(struct pirn_channel_create), valid_channel, undo_fd },
	{ "POOL_CREATE", PIRN_IOC_POOL_CREATE, false, true,
	  sizeof(struct pirn_pool_create), valid_pool, undo_fd },
	{ "TARGET_ATTACH", PIRN_IOC_TARGET_ATTACH, true, true,
	  sizeof(struct pirn_target_attach), valid_target_attach, undo_target },
	{ "TARGET_DETACH", PIRN_IOC_TARGET_DETACH, true, false,
	  sizeof(struct pirn_target_detach), valid_target_detach, undo_nothing },
	{ "POOL_ATTACH", PIRN_IOC_POOL_ATTACH, true, true,
	  sizeof(struct pirn_pool_attach), valid_pool_attach, undo_pool },
	{ "POOL_DETACH", PIRN_IOC_POOL_DETACH, true, false,
	  sizeof(struct pirn_pool_detach), valid_pool_detach, undo_nothing },
	{ "ENTER_UNTIL", PIRN_IOC_ENTER_UNTIL, true, false,
	  sizeof(struct pirn_enter), valid_nothing, undo_nothing },
};

static int call(const struct row *row, void *arg)
{
	return ioctl(row->on_channel ? ch.fd : device, row->cmd, arg);
}

static void prepare(const struct row *row, union arg *arg, uint32_t size)
{
	memset(arg, 0, sizeof(*arg));
	row->valid(arg);
	arg->query.size = size;
}

/* The call must work on what is left of *@arg. */
static void works(const struct row *row, union arg *arg)
{
	int ret = call(row, arg);

	if (ret < 0)
		check_failed(__FILE__, __LINE__, "%s: %s", row->name, strerror(errno));
	row->undo(arg, ret);
}

static void fails(const struct row *row, void *arg, int error, const char *what)
{
	int ret = call(row, arg);

	if (ret != -1 || errno != error)
		check_failed(__FILE__, __LINE__, "%s, %s: %d (%s), not %s", row->name,
			     what, ret, ret < 0 ? strerror(errno) : "no error",
			     strerror(error));
}

/* ------------------------------------------------------------------- sizes */

TEST(sizes_shorter_and_longer)
{
	const struct row *row;
	union arg arg;
	uint32_t size;

	setup();
	for (row = rows; row < rows + array_size(rows); row++) {
		prepare(row, &arg, row->size);
		for (size = 0; size < row->size; size++) {
			arg.query.size = size;
			fails(row, &arg, EINVAL, "short");
		}
		/* longer, with zeros where a newer header has fields */
		arg.query.size = row->size;
		works(row, &arg);
		prepare(row, &arg, row->size + 8);
		works(row, &arg);
		check_eq(arg.bytes[row->size], 0);
		prepare(row, &arg, sizeof(arg));
		works(row, &arg);

		prepare(row, &arg, row->size + 8);
		arg.bytes[row->size] = 1;
		fails(row, &arg, E2BIG, "junk behind");
		arg.bytes[row->size] = 0;
		arg.bytes[row->size + 7] = -128;
		fails(row, &arg, E2BIG, "junk at the end");
		arg.bytes[row->size + 7] = 0;
		works(row, &arg);
	}
}

TEST(arguments_that_are_not_there)
{
	char *map = must(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	const struct row *row;
	union arg arg;
	char *at;

	setup();
	must(mprotect(map + PAGE, PAGE, PROT_NONE));
	for (row = rows; row < rows + array_size(rows); row++) {
		fails(row, NULL, EFAULT, "NULL");
		fails(row, map + PAGE, EFAULT, "no memory");
		fails(row, (void *)0xffff888000000000u, EFAULT, "kernel memory");
		/* the size is there, the rest is not */
		prepare(row, &arg, row->size);
		at = map + PAGE - 4;
		memcpy(at, &row->size, 4);
		fails(row, at, EFAULT, "half of it");
		/* ends with the page: is there */
		at = map + PAGE - row->size;
		memcpy(at, &arg, row->size);
		works(row, (union arg *)at);
	}
}

/* The answer cannot be written: then nothing may have happened. */
TEST(an_answer_that_cannot_be_given_changes_nothing)
{
	char *map = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned int i, fds, first_target, first_pool;
	const struct row *row;

	setup();
	fds = open_fds();
	first_target = (unsigned int)must(attach_target_fd(&ch, disk));
	must(detach_target(&ch, first_target));
	first_pool = (unsigned int)must(attach_pool_fd(&ch, pool.fd));
	must(detach_pool(&ch, first_pool));
	for (row = rows; row < rows + array_size(rows); row++) {
		if (!row->out)
			continue;
		must(mprotect(map, PAGE, PROT_READ | PROT_WRITE));
		prepare(row, (union arg *)map, row->size);
		must(mprotect(map, PAGE, PROT_READ));
		for (i = 0; i < 10; i++)
			fails(row, map, EFAULT, "read-only memory");
	}
	check_eq(open_fds(), fds);
	check_eq(must(attach_target_fd(&ch, disk)), first_target);
	check_eq(must(attach_pool_fd(&ch, pool.fd)), first_pool);
}

/* ------------------------------------------------- reserved, flags, ranges */

static const struct row *row_of(unsigned long cmd)
{
	const struct row *row = rows;

	while (row->cmd != cmd)
		row++;
	return row;
}

/* Each bit of the @bytes at @offset but those of @known is refused. */
static void bits_refused(unsigned long cmd, size_t offset, size_t bytes,
			 uint64_t known)
{
	const struct row *row = row_of(cmd);
	union arg arg;
	unsigned int bit;
	char what[64];

	for (bit = 0; bit < bytes * 8; bit++) {
		if (known >> bit & 1)
			continue;
		prepare(row, &arg, row->size);
		arg.bytes[offset + bit / 8] |= (char)(1 << bit % 8);
		snprintf(what, sizeof(what), "bit %u at offset %zu", bit, offset);
		fails(row, &arg, EINVAL, what);
	}
	prepare(row, &arg, row->size);
	works(row, &arg);
}

TEST(reserved_fields_and_unknown_flags_are_refused)
{
#define FIELD(type, field) offsetof(struct type, field), \
			   sizeof(((struct type *)0)->field)
	setup();
	bits_refused(PIRN_IOC_CHANNEL_CREATE, FIELD(pirn_channel_create, flags),
		     PIRN_CHANNEL_TIMES);
	/* more slots than a channel can have */
	bits_refused(PIRN_IOC_CHANNEL_CREATE, FIELD(pirn_channel_create, results),
		     2 * PIRN_MAX_RESULTS - 1);
	bits_refused(PIRN_IOC_POOL_CREATE, FIELD(pirn_pool_create, flags),
		     PIRN_POOL_USER);
	bits_refused(PIRN_IOC_TARGET_ATTACH, FIELD(pirn_target_attach, flags), 0);
	bits_refused(PIRN_IOC_POOL_ATTACH, FIELD(pirn_pool_attach, flags), 0);
	bits_refused(PIRN_IOC_ENTER_UNTIL, FIELD(pirn_enter, flags),
		     PIRN_ENTER_WAIT);
	/* an fd nobody asked to watch */
	bits_refused(PIRN_IOC_ENTER_UNTIL, FIELD(pirn_enter, watch), 0);
}

static int create(uint32_t sq, uint32_t cq, uint32_t cpu, uint64_t *mmap_bytes)
{
	struct pirn_channel_create arg = {
		.size = sizeof(arg), .sq_entries = sq, .cq_entries = cq, .cpu = cpu,
	};
	int fd = ioctl(device, PIRN_IOC_CHANNEL_CREATE, &arg);

	if (mmap_bytes)
		*mmap_bytes = arg.mmap_bytes;
	return fd;
}

TEST(channels_have_limits)
{
	uint32_t cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF), sq, cq;
	struct pirn_ring_header *ring;
	uint64_t bytes;
	int fd;

	setup();
	must_fail(create(0, 8, 0, NULL), EINVAL);
	must_fail(create(8, 0, 0, NULL), EINVAL);
	must_fail(create(0, 0, 0, NULL), EINVAL);
	must_fail(create(3, 8, 0, NULL), EINVAL);
	must_fail(create(4, 7, 0, NULL), EINVAL);
	must_fail(create(8, 4, 0, NULL), EINVAL);
	must_fail(create(8192, 16384, 0, NULL), EINVAL);
	must_fail(create(4096, 32768, 0, NULL), EINVAL);
	must_fail(create(1u << 31, 1u << 31, 0, NULL), EINVAL);
	must_fail(create(UINT32_MAX, UINT32_MAX, 0, NULL), EINVAL);
	must_fail(create(4, 4, 100000, NULL), EINVAL);
	must_fail(create(4, 4, UINT32_MAX, NULL), EINVAL);
	must_fail(create(4, 4, 1u << 31, NULL), EINVAL);
	must_fail(create(4, 4, 8191, NULL), EINVAL);
	for (sq = 1; sq <= 4096; sq *= 4) {
		for (cq = sq; cq <= 16384; cq *= 16) {
			fd = must(create(sq, cq, cpus - 1, &bytes));
			check_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
			check_eq(bytes % PAGE, 0);
			ring = must(mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0));
			check_eq(ring->magic, PIRN_RING_MAGIC);
			check_eq(ring->version, PIRN_RING_VERSION);
			check_eq(ring->header_bytes, sizeof(*ring));
			check_eq(ring->sq_entries, sq);
			check_eq(ring->cq_entries, cq);
			check_eq(ring->cpu, cpus - 1);
			check_eq(ring->mmap_bytes, bytes);
			check_eq(ring->sq_offset % 64, 0);
			check_eq(ring->cq_offset % 32, 0);
			check_op(ring->sq_offset, >=, sizeof(*ring));
			check_op(ring->cq_offset, >=, ring->sq_offset + sq * 64);
			check_op(ring->cq_offset + cq * 32, <=, bytes);
			check_eq(ring->sq_head | ring->cq_tail | ring->cq_head, 0);
			munmap(ring, bytes);
			close(fd);
		}
	}
}

static int make_pool(uint32_t flags, uint64_t bytes, uint64_t addr, int32_t node)
{
	struct pirn_pool_create arg = {
		.flags = flags, .bytes = bytes, .addr = addr, .node = node,
	};

	return pool_create(&arg);
}

TEST(pools_have_limits)
{
	char *own = must(mmap(NULL, 64 * KiB, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	uint64_t at = (uintptr_t)own;

	setup();
	must_fail(make_pool(0, 0, 0, -1), EINVAL);
	must_fail(make_pool(0, 1, 0, -1), EINVAL);
	must_fail(make_pool(0, PAGE + 512, 0, -1), EINVAL);
	must_fail(make_pool(0, PIRN_MAX_POOL_BYTES + PAGE, 0, -1), EINVAL);
	must_fail(make_pool(0, 0 - PAGE, 0, -1), EINVAL);
	must_fail(make_pool(0, 1ull << 63, 0, -1), EINVAL);
	/* allowed, but not there */
	must_fail(make_pool(0, 1ull << 37, 0, -1), ENOMEM);
	must_fail(make_pool(0, PAGE, PAGE, -1), EINVAL);
	must_fail(make_pool(0, PAGE, 0, -2), EINVAL);
	must_fail(make_pool(0, PAGE, 0, 1000), EINVAL);
	must_fail(make_pool(0, PAGE, 0, INT32_MAX), EINVAL);
	must_fail(make_pool(0, PAGE, 0, INT32_MIN), EINVAL);
	close_new(make_pool(0, PAGE, 0, 0));
	close_new(make_pool(0, 3 * PAGE, 0, -1));

	must_fail(make_pool(PIRN_POOL_USER, 0, at, -1), EINVAL);
	must_fail(make_pool(PIRN_POOL_USER, 100, at, -1), EINVAL);
	must_fail(make_pool(PIRN_POOL_USER, PAGE, at + 512, -1), EINVAL);
	must_fail(make_pool(PIRN_POOL_USER, PAGE, at + 1, -1), EINVAL);
	must_fail(make_pool(PIRN_POOL_USER, PAGE, at, 0), EINVAL);
	must_fail(make_pool(PIRN_POOL_USER, 1ull << 63, at, -1), EINVAL);
	must_fail(make_pool(PIRN_POOL_USER, PAGE, 0, -1), EFAULT);
	must_fail(make_pool(PIRN_POOL_USER, PAGE, 0xffff888000000000u, -1), EFAULT);
	must_fail(make_pool(PIRN_POOL_USER, PAGE, 0 - PAGE, -1), EFAULT);
	must(munmap(own + 60 * KiB, 4 * KiB));
	must_fail(make_pool(PIRN_POOL_USER, 64 * KiB, at, -1), EFAULT);
	close_new(make_pool(PIRN_POOL_USER, 60 * KiB, at, -1));
}

TEST(pools_lie_on_the_node_asked_for)
{
	unsigned long long before, after;
	const char *path = "/sys/devices/system/node/node1/meminfo";
	char line[128];
	unsigned int i;
	FILE *file;
	int fd = -1;

	if (access(path, F_OK))
		skip_case("this machine has one node");
	for (i = 0, before = after = 0; i < 2; i++) {
		file = fopen(path, "re");
		check(file);
		while (fgets(line, sizeof(line), file))
			sscanf(line, "Node 1 MemFree: %llu", i ? &after : &before);
		fclose(file);
		if (!i)
			fd = must(make_pool(0, 256 * MiB, 0, 1));
	}
	check_op(before - after, >=, 250 * 1024);
	close(fd);
}

/* -------------------------------------------------------------- kinds of fd */

TEST(each_ioctl_belongs_to_one_kind_of_fd)
{
	const unsigned long strange[] = {
		0, 0xbd03, 0xbd0f, 0xbd17, 0xbdff, 0xbc00, 0x5401, /* TCGETS */
		_IOR(PIRN_IOC_TYPE, 0, struct pirn_query),
		_IOWR(PIRN_IOC_TYPE, 1, struct pirn_channel_create),
	};
	const struct row *row;
	union arg arg;
	size_t i;

	setup();
	for (row = rows; row < rows + array_size(rows); row++) {
		prepare(row, &arg, row->size);
		must_fail(ioctl(row->on_channel ? device : ch.fd, row->cmd, &arg),
			  ENOTTY);
		must_fail(ioctl(pool.fd, row->cmd, &arg), ENOTTY);
	}
	must_fail(ioctl(device, PIRN_IOC_ENTER, 0), ENOTTY);
	must_fail(ioctl(device, PIRN_IOC_NOTIFY, 0), ENOTTY);
	must_fail(ioctl(pool.fd, PIRN_IOC_ENTER, 0), ENOTTY);
	must_fail(ioctl(pool.fd, PIRN_IOC_NOTIFY, 0), ENOTTY);
	must_fail(ioctl(ch.fd, PIRN_IOC_NOTIFY, 1), EINVAL);
	must_fail((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device, 0), ENODEV);
	for (i = 0; i < array_size(strange); i++) {
		memset(&arg, 0, sizeof(arg));
		arg.query.size = sizeof(struct pirn_query);
		must_fail(ioctl(device, strange[i], &arg), ENOTTY);
		must_fail(ioctl(ch.fd, strange[i], &arg), ENOTTY);
		must_fail(ioctl(pool.fd, strange[i], &arg), ENOTTY);
	}
}

TEST(query_tells_what_there_is)
{
	struct pirn_query q;

	setup();
	memset(&q, 0xa5, sizeof(q));
	q.size = sizeof(q);
	must(ioctl(device, PIRN_IOC_QUERY, &q));
	check_eq(q.size, sizeof(q));
	check_eq(q.abi_version, PIRN_ABI_VERSION);
	check_eq(q.features, PIRN_FEATURE_TIMES);
	check_eq(q.op_mask, (1u << PIRN_OP_LAST) - 1);
	/* where the kernel has it */
	check_eq(q.sqe_flags & ~(uint64_t)PIRN_SQE_ATOMIC,
		 PIRN_SQE_DSYNC | PIRN_SQE_NOMERGE);
	check_op(q.max_pool_bytes, <=, PIRN_MAX_POOL_BYTES);
	check_op(q.max_pool_bytes, >=, 1ull << 30);
	check_eq(q.max_pool_bytes % PAGE, 0);
	check_eq(q.max_sq_entries, PIRN_MAX_SQ_ENTRIES);
	check_eq(q.max_cq_entries, PIRN_MAX_CQ_ENTRIES);
	check_eq(q.max_targets, PIRN_MAX_TARGETS);
	check_eq(q.max_pools, PIRN_MAX_POOLS);
	check_eq(q.max_io_bytes, PIRN_MAX_IO_BYTES);
	check_eq(q.max_results, PIRN_MAX_RESULTS);
}

/* --------------------------------------------------- a program of 32 bits */

#if defined(__x86_64__)
/* ioctl() as such a program calls it; everything in the low 4 GiB. */
static int ioctl32(int fd, unsigned int cmd, unsigned int arg)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret)
			 : "a"(54), "b"(fd), "c"(cmd), "d"(arg)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

TEST(a_program_of_32_bits_sees_the_same)
{
	union arg *arg = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
	unsigned int at = (unsigned int)(uintptr_t)arg;
	int ret;

	setup();
	arg->query = (struct pirn_query){ .size = sizeof(arg->query) };
	check_eq(ioctl32(device, PIRN_IOC_QUERY, at), 0);
	check_eq(arg->query.max_io_bytes, PIRN_MAX_IO_BYTES);
	prepare(row_of(PIRN_IOC_CHANNEL_CREATE), arg, sizeof(arg->channel));
	ret = ioctl32(device, PIRN_IOC_CHANNEL_CREATE, at);
	check_op(ret, >=, 0);
	check_op(arg->channel.mmap_bytes, >, 0);
	close(ret);
	next_sqe(&ch)->cookie = 5;
	next_sqe(&ch)->cookie = 6;
	check_eq(ioctl32(ch.fd, PIRN_IOC_ENTER, 2 | PIRN_ENTER_WAIT), 2);
	check_eq(take_cqe(&ch).cookie, 5);
	check_eq(take_cqe(&ch).cookie, 6);
	check_eq(ioctl32(ch.fd, PIRN_IOC_ENTER, 1u << 31), -EINVAL);
	check_eq(ioctl32(ch.fd, PIRN_IOC_NOTIFY, 0), 0);
	prepare(row_of(PIRN_IOC_ENTER_UNTIL), arg, sizeof(arg->enter));
	arg->enter.flags = PIRN_ENTER_WAIT;
	check_eq(ioctl32(ch.fd, PIRN_IOC_ENTER_UNTIL, at), PIRN_ENDED_NOTIFY);
}
#else
TEST(a_program_of_32_bits_sees_the_same)
{
	skip_case("a 64-bit program makes no 32-bit call here");
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_shorter_and_longer),
		cmocka_unit_test(arguments_that_are_not_there),
		cmocka_unit_test(an_answer_that_cannot_be_given_changes_nothing),
		cmocka_unit_test(reserved_fields_and_unknown_flags_are_refused),
		cmocka_unit_test(channels_have_limits),
		cmocka_unit_test(pools_have_limits),
		cmocka_unit_test(pools_lie_on_the_node_asked_for),
		cmocka_unit_test(each_ioctl_belongs_to_one_kind_of_fd),
		cmocka_unit_test(query_tells_what_there_is),
		cmocka_unit_test(a_program_of_32_bits_sees_the_same),
	};

	return run_program(argc, argv, "abi", tests, array_size(tests));
}
