// SPDX-License-Identifier: MIT
/*
 * Targets that are files, and on whose behalf they are written: limits, quotas and
 * suid bits hold in the worker, too; a file system that is frozen holds writes and
 * nothing else; and no file is held longer than its channel.
 */
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/quota.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include "files.h"

#define POOL (4 * MiB)
#define SOMEBODY 1000

static volatile sig_atomic_t file_signals;

static void count_signal(int signal)
{
	(void)signal;
	file_signals++;
}

/* ------------------------------------------------------------- RLIMIT_FSIZE */

static void limited(void)
{
	struct rlimit none, limit = { MiB, RLIM_INFINITY };
	struct rig rig;
	struct stat st;

	signal(SIGXFSZ, count_signal);
	must(getrlimit(RLIMIT_FSIZE, &none));
	close(file_filled(fs_path("file"), 64 * KiB));
	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	must(setrlimit(RLIMIT_FSIZE, &limit));
	file_signals = 0;
	/* as pwrite(): up to the limit, then the errno and the signal */
	check_eq(rig_io(&rig, PIRN_OP_WRITE, MiB - 4096, 0, 64 * KiB), 4096);
	check_eq(file_signals, 0);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, MiB, 0, 4096), -EFBIG);
	check_eq(file_signals, 1);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 0, 2 * MiB, 0), -EFBIG);
	check_eq(file_signals, 2);
	/* these make nothing longer */
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 0, MiB, 0), 0);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 0, 2 * MiB,
			   FALLOC_FL_KEEP_SIZE), 0);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 4096), 4096);
	check_eq(file_signals, 2);
	/* what is longer now may have been cut by the time the worker comes to it */
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 0, 64 * KiB,
			   FALLOC_FL_INSERT_RANGE), -EOPNOTSUPP);
	must(setrlimit(RLIMIT_FSIZE, &none));
	must(truncate(fs_path("file"), 4 * MiB));
	must(setrlimit(RLIMIT_FSIZE, &limit));
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 2 * MiB, 4096, 0), -EFBIG);
	check_eq(file_signals, 3);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 2 * MiB, 64 * KiB,
			   FALLOC_FL_COLLAPSE_RANGE), 0);
	check_eq(file_signals, 3);
	file_signals = 2;
	must(setrlimit(RLIMIT_FSIZE, &none));
	must(truncate(fs_path("file"), MiB));
	must(stat(fs_path("file"), &st));
	check_eq(st.st_size, MiB);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, MiB, 0, 4096), 4096);
	/* of one that is appended to nobody knows how long it will be by then */
	check_eq(attach_disk(&rig.ch, fs_path("file"), O_RDWR | O_APPEND), 1);
	must(setrlimit(RLIMIT_FSIZE, &limit));
	struct pirn_sqe sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 4096);

	sqe.target = 1;
	check_eq(do_sqe(&rig.ch, &sqe), -EOPNOTSUPP);
	check_eq(file_signals, 2);
	must(setrlimit(RLIMIT_FSIZE, &none));
	check_eq(do_sqe(&rig.ch, &sqe), 4096);
	must(stat(fs_path("file"), &st));
	check_eq(st.st_size, MiB + 8192);
	/* a limit is no concern of a device */
	must(setrlimit(RLIMIT_FSIZE, &limit));
	check_eq(attach_disk(&rig.ch, FAST_DISK, O_RDWR), 2);
	sqe = io_sqe(PIRN_OP_WRITE, 8 * MiB, 0, 4096);
	sqe.target = 2;
	check_eq(do_sqe(&rig.ch, &sqe), 4096);
	must(setrlimit(RLIMIT_FSIZE, &none));
	rig_close(&rig);
}

TEST(the_limit_of_file_sizes_is_the_callers)
{
	ON_EACH_FS(limited);
}

/* --------------------------------------------------------- somebody else's */

/* Runs body in a process of somebody who is not root. */
static void as_somebody(struct rig *rig, void (*body)(struct rig *rig))
{
	pid_t pid;
	int status;

	pid = must(fork());
	if (!pid) {
		must(setgid(SOMEBODY));
		must(setuid(SOMEBODY));
		body(rig);
		exit(0);
	}
	check_eq(must(waitpid(pid, &status, 0)), pid);
	check_eq(status, 0);
}

/* The channel was made before: only its process may ENTER, from the first on. */
static void write_somewhere(struct rig *rig, uint64_t offset)
{
	/* the child has none of the mappings (they are not inherited) */
	rig->ch.ring = must(mmap(NULL, rig->ch.bytes, PROT_READ | PROT_WRITE,
				 MAP_SHARED, rig->ch.fd, 0));
	rig->ch.sq = (void *)((char *)rig->ch.ring + rig->ch.ring->sq_offset);
	rig->ch.cq = (void *)((char *)rig->ch.ring + rig->ch.ring->cq_offset);
	check_eq(rig_io(rig, PIRN_OP_WRITE, offset, 0, 4096), 4096);
}

static void overwrite(struct rig *rig)
{
	write_somewhere(rig, 0);
}

static void extend(struct rig *rig)
{
	unsigned long long punts = cpu_counter(0, "worker_punts");

	write_somewhere(rig, 8 * MiB);
	check_op(cpu_counter(0, "worker_punts"), >, punts);
}

static void loses_suid(void (*body)(struct rig *rig))
{
	const char *path = fs_path("suid");
	struct rig rig;
	struct stat st;
	int fd;

	fd = file_filled(path, 64 * KiB);
	must(fchmod(fd, 06777));
	close(fd);
	file_rig(&rig, path, O_RDWR, POOL);
	as_somebody(&rig, body);
	must(stat(path, &st));
	check_eq(st.st_mode & 07777, 0777);
	rig_close(&rig);
}

static void suid(void)
{
	loses_suid(overwrite);
	loses_suid(extend);
}

TEST(a_write_of_somebody_takes_the_suid_bit)
{
	ON_EACH_FS(suid);
}

/* By the block of 1 KiB. */
static void set_quota(uint64_t kib)
{
	if (!strcmp(fs->name, "ext4")) {
		struct dqblk quota = {
			.dqb_bhardlimit = kib, .dqb_bsoftlimit = kib,
			.dqb_valid = QIF_BLIMITS,
		};

		must(quotactl(QCMD(Q_SETQUOTA, USRQUOTA), FS_DISK, SOMEBODY,
			      (void *)&quota));
	} else {
		char command[160];

		snprintf(command, sizeof(command),
			 "xfs_quota -x -c 'limit -u bsoft=%lluk bhard=%lluk %d' %s",
			 (unsigned long long)kib, (unsigned long long)kib,
			 SOMEBODY, fs->dir);
		shell(command);
	}
}

static void over_quota(struct rig *rig)
{
	int res;

	write_somewhere(rig, 0);
	check_eq(rig_io(rig, PIRN_OP_WRITE, 4096, 0, 512 * KiB), 512 * KiB);
	res = rig_io(rig, PIRN_OP_WRITE, 4 * MiB, 0, 2 * MiB);
	/* some of it, or nothing */
	if (res > 0) {
		check_op(res, <, 2 * MiB);
		res = rig_io(rig, PIRN_OP_WRITE, 8 * MiB, 0, 2 * MiB);
	}
	check_eq(res, -EDQUOT);
	check_eq(rig_range(rig, PIRN_OP_FALLOCATE, 16 * MiB, 4 * MiB, 0), -EDQUOT);
}

static void quota(void)
{
	const char *path = fs_path("file");
	struct rig rig;
	int fd = must(open(path, O_RDWR | O_CREAT | O_TRUNC, 0666));

	must(fchown(fd, SOMEBODY, SOMEBODY));
	close(fd);
	set_quota(1024);
	file_rig(&rig, path, O_RDWR, POOL);
	as_somebody(&rig, over_quota);
	rig_close(&rig);
}

TEST(quotas_hold_in_the_worker)
{
	ON_EACH_FS(quota);
}

/* -------------------------------------------------------------- accounting */

/* A line of /proc/self/io, which counts what went to disks and came from them. */
static unsigned long long accounted(const char *name)
{
	unsigned long long value;
	char line[64];
	FILE *file = fopen("/proc/self/io", "re");

	check(file);
	for (;;) {
		check(fgets(line, sizeof(line), file));
		if (!strncmp(line, name, strlen(name)) &&
		    sscanf(line + strlen(name), ": %llu", &value) == 1)
			break;
	}
	fclose(file);
	return value;
}

static void accounting(void)
{
	unsigned long long written, read, punts;
	char page[4096];
	struct rig rig;
	int fd;

	close(file_filled(fs_path("file"), MiB));
	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	written = accounted("write_bytes");
	/* by the submitter, and by the worker */
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, 64 * KiB), 64 * KiB);
	check_eq(accounted("write_bytes"), written + 64 * KiB);
	punts = cpu_counter(0, "worker_punts");
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 8 * MiB, 0, MiB), MiB);
	check_op(cpu_counter(0, "worker_punts"), >, punts);
	check_eq(accounted("write_bytes"), written + 64 * KiB + MiB);

	read = accounted("read_bytes");
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 64 * KiB), 64 * KiB);
	check_eq(accounted("read_bytes"), read + 64 * KiB);
	rig_close(&rig);

	/* what meets a cached page of a device is read by the worker */
	file_rig(&rig, FAST_DISK, O_RDWR, POOL);
	fd = must(open(FAST_DISK, O_RDWR | O_CLOEXEC));
	check_eq(pread(fd, page, 4096, 0), 4096);
	read = accounted("read_bytes");
	punts = cpu_counter(0, "worker_punts");
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 64 * KiB), 64 * KiB);
	check_eq(cpu_counter(0, "worker_punts"), punts + 1);
	check_eq(accounted("read_bytes"), read + 64 * KiB);
	close(fd);
	rig_close(&rig);
}

TEST(io_is_accounted_to_who_submits_it)
{
	if (access("/proc/self/io", R_OK))
		skip_case("this kernel does not account IO to tasks");
	ON_EACH_FS(accounting);
}

/* -------------------------------------------------------------------- memory */

#define GROUP "/sys/fs/cgroup/files_rights"

/* A hole of a file that is mapped block by block is filled through the page cache. */
static void fill_hole(void)
{
	unsigned long long before, punts = cpu_counter(0, "worker_punts");
	struct rig rig;

	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	write_text(GROUP "/cgroup.procs", "0");
	before = read_number(GROUP "/memory.peak");
	check_eq(rig_io(&rig, PIRN_OP_WRITE, MiB, 0, 4 * MiB), 4 * MiB);
	check_op(cpu_counter(0, "worker_punts"), >, punts);
	check_op(read_number(GROUP "/memory.peak"), >=, before + 3 * MiB);
	rig_close(&rig);
}

TEST(memory_of_the_worker_counts_in_the_callers_group)
{
	pid_t pid;
	int status;

	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755))
		check_eq(errno, EEXIST);
	fs_mount(&file_systems[0]);
	close(file_filled(fs_path("file"), 4096));
	shell("chattr -e /run/pirn-fs/file");
	must(truncate(fs_path("file"), 8 * MiB));
	pid = must(fork());
	if (!pid) {
		fill_hole();
		exit(0);
	}
	check_eq(must(waitpid(pid, &status, 0)), pid);
	check_eq(status, 0);
	fs_unmount();
	must(rmdir(GROUP));
}

/* ------------------------------------------------------------------- freezing */

static void frozen(void)
{
	int dir = must(open(fs->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct pirn_sqe *sqe;
	struct rig rig;

	close(file_filled(fs_path("file"), MiB));
	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	/* taken part in, and given back */
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, 4096), 4096);
	must(ioctl(dir, FIFREEZE, 0));
	fill(rig.pool.memory, 4096, 0, 9);
	sqe = next_sqe(&rig.ch);
	*sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 4096);
	sqe->cookie = 1;
	check_eq(enter(&rig.ch, 1), 1);
	/* ENTER was not held, and reads are not */
	sqe = next_sqe(&rig.ch);
	*sqe = io_sqe(PIRN_OP_READ, 4096, 8192, 4096);
	sqe->cookie = 2;
	check_eq(enter(&rig.ch, 1 | PIRN_ENTER_WAIT), 1);
	await_cqes(&rig.ch, 1);
	check_eq(take_cqe(&rig.ch).cookie, 2);
	check_filled(rig.pool.memory + 8192, 4096, 4096, 1);
	nap_ms(200);
	check_eq(cq_ready(&rig.ch), 0);
	must(ioctl(dir, FITHAW, 0));
	await_cqes(&rig.ch, 1);
	check_eq(take_cqe(&rig.ch).res, 4096);
	/* writes of each kind, and each was given back */
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 2 * MiB, 0, 4096), 4096);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 512, 0, 512), 512);
	check_eq(rig_flags(&rig, PIRN_OP_WRITE, 0, 0, 4096, PIRN_SQE_DSYNC), 4096);
	must(ioctl(dir, FIFREEZE, 0));
	must(ioctl(dir, FITHAW, 0));
	close(dir);
	rig_close(&rig);
}

TEST(a_frozen_file_system_holds_writes_only)
{
	ON_EACH_FS(frozen);
}

/* -------------------------------------------------------------------- closing */

/*
 * Ops on the way when the channel goes, and with it, in every other round, the
 * last that held the file; ON_EACH_FS() unmounts afterwards.
 */
static void goes_away(void)
{
	static const uint8_t ops[] = {
		PIRN_OP_READ, PIRN_OP_WRITE, PIRN_OP_FDATASYNC,
		PIRN_OP_FALLOCATE,
	};
	const char *path = fs_path("file");
	unsigned int round, i;
	struct pirn_sqe *sqe;
	struct rig rig;
	int fd, err;

	for (round = 0; round < 40; round++) {
		/* Not the one that the last round's ops are still about. */
		if (unlink(path))
			check_eq(errno, ENOENT);
		fd = file_filled(path, 256 * KiB);
		/* these the worker issues, and a workqueue completes */
		must(fallocate(fd, 0, 256 * KiB, 8 * MiB));
		close(fd);
		file_rig(&rig, path, O_RDWR, POOL);
		if (round & 2)
			must(unlink(path));
		for (i = 0; i < 32; i++) {
			sqe = next_sqe(&rig.ch);
			sqe->op = ops[i % array_size(ops)];
			if (sqe->op == PIRN_OP_FALLOCATE) {
				sqe->bytes = 4096;
			} else if (sqe->op != PIRN_OP_FDATASYNC) {
				sqe->len = 4096;
				sqe->pool_offset = i * 4096;
				sqe->offset = (uint64_t)i * 4096 * (1 + round);
			}
		}
		check_eq(enter(&rig.ch, 32), 32);
		if (round & 1) {
			err = detach_target(&rig.ch, 0) ? errno : 0;
			if (err)
				check_eq(err, EBUSY);
			else
				check_eq(cq_ready(&rig.ch), 32);
		}
		rig_close(&rig);
	}
	await_no_ops();
}

TEST(channels_go_with_ops_on_files)
{
	ON_EACH_FS(goes_away);
}

static void hangs_elsewhere(void)
{
	struct pirn_sqe sqe = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	unsigned long long before = cpu_counter(0, "in_flight");
	struct rig rig;
	int dir;

	hung_disk_make();
	close(file_filled(fs_path("file"), MiB));
	close(file_filled(fs_path("late"), MiB));
	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 4096), 4096);
	check_eq(attach_disk(&rig.ch, HUNG_DISK, O_RDWR), 1);
	check_eq(attach_disk(&rig.ch, fs_path("late"), O_RDWR), 2);
	hung_disk_hangs();
	sqe.target = 1;
	*next_sqe(&rig.ch) = sqe;
	check_eq(enter(&rig.ch, 1), 1);
	/* one more, that ends when the channel is closed */
	dir = must(open(fs->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	must(ioctl(dir, FIFREEZE, 0));
	sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 4096);
	sqe.target = 2;
	*next_sqe(&rig.ch) = sqe;
	check_eq(enter(&rig.ch, 1), 1);
	rig_close(&rig);
	check_eq(cpu_counter(0, "in_flight"), before + 2);
	must(ioctl(dir, FITHAW, 0));
	close(dir);
	/* the op of the disk is there, but nothing of the files is held */
	fs_unmount();
	check_eq(cpu_counter(0, "in_flight"), before + 1);
	hung_disk_goes_on();
	await_no_ops();
	hung_disk_remove();
	fs_mount(fs);
}

TEST(a_disk_that_hangs_keeps_no_file_of_others)
{
	ON_EACH_FS(hangs_elsewhere);
}

/*
 * More ops than the worker has threads, of three targets, all of which a frozen file
 * system holds; from one CPU, for a worker has its threads on each node.
 */
static void hangs_in_the_worker(void)
{
	int dir = must(open(fs->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	static const uint16_t hung[] = { 0, 2, 3 };
	struct pirn_sqe sqe = { .op = PIRN_OP_FALLOCATE, .cookie = 1 };
	long many = 100 + 4 * sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t before, first;
	struct rig rig;
	long i;

	must(sched_getaffinity(0, sizeof(before), &before));
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	must(sched_setaffinity(0, sizeof(first), &first));
	close(file_filled(fs_path("file"), MiB));
	channel_open(&rig.ch, 256, 256);
	pool_open(&rig.pool, POOL);
	check_eq(must(attach_pool_fd(&rig.ch, rig.pool.fd)), 0);
	check_eq(attach_disk(&rig.ch, fs_path("file"), O_RDWR), 0);
	check_eq(attach_disk(&rig.ch, FAST_DISK, O_RDWR), 1);
	check_eq(attach_disk(&rig.ch, fs_path("file"), O_RDWR), 2);
	check_eq(attach_disk(&rig.ch, fs_path("file"), O_RDWR), 3);
	must(ioctl(dir, FIFREEZE, 0));
	for (i = 0; i < many; i++) {
		sqe.target = hung[i % 3];
		sqe.bytes = 4096 * (uint64_t)(i + 1);
		*next_sqe(&rig.ch) = sqe;
	}
	check_eq(enter(&rig.ch, (unsigned int)many), many);
	/* this one needs the worker, too */
	sqe.target = 1;
	sqe.mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	sqe.bytes = 4096;
	sqe.cookie = 2;
	*next_sqe(&rig.ch) = sqe;
	check_eq(enter(&rig.ch, 1), 1);
	await_cqes(&rig.ch, 1);
	check_eq(take_cqe(&rig.ch).cookie, 2);
	check_eq(cq_ready(&rig.ch), 0);
	must(ioctl(dir, FITHAW, 0));
	await_cqes(&rig.ch, (unsigned int)many);
	for (i = 0; i < many; i++) {
		struct pirn_cqe cqe = take_cqe(&rig.ch);

		check_eq(cqe.cookie, 1);
		check_eq(cqe.res, 0);
	}
	must(detach_target(&rig.ch, 0));
	must(sched_setaffinity(0, sizeof(before), &before));
	close(dir);
	rig_close(&rig);
}

TEST(what_hangs_in_the_worker_leaves_it_to_others)
{
	ON_EACH_FS(hangs_in_the_worker);
}

static void swap(void)
{
	const char *path = fs_path("swap");
	char command[160];
	struct rig rig;

	close(file_filled(path, 8 * MiB));
	file_rig(&rig, path, O_RDWR, POOL);
	must(chmod(path, 0600));
	snprintf(command, sizeof(command), "mkswap %s >/dev/null", path);
	shell(command);
	must(swapon(path, 0));
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 4096, 0, 4096), -ETXTBSY);
	must(swapoff(path));
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 4096, 0, 4096), 4096);
	rig_close(&rig);
}

TEST(a_file_in_use_as_swap_is_not_written)
{
	ON_EACH_FS(swap);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_of_file_sizes_is_the_callers),
		cmocka_unit_test(a_write_of_somebody_takes_the_suid_bit),
		cmocka_unit_test(quotas_hold_in_the_worker),
		cmocka_unit_test(io_is_accounted_to_who_submits_it),
		cmocka_unit_test(memory_of_the_worker_counts_in_the_callers_group),
		cmocka_unit_test(a_frozen_file_system_holds_writes_only),
		cmocka_unit_test(channels_go_with_ops_on_files),
		cmocka_unit_test(what_hangs_in_the_worker_leaves_it_to_others),
		cmocka_unit_test(a_disk_that_hangs_keeps_no_file_of_others),
		cmocka_unit_test(a_file_in_use_as_swap_is_not_written),
	};

	return run_program(argc, argv, "files_rights", tests, array_size(tests));
}
