// SPDX-License-Identifier: MIT
/*
 * What is seen of the module from outside, beside sysfs: tracepoints through
 * tracefs, the histogram in debugfs, fdinfo.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <linux/pirn_histogram.h>

#include "join.h"
#include "tracing.h"

static char text[1 << 20];

static const char *read_text(const char *path)
{
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	size_t n = 0;
	ssize_t got;

	while ((got = must(read(fd, text + n, sizeof(text) - 1 - n))) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(fd);
	return text;
}

/* --------------------------------------------------------------- tracepoints */

struct event {
	double seconds;
	char name[32];
	char fields[256];
};

/* "   task-123     [000] d..1.   12.345678: pirn_submit: field=..." */
static unsigned int parse(const char *trace, struct event *events, unsigned int most)
{
	unsigned int n = 0;
	const char *line, *at;

	for (line = trace; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		at = strstr(line, ": pirn_");
		if (*line == '#' || !at || (strchr(line, '\n') &&
					    at > strchr(line, '\n')))
			continue;
		check_op(n, <, most);
		check_eq(sscanf(at, ": %31[a-z_]: %255[^\n]", events[n].name,
				events[n].fields), 2);
		while (at > line && at[-1] != ' ')
			at--;
		check_eq(sscanf(at, "%lf", &events[n].seconds), 1);
		n++;
	}
	return n;
}

static unsigned int traced(struct event *events, unsigned int most)
{
	write_text(TRACING "/events/pirn/enable", "0");
	return parse(read_text(TRACING "/trace"), events, most);
}

static void trace_begin(void)
{
	mount_once("tracefs", TRACING);
	/* empties it */
	close_new(open(TRACING "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
	write_text(TRACING "/tracing_on", "1");
	write_text(TRACING "/events/pirn/enable", "1");
}

/* The one event of that name and cookie. */
static const struct event *find(const struct event *events, unsigned int n,
				const char *name, unsigned long long cookie)
{
	const struct event *found = NULL;
	char want[48];

	snprintf(want, sizeof(want), "cookie=0x%llx ", cookie);
	for (; n--; events++) {
		if (strcmp(events->name, name) || !strstr(events->fields, want))
			continue;
		check(!found);
		found = events;
	}
	if (!found)
		check_failed(__FILE__, __LINE__, "no %s of %s", name, want);
	return found;
}

static void has(const struct event *event, const char *field)
{
	if (!strstr(event->fields, field))
		check_failed(__FILE__, __LINE__, "%s has no '%s': %s", event->name,
			     field, event->fields);
}

TEST(each_stage_of_an_op_is_an_event)
{
	static struct event events[64];
	const struct event *submit, *issue, *complete, *wake = NULL;
	struct rig rig;
	char path[32], channel[64], dev[32];
	struct stat st;
	unsigned int n, i;

	slow_disk(1, 100000000, path);
	join_rig(&rig, 8, 8, path);
	trace_begin();
	put(&rig.ch, io_sqe(PIRN_OP_READ, 8192, 4096, 4096), 0xabcdef);
	put(&rig.ch, io_sqe(PIRN_OP_READ, 0, 1, 4096), 0xbad);
	put(&rig.ch, join_sqe(1, 1, 0), 0x10);
	put(&rig.ch, io_sqe(PIRN_OP_WRITE, 512, 0, 512), 0x20);
	check_eq(enter(&rig.ch, 4), 4);
	expect_cqe(&rig.ch, 0xbad, -EINVAL, 0);
	await_cqes(&rig.ch, 2);
	n = traced(events, array_size(events));

	submit = find(events, n, "pirn_submit", 0xabcdef);
	issue = find(events, n, "pirn_issue", 0xabcdef);
	complete = find(events, n, "pirn_complete", 0xabcdef);
	for (i = 0; i < n; i++)
		if (!strcmp(events[i].name, "pirn_wake"))
			wake = &events[i];
	check(wake);
	has(submit, "cpu=0 ");
	has(submit, "op=READ offset=8192 len=4096 member=0 err=0");
	must(stat(path, &st));
	snprintf(dev, sizeof(dev), "dev=%u,%u sector=16 len=4096",
		 (unsigned int)(st.st_rdev >> 8), (unsigned int)(st.st_rdev & 0xff));
	has(issue, dev);
	has(complete, "op=READ res=4096 ");
	/* one channel, and time goes on from stage to stage */
	check_eq(sscanf(submit->fields, "%63s", channel), 1);
	has(issue, channel);
	has(complete, channel);
	has(wake, channel);
	check(submit->seconds <= issue->seconds);
	check(complete->seconds - issue->seconds > 0.08);
	check(wake->seconds >= issue->seconds);

	/* what is refused before the device, and what lies in a join */
	has(find(events, n, "pirn_submit", 0xbad), "err=0");
	has(find(events, n, "pirn_complete", 0xbad), "res=-22 ");
	has(find(events, n, "pirn_submit", 0x10), "op=JOIN ");
	has(find(events, n, "pirn_submit", 0x20), "member=1");
	has(find(events, n, "pirn_complete", 0x20), "op=WRITE res=512 device=0 member=1");
	rig_close(&rig);
}

/* ---------------------------------------------------------- into the block layer */

static void write_sector(struct rig *rig, int target, uint16_t flags, uint64_t sector)
{
	struct pirn_sqe sqe = io_sqe(PIRN_OP_WRITE, sector * 512, 0, 4096);

	sqe.target = (uint16_t)target;
	sqe.flags = flags;
	check_eq(do_sqe(&rig->ch, &sqe), 4096);
}

static void queued_as(const char *kind, int sector)
{
	char want[32];

	snprintf(want, sizeof(want), " %s %d + 8 [", kind, sector);
	if (!strstr(text, want))
		check_failed(__FILE__, __LINE__, "no '%s' in: %s", want, text);
}

/* The disk has a cache: what is durable when it completes is written past it. */
TEST(writes_are_durable_that_are_to_be)
{
	static const char *event = TRACING "/events/block/block_bio_queue/enable";
	struct rig rig;
	int durable, whole;

	rig_open(&rig, 8, MiB, NVME_DISK);
	durable = attach_disk(&rig.ch, NVME_DISK, O_RDWR | O_DSYNC);
	whole = attach_disk(&rig.ch, NVME_DISK, O_RDWR | O_SYNC);
	trace_begin();
	write_text(event, "1");
	write_sector(&rig, 0, 0, 8);
	write_sector(&rig, 0, PIRN_SQE_DSYNC, 16);
	write_sector(&rig, durable, 0, 24);
	write_sector(&rig, whole, PIRN_SQE_NOMERGE, 32);
	write_text(event, "0");
	read_text(TRACING "/trace");
	/* a write, that somebody waits for, with "force unit access" or not */
	queued_as("WS", 8);
	queued_as("WFS", 16);
	queued_as("WFS", 24);
	queued_as("WFS", 32);
	rig_close(&rig);
}

/* What the driver has, by class: real time, best effort, idle. */
static void driver_has(const char *disk, const char *classes)
{
	char path[96];
	int i;

	snprintf(path, sizeof(path), DEBUG "/block/%s/sched/owned_by_driver", disk);
	for (i = 0; strcmp(read_text(path), classes) && i < 25; i++)
		nap_ms(20);
	if (strcmp(text, classes))
		check_failed(__FILE__, __LINE__, "the driver has %s, not %s", text,
			     classes);
}

TEST(an_op_has_the_priority_of_who_submits)
{
	const int idle_class = 3 << 13, process = 1;
	struct pirn_sqe sqe = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	char path[32], page[4096];
	struct rig rig;
	int fd;

	slow_disk(1, 1000000000, path);
	write_text("/sys/block/nullb1/queue/scheduler", "mq-deadline");
	mount_once("debugfs", DEBUG);
	rig_open(&rig, 8, 64 * KiB, path);
	must((long)syscall(SYS_ioprio_set, process, 0, idle_class));
	put(&rig.ch, sqe, 1);
	check_eq(enter(&rig.ch, 1), 1);
	driver_has("nullb1", "0 0 1\n");
	expect_cqe(&rig.ch, 1, 4096, 0);
	/* a cached page has the worker do it, whose own is another */
	fd = must(open(path, O_RDONLY | O_CLOEXEC));
	check_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	check_eq(pread(fd, page, 4096, 0), 4096);
	put(&rig.ch, sqe, 2);
	check_eq(enter(&rig.ch, 1), 1);
	driver_has("nullb1", "0 0 1\n");
	must((long)syscall(SYS_ioprio_set, process, 0, 0));
	expect_cqe(&rig.ch, 2, 4096, 0);
	put(&rig.ch, sqe, 3);
	check_eq(enter(&rig.ch, 1), 1);
	driver_has("nullb1", "0 1 0\n");
	expect_cqe(&rig.ch, 3, 4096, 0);
	close(fd);
	rig_close(&rig);
}

/* ----------------------------------------------------------------- histogram */

/* How many ops are counted for a CPU, and of these at @from ns and more. */
static unsigned long long counted(unsigned int cpu, uint64_t from,
				  unsigned long long *above)
{
	unsigned long long start, count, sum = 0, last = 0;
	const char *line;
	char path[64];
	int length;

	mount_once("debugfs", DEBUG);
	snprintf(path, sizeof(path), DEBUG "/pirn/cpu%u/device_times", cpu);
	line = read_text(path);
	*above = 0;
	for (; *line; line += length) {
		check_eq(sscanf(line, "%llu %llu\n%n", &start, &count, &length), 2);
		check(!sum || start > last);
		check_eq(pirn_histogram_start(pirn_histogram_bucket(start)), start);
		check_op(count, >, 0);
		last = start;
		sum += count;
		if (start >= from)
			*above += count;
	}
	return sum;
}

static void read_some(struct channel *ch, int n)
{
	while (n--) {
		put(ch, io_sqe(PIRN_OP_READ, 0, 0, 4096), 1);
		check_eq(enter(ch, 1), 1);
		expect_cqe(ch, 1, 4096, 0);
	}
}

static void times_channel(struct rig *rig, uint32_t flags, uint32_t cpu,
			  const char *path)
{
	const struct pirn_channel_create create = {
		.flags = flags, .sq_entries = 8, .cq_entries = 8, .cpu = cpu,
	};

	channel_open_as(&rig->ch, &create);
	must(attach_pool_fd(&rig->ch, rig->pool.fd));
	attach_disk(&rig->ch, path, O_RDWR);
}

TEST(device_times_are_counted)
{
	unsigned long long before, slow_before, slow, other, none;
	struct rig rig, second;
	char path[32];

	slow_disk(1, 50000000, path);
	before = counted(1, 40000000, &slow_before);
	other = counted(2, 0, &none);
	pool_open(&rig.pool, 64 * KiB);
	times_channel(&rig, PIRN_CHANNEL_TIMES, 1, path);
	read_some(&rig.ch, 5);
	check_eq(counted(1, 40000000, &slow) - before, 5);
	check_eq(slow - slow_before, 5);
	/* not what never came to a device */
	put(&rig.ch, (struct pirn_sqe){ 0 }, 1);
	check_eq(enter(&rig.ch, 1), 1);
	expect_cqe(&rig.ch, 1, 0, 0);
	check_eq(counted(1, 0, &none) - before, 5);
	/* what was counted stays when the channel goes, and adds up */
	channel_close(&rig.ch);
	check_eq(counted(1, 40000000, &slow) - before, 5);
	check_eq(slow - slow_before, 5);
	second.pool = rig.pool;
	times_channel(&rig, PIRN_CHANNEL_TIMES, 1, FAST_DISK);
	times_channel(&second, PIRN_CHANNEL_TIMES, 1, path);
	read_some(&rig.ch, 3);
	read_some(&second.ch, 2);
	check_eq(counted(1, 40000000, &slow) - before, 10);
	check_op(slow - slow_before, >=, 7);
	channel_close(&second.ch);
	channel_close(&rig.ch);
	check_eq(counted(1, 0, &none) - before, 10);
	/* without times nothing is counted */
	times_channel(&rig, 0, 1, FAST_DISK);
	read_some(&rig.ch, 2);
	check_eq(counted(1, 0, &none) - before, 10);
	check_eq(counted(2, 0, &none), other);
	channel_close(&rig.ch);
	pool_close(&rig.pool);
}

/* --------------------------------------------------------------- who has what */

/* The one line of this process's channels for that CPU, and what follows; or NULL. */
static const char *listed(unsigned int cpu)
{
	char want[64];
	const char *at;

	mount_once("debugfs", DEBUG);
	snprintf(want, sizeof(want), "cpu=%u pid=%d ", cpu, (int)getpid());
	at = strstr(read_text(DEBUG "/pirn/channels"), want);
	if (at)
		check(!strstr(at + 1, want));
	return at;
}

/* That line and the next, which is of its first target with ops in flight. */
static void lists(unsigned int cpu, const char *line, const char *target)
{
	const char *at = listed(cpu), *next = at ? strchr(at, '\n') : NULL;

	if (!next || !strstr(at, line) || strstr(at, line) > next)
		check_failed(__FILE__, __LINE__, "no '%s' in: %s", line, text);
	check_eq(!strncmp(next + 1, "  target=", 9), target != NULL);
	if (target && strncmp(next + 1, target, strlen(target)))
		check_failed(__FILE__, __LINE__, "no '%s' in: %s", target, text);
}

static void *sleeps(void *arg)
{
	struct channel *ch = arg;

	check_eq(enter(ch, PIRN_ENTER_WAIT), 0);
	return NULL;
}

TEST(channels_are_listed_with_who_made_them_and_their_disk)
{
	char path[32], target[64];
	pthread_t thread;
	struct stat st;
	struct rig rig;
	int i;

	slow_disk(1, 1000000000, path);
	must(stat(path, &st));
	snprintf(target, sizeof(target), "  target=1 dev=%u:%u in_flight=2 in_worker=0\n",
		 major(st.st_rdev), minor(st.st_rdev));
	check(!listed(2));
	/* what would be a line or a field of its own, or move a terminal's cursor */
	must(prctl(PR_SET_NAME, "a b\ncpu\r\033[K\\"));
	channel_open_on(&rig.ch, 8, 8, 2);
	pool_open(&rig.pool, 64 * KiB);
	must(attach_pool_fd(&rig.ch, rig.pool.fd));
	attach_disk(&rig.ch, FAST_DISK, O_RDWR);
	check_eq(attach_disk(&rig.ch, path, O_RDWR), 1);
	lists(2, "comm=a\\040b\\012cpu\\015\\033[K\\134 state=outside tid=0 in_flight=0 completed=0 unread=0 entries=8\n",
	      NULL);
	for (i = 0; i < 2; i++) {
		struct pirn_sqe sqe = io_sqe(PIRN_OP_READ, 4096 * (uint64_t)i, 0, 4096);

		sqe.target = 1;
		put(&rig.ch, sqe, 1);
	}
	check_eq(enter(&rig.ch, 2), 2);
	lists(2, "state=outside tid=0 in_flight=2 completed=0 unread=0 ", target);
	must(-pthread_create(&thread, NULL, sleeps, &rig.ch));
	for (i = 0; i < 100 && !strstr(listed(2), " state=asleep "); i++)
		nap_ms(1);
	lists(2, "state=asleep ", target);
	check(strtol(strstr(listed(2), " tid=") + 5, NULL, 10) > getpid());
	pthread_join(thread, NULL);
	await_cqes(&rig.ch, 2);
	lists(2, "state=outside tid=0 in_flight=0 completed=2 unread=2 ", NULL);
	/* a head that lies: no more than there is */
	__atomic_store_n(&rig.ch.ring->cq_head, 12345, __ATOMIC_RELEASE);
	lists(2, " unread=8 entries=8\n", NULL);
	rig_close(&rig);
	check(!listed(2));
}

TEST(a_closed_channel_is_listed_until_its_disk_answers)
{
	char path[32], target[64];
	struct stat st;
	struct rig rig;
	int i;

	slow_disk(1, 500000000, path);
	must(stat(path, &st));
	snprintf(target, sizeof(target), "  target=0 dev=%u:%u in_flight=1 in_worker=0\n",
		 major(st.st_rdev), minor(st.st_rdev));
	rig_open(&rig, 8, 64 * KiB, path);
	put(&rig.ch, io_sqe(PIRN_OP_READ, 0, 0, 4096), 1);
	check_eq(enter(&rig.ch, 1), 1);
	rig_close(&rig);
	lists(0, "state=closed tid=0 in_flight=1 ", target);
	for (i = 0; i < 100 && listed(0); i++)
		nap_ms(20);
	check(!listed(0));
}

/* -------------------------------------------------------------------- fdinfo */

static unsigned int fdinfo(int fd, const char *name)
{
	char path[64], want[64];
	const char *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(want, sizeof(want), "\npirn-%s:\t", name);
	at = strstr(read_text(path), want);
	if (!at)
		check_failed(__FILE__, __LINE__, "no %s in: %s", name, text);
	return (unsigned int)strtoul(at + strlen(want), NULL, 10);
}

TEST(fdinfo_of_a_channel)
{
	struct rig rig;
	char path[32];

	slow_disk(1, 300000000, path);
	join_rig(&rig, 16, 12, path);
	check_eq(fdinfo(rig.ch.fd, "cpu"), 0);
	check_eq(fdinfo(rig.ch.fd, "sq-entries"), 16);
	check_eq(fdinfo(rig.ch.fd, "cq-entries"), 16);
	check_eq(fdinfo(rig.ch.fd, "targets"), 1);
	check_eq(fdinfo(rig.ch.fd, "pools"), 1);
	check_eq(fdinfo(rig.ch.fd, "results"), 12);
	check_eq(fdinfo(rig.ch.fd, "results-in-use"), 0);
	check_eq(fdinfo(rig.ch.fd, "times"), 0);
	put_reads(&rig.ch, 3, 1, 2);
	check_eq(enter(&rig.ch, 4), 4);
	check_eq(fdinfo(rig.ch.fd, "in-flight"), 3);
	check_eq(fdinfo(rig.ch.fd, "results-in-use"), 3);
	expect_cqe(&rig.ch, 1, 1, PIRN_CQE_THRESHOLD);
	expect_cqe(&rig.ch, 1, 3, PIRN_CQE_DRAINED);
	check_eq(fdinfo(rig.ch.fd, "in-flight"), 0);
	check_eq(fdinfo(rig.ch.fd, "results-in-use"), 0);
	rig_close(&rig);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_stage_of_an_op_is_an_event),
		cmocka_unit_test(writes_are_durable_that_are_to_be),
		cmocka_unit_test(an_op_has_the_priority_of_who_submits),
		cmocka_unit_test(device_times_are_counted),
		cmocka_unit_test(channels_are_listed_with_who_made_them_and_their_disk),
		cmocka_unit_test(a_closed_channel_is_listed_until_its_disk_answers),
		cmocka_unit_test(fdinfo_of_a_channel),
	};

	return run_program(argc, argv, "trace", tests, array_size(tests));
}
